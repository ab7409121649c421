"""The document's frame: {success, code, message, data}, and {success, code, message, errors, timestamp} for errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated, Generic, Literal, TypeVar

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from cronwright_api import request_context
from cronwright_core.domain.errors import FieldError, Message
from cronwright_core.domain.times import to_rfc3339

Data = TypeVar("Data")

Instant = Annotated[
    datetime,
    PlainSerializer(to_rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2024-01-01T02:00:00Z"]}),
]
"""A time of an answer: UTC with Z, whole seconds."""


class Envelope(BaseModel, Generic[Data]):
    """A success."""

    success: Literal[True] = True
    code: Literal[200] = 200
    message: str = Field(examples=["操作成功"])
    data: Data


class PageOf(BaseModel, Generic[Data]):
    """A page of a list, without a frame as the document has it."""

    model_config = ConfigDict(from_attributes=True)

    total: int
    page: int
    size: int
    items: list[Data]


class ErrorItem(BaseModel):
    """One wrong field of a request."""

    field: str = Field(examples=["schedule_config"])
    message: str = Field(examples=["CRON表达式格式错误：'0 25 * * *' 小时部分超出范围"])


class ErrorEnvelope(BaseModel):
    """A failure; `code` is the HTTP status."""

    success: Literal[False] = False
    code: int = Field(examples=[400])
    message: str = Field(examples=["调度配置无效"])
    errors: list[ErrorItem]
    timestamp: Instant


def success(message: Message, data: Data) -> Envelope[Data]:
    """Frames `data`, with the message in the caller's language."""
    return Envelope(message=request_context.current().text(message), data=data)


def failure(
    code: int,
    message: Message,
    errors: Iterable[FieldError] = (),
    *,
    headers: dict[str, str] | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> JSONResponse:
    """The document's error answer, in the caller's language."""
    text = request_context.current().text
    body = ErrorEnvelope(
        code=code,
        message=text(message),
        errors=[ErrorItem(field=error.field, message=text(error.message)) for error in errors],
        timestamp=clock(),
    )
    return JSONResponse(body.model_dump(mode="json"), status_code=code, headers=headers)
