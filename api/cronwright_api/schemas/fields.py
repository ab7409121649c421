"""Types of single fields, each strict in its JSON type and with errors in both languages."""

from __future__ import annotations

import re
from typing import Annotated, Any, NoReturn

from pydantic import AfterValidator, BeforeValidator, ConfigDict, WithJsonSchema
from pydantic_core import PydanticCustomError

from cronwright_core.domain.validation import compose

BODY = ConfigDict(strict=True, extra="ignore", populate_by_name=True)
"""Strict types; unknown and read-only keys are ignored, so that a client may send back what it read."""

_MAX_ID = 2**63 - 1
_QUANTITY = re.compile(r"[+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?")


def refuse(zh: str, en: str) -> NoReturn:
    """Raises the error that `bodies.to_field_errors` shows as these texts.

    Raises:
        PydanticCustomError
    """
    raise PydanticCustomError("cronwright", "{en}", {"zh": zh, "en": en})


def between(low: int, high: int) -> dict[str, Any]:
    """Bounds of a `QueryInt`, for `Query(**between(1, 100))`: judged, and said in the OpenAPI document.

    Behind a BeforeValidator pydantic judges `ge` and `le` but leaves them out of the schema.
    """
    return {"ge": low, "le": high, "json_schema_extra": {"minimum": low, "maximum": high}}


def _without_nul(text: str) -> str:
    if "\x00" in text:
        refuse("不能包含空字符", "must not hold NUL characters")
    return text


def _decimal(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value) is None:
        refuse("必须是整数", "must be an integer")
    return int(value) if isinstance(value, str) else value


def _id(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]+", value) is None:
        refuse("必须是整数", "must be an integer")
    # No row has an id below zero or beyond bigint: such a number is unknown, not wrong.
    return min(max(int(value[:20]), 0), _MAX_ID) if isinstance(value, str) else value


def _boolean(value: object) -> object:
    if isinstance(value, str):
        # Some clients write a boolean of theirs as True.
        if value.lower() not in ("true", "false"):
            refuse("必须是布尔值true或false", "must be true or false")
        return value.lower() == "true"
    return value


def _quantity(value: Any) -> Any:
    is_integer = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if not is_integer and not (isinstance(value, str) and _QUANTITY.fullmatch(value)):
        refuse("必须是Kubernetes数量，如 500m、1 或 256Mi", "must be a Kubernetes quantity such as 500m, 1 or 256Mi")
    return value


Text = Annotated[str, AfterValidator(_without_nul)]
"""A string that PostgreSQL can store."""
SearchText = Annotated[str, AfterValidator(_without_nul), AfterValidator(compose)]
"""A part of a name to look for, as names are stored: what a keyboard composes of two characters is one there."""
QueryInt = Annotated[int, BeforeValidator(_decimal)]
"""A decimal integer in a query, nothing else (no `1.0`, no `+1`)."""
RowId = Annotated[int, BeforeValidator(_id)]
"""An id in a path; one too large for the database is merely unknown."""
QueryBool = Annotated[bool, BeforeValidator(_boolean)]
"""`true` or `false` in a query."""
Quantity = Annotated[
    Any,
    AfterValidator(_quantity),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string"}], "examples": ["500m"]}),
]
"""An amount of CPU or memory in Kubernetes' notation."""
