"""The log of every process: one JSON object a line on stderr; values of `extra` become members of it.

No header, body or query goes in: they may hold tokens.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}

Context = Callable[[], Mapping[str, object]]
"""Gives members that every line shall carry at this moment, such as a request's id."""


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
            "message": record.getMessage(),
        }
        if self._context is not None:
            line.update(self._context())
        line.update({key: value for key, value in vars(record).items() if key not in _STANDARD})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure(level: str, context: Context | None = None) -> None:
    """Sends every logger of the process through the formatter.

    Raises:
        ValueError: the level is not one of logging's names.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(context))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
