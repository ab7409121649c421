"""The log of every process: one JSON object a line on stderr; values of `extra` become members of it.

No header, body or query goes in: they may hold tokens. What slips through in a library's message - a token, the
password of an address - is masked here, as the last line of defence.

`bound` says what a stretch of work is about, such as a task's uid: each line within carries it.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}

_SECRET_NAME = re.compile(r"(?i)(passw(or)?d|secret|token|authorization|cookie|api_?key)")
_SECRETS = re.compile(
    r"(?P<address>[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)"
    r"|(?P<bearer>(?i:bearer)\s+)[A-Za-z0-9._~+/=-]{8,}"
    r"|eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}"
)
MASK = "***"

Context = Callable[[], Mapping[str, object]]
"""Gives members that every line shall carry at this moment, such as a request's id."""

_bound: ContextVar[Mapping[str, object] | None] = ContextVar("log_members", default=None)


@contextmanager
def bound(members: Mapping[str, object]) -> Iterator[None]:
    """Each line of this block, and of the tasks and threads started in it, carries the members."""
    reset = _bound.set({**(_bound.get() or {}), **members})
    try:
        yield
    finally:
        _bound.reset(reset)


def bind(**members: object) -> None:
    """Adds members to the block of `bound` around; for what is learned only in the course of the work."""
    _bound.set({**(_bound.get() or {}), **members})


def masked(text: str) -> str:
    """The text without tokens and without passwords in addresses."""
    if "://" not in text and "earer" not in text and "BEARER" not in text and "eyJ" not in text:
        return text
    return _SECRETS.sub(lambda found: (found["address"] or found["bearer"] or "") + MASK, text)


class JsonFormatter(logging.Formatter):
    """Renders a record as one line of JSON."""

    def __init__(self, context: Context | None = None) -> None:
        super().__init__()
        self._context = context

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger, message, the context, extras, and the traceback if there is one."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "level": record.levelname,
            "logger": record.name,
            "message": masked(record.getMessage()),
        }
        line.update(_bound.get() or {})
        if self._context is not None:
            line.update(self._context())
        line.update({key: _member(key, value) for key, value in vars(record).items() if key not in _STANDARD})
        if record.exc_info:
            line["traceback"] = masked(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


def _member(name: str, value: object) -> object:
    if _SECRET_NAME.search(name) and value:
        return MASK
    return masked(value) if isinstance(value, str) else value


def configure(level: str, context: Context | None = None, *filters: logging.Filter) -> None:
    """Sends every logger of the process through the formatter; `filters` may change what others' libraries log.

    Raises:
        ValueError: the level is not one of logging's names.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(context))
    for filter_ in filters:
        handler.addFilter(filter_)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
