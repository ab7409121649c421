"""The `Idempotency-Key` header, and what is kept of a request in order to know it again."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Header, Request

from cronwright_api import messages
from cronwright_core.domain.errors import FieldError, InvalidInput, Message
from cronwright_core.store.records.tasks import CreationKey

HEADER = "Idempotency-Key"
MAX_LENGTH = 255
_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


def parse_key(lines: list[str]) -> str | None:
    """The key in the header's lines; None if there is none.

    Raises:
        InvalidInput: empty, too long, given twice, or not printable ASCII.
    """
    if not lines:
        return None
    if len(lines) > 1 or len(lines[0]) > MAX_LENGTH or not _KEY.fullmatch(lines[0]):
        message = Message(
            f"必须是1-{MAX_LENGTH}个可打印ASCII字符，且只能出现一次",
            f"must be 1 to {MAX_LENGTH} printable ASCII characters, and be given once",
        )
        raise InvalidInput(message, (FieldError(HEADER, message),))
    return lines[0]


def idempotency_key(
    request: Request,
    declared: Annotated[
        str | None,
        Header(
            alias=HEADER,
            description="同一个键的重复请求只执行一次",
            json_schema_extra={"minLength": 1, "maxLength": MAX_LENGTH},
        ),
    ] = None,
) -> str | None:
    """The request's key; the declared parameter is for the OpenAPI document."""
    return parse_key(request.headers.getlist(HEADER))


IdempotencyKey = Annotated[str | None, Depends(idempotency_key)]


def digest(key: str, body: Mapping[str, Any]) -> str:
    """Tells a body from another one: the same for the same JSON values, in whatever order and spacing.

    Under the key itself, which is not stored: who reads the database cannot try out values against it.

    Raises:
        InvalidInput: the body is nested too deep.
    """
    try:
        canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    except RecursionError as error:
        # Writing takes a few levels more than reading did: what is refused a little deeper is refused here too.
        raise InvalidInput(messages.MALFORMED_JSON) from error
    return hmac.new(key.encode(), canonical.encode(), hashlib.sha256).hexdigest()


def creation_key(caller: str, key: str | None, body: Mapping[str, Any]) -> CreationKey | None:
    """What the store keeps of a creation with a key; the key itself is not."""
    if key is None:
        return None
    return CreationKey(caller=caller, key_hash=hashlib.sha256(key.encode()).hexdigest(), body_digest=digest(key, body))
