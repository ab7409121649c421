"""Headers by which a caller says what must hold for a write: `If-Match`, and the `ETag` that it comes from.

The tag stands for the *definition*: it changes with each change of the spec, by REST or kubectl, and not with status,
next run or counts. Answers are never cached (`Cache-Control: no-store`), so no cache takes it for the whole answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request

from cronwright_api.errors import PreconditionFailed
from cronwright_core.domain import naming
from cronwright_core.domain.errors import FieldError, InvalidInput, Message

IF_MATCH = "If-Match"
_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS = re.compile(rf"\s*{_TAG}(?:\s*,\s*{_TAG})*\s*")
_FAILED = Message(
    "资源已被修改，请重新读取后再试（If-Match不匹配）",
    "it has been changed since; read it again (If-Match does not match)",
)


def entity_tag(uid: str | None, generation: int | None) -> str:
    """The strong ETag of one version of a resource's spec (RFC 9110 8.8.3)."""
    return f'"{naming.short_hash(uid or "", length=16)}-{generation or 0}"'


@dataclass(frozen=True, slots=True)
class Precondition:
    """What `If-Match` asks for; `tags` None means `*`: it must exist, whatever it is."""

    tags: frozenset[str] | None

    def check(self, uid: str | None, generation: int | None) -> None:
        """Raises PreconditionFailed unless the resource is one of the versions named (strong comparison)."""
        if self.tags is not None and entity_tag(uid, generation) not in self.tags:
            raise PreconditionFailed(_FAILED)


def parse_if_match(lines: list[str]) -> Precondition | None:
    """Reads the header's lines (RFC 9110 13.1.1); None if there is none.

    Raises:
        InvalidInput: neither `*` nor a list of quoted tags.
    """
    if not lines:
        return None
    text = ",".join(lines).strip()
    if text == "*":
        return Precondition(None)
    if len(text) > 4096 or not _TAGS.fullmatch(text):
        message = Message('必须是*或带引号的ETag，如 "abc-1"', 'must be * or a quoted ETag such as "abc-1"')
        raise InvalidInput(message, (FieldError(IF_MATCH, message),))
    return Precondition(frozenset(re.findall(_TAG, text)))


def if_match(
    request: Request,
    declared: Annotated[
        str | None, Header(alias=IF_MATCH, description="仅当资源仍是该版本（ETag）时才执行，否则返回412")
    ] = None,
) -> Precondition | None:
    """The request's `If-Match`; the declared parameter is for the OpenAPI document, as it may come in several lines."""
    return parse_if_match(request.headers.getlist(IF_MATCH))


IfMatch = Annotated[Precondition | None, Depends(if_match)]
