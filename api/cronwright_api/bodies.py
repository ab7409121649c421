"""Request bodies: from bytes to a checked model, with every error of form as a `FieldError`.

FastAPI's own body parameters are not used: it would read a body before the token is checked, take other content types,
and answer before the rules of the domain have been asked - but a caller wants all errors at once.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, NoReturn, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError

from cronwright_api import messages
from cronwright_api.settings import MAX_BODY_BYTES
from cronwright_core.domain.errors import FieldError, InvalidInput, Message

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_PLAIN: Mapping[str, Message] = {
    "missing": Message("缺少必需字段", "is required"),
    "string_type": Message("必须是字符串", "must be a string"),
    "string_unicode": Message("不是有效的Unicode文本", "is not valid Unicode text"),
    "int_type": Message("必须是整数", "must be an integer"),
    "int_from_float": Message("必须是整数", "must be an integer"),
    "int_parsing": Message("必须是整数", "must be an integer"),
    "bool_type": Message("必须是布尔值true或false", "must be true or false"),
    "list_type": Message("必须是数组", "must be a list"),
    "dict_type": Message("必须是对象", "must be an object"),
    "model_type": Message("必须是对象", "must be an object"),
    "model_attributes_type": Message("必须是对象", "must be an object"),
}


async def json_object(request: Request) -> dict[str, Any]:
    """Reads the body as a JSON object.

    Raises:
        InvalidInput: another content type, more than 1 MB, no UTF-8, no JSON, no object, a key that stands twice in
            one object, or text that is no Unicode.
    """
    _require_json(request)
    return _parse(await _read(request))


async def optional_json_object(request: Request) -> dict[str, Any]:
    """As `json_object`, but a body that is not there, or is empty, is an empty object, whatever its content type.

    Raises:
        InvalidInput
    """
    body = await _read(request)
    if not body:
        return {}
    _require_json(request)
    return _parse(body)


Body = Annotated[dict[str, Any], Depends(json_object)]
OptionalBody = Annotated[dict[str, Any], Depends(optional_json_object)]


def _require_json(request: Request) -> None:
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        raise InvalidInput(messages.NOT_JSON)


async def _read(request: Request) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > MAX_BODY_BYTES:
        raise InvalidInput(messages.BODY_TOO_LARGE)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise InvalidInput(messages.BODY_TOO_LARGE)
    return bytes(body)


def _parse(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body.decode(), parse_constant=_refuse_constant, object_pairs_hook=_without_twins)
    except (ValueError, RecursionError) as error:
        # ValueError covers bad UTF-8, bad JSON and integers of thousands of digits; RecursionError a tower of brackets.
        raise InvalidInput(messages.MALFORMED_JSON) from error
    if not isinstance(value, dict):
        raise InvalidInput(messages.NOT_AN_OBJECT)
    if _SURROGATE.search(body):
        _refuse_lone_surrogates(value)
    return value


Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Form(Generic[Model]):
    """A body that was read as far as possible: wrong fields are in `errors` and hold a placeholder in `body`.

    So the rules of the domain can be asked about the rest, and the caller gets all errors at once.
    """

    body: Model
    errors: tuple[FieldError, ...]

    @property
    def wrong(self) -> frozenset[str]:
        """The top-level fields whose value is a placeholder."""
        return frozenset(error.field.split(".")[0] for error in self.errors)

    def with_rules(self, *rules: FieldError) -> list[FieldError]:
        """Errors of form, and those of rules that did not judge a placeholder."""
        wrong = self.wrong
        if wrong & {"schedule_type", "time_zone"}:
            wrong |= {"schedule_config"}
        return [*self.errors, *(rule for rule in rules if rule.field.split(".")[0] not in wrong)]


def read_form(model: type[Model], raw: Mapping[str, Any], placeholders: Mapping[str, Any]) -> Form[Model]:
    """Checks `raw` against `model`; `placeholders` stand in for required fields that are wrong or missing."""
    try:
        return Form(model.model_validate(raw), ())
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    wrong = {str(detail["loc"][0]) for detail in details if detail["loc"]}
    kept = {key: value for key, value in raw.items() if key not in wrong}
    filled = kept | {field: value for field, value in placeholders.items() if field in wrong}
    return Form(model.model_validate(filled), tuple(to_field_errors(details)))


def required(field: str) -> FieldError:
    """A field that is missing."""
    return FieldError(field, _PLAIN["missing"])


def invalid(errors: Sequence[FieldError]) -> InvalidInput:
    """The 400 for wrong fields; as in the document's example it is called a wrong schedule if nothing else is wrong."""
    only_schedule = all(error.field in ("schedule_config", "time_zone") for error in errors)
    return InvalidInput(
        messages.INVALID_SCHEDULE if errors and only_schedule else messages.INVALID_REQUEST, tuple(errors)
    )


def to_field_errors(details: Iterable[Mapping[str, Any]], *, skip: tuple[str, ...] = ()) -> list[FieldError]:
    """Pydantic's errors, one for each place; `skip` names first parts of a location that are no field (`query`)."""
    errors: dict[str, FieldError] = {}
    for detail in details:
        location = [str(part) for part in detail["loc"]]
        if location and location[0] in skip:
            location = location[1:]
        field = ".".join(location)
        errors.setdefault(field, FieldError(field, _message(detail)))
    return list(errors.values())


def _message(detail: Mapping[str, Any]) -> Message:
    kind, context = str(detail["type"]), detail.get("ctx") or {}
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind in ("literal_error", "enum"):
        expected = str(context.get("expected", "")).replace(" or ", ", ")
        return Message(f"必须是以下值之一：{expected}", f"must be one of {expected}")
    if kind in ("greater_than_equal", "less_than_equal"):
        limit = context.get("ge", context.get("le"))
        if kind == "greater_than_equal":
            return Message(f"不能小于{limit}", f"must not be less than {limit}")
        return Message(f"不能大于{limit}", f"must not be greater than {limit}")
    # A string that a validator of ours has had in its hands is to pydantic just a value that has a length.
    if kind == "string_too_long" or (kind == "too_long" and context["field_type"] == "Value"):
        return Message(f"不能超过{context['max_length']}个字符", f"must not exceed {context['max_length']} characters")
    if kind == "string_too_short":
        return Message(
            f"不能少于{context['min_length']}个字符", f"must have at least {context['min_length']} characters"
        )
    if kind == "too_long":
        return Message(f"不能超过{context['max_length']}项", f"must not have more than {context['max_length']} items")
    if "zh" in context:  # our own validators (schemas/) bring both languages
        return Message(str(context["zh"]), str(context["en"]))
    return Message(f"值无效：{detail['msg']}", str(detail["msg"]))


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; programs differ in which of two equal keys they take, so that none is taken here."""
    made = dict(pairs)
    if len(made) < len(pairs):
        twin = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise invalid([FieldError(_printable(twin), Message("字段重复", "stands twice"))])
    return made


def _refuse_lone_surrogates(value: Mapping[str, Any]) -> None:
    """JSON can spell halves of a character ("\\ud800"), which neither PostgreSQL nor an answer in UTF-8 can hold."""
    wrong = [field for field, inner in value.items() if not _is_unicode(field) or not _is_unicode(inner)]
    if wrong:
        raise invalid([FieldError(_printable(field), _PLAIN["string_unicode"]) for field in wrong])


def _is_unicode(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        return False
    return True


def _printable(text: str) -> str:
    return text.encode(errors="replace").decode()


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
