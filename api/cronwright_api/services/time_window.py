"""Which stretch of time a reader of executions means. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cronwright_api.bodies import invalid
from cronwright_core.domain.errors import FieldError, Message

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_LOST_PLUS = re.compile(r" (?=\d{2}:?\d{2}$)")


def time_window(start: str | None, end: str | None, zone: str) -> tuple[datetime | None, datetime | None]:
    """Reads `start_date` and `end_date`, both inclusive; a bare day means all of it, no offset means `zone`.

    Raises:
        InvalidInput: one is no ISO 8601 time, or they are the wrong way round.
    """
    errors: list[FieldError] = []
    first = _instant("start_date", start, zone, errors)
    last = _instant("end_date", end, zone, errors)
    if first is not None and last is not None and last < first:
        errors.append(FieldError("end_date", Message("不能早于start_date", "must not be before start_date")))
    if errors:
        raise invalid(errors)
    return first, last


def read_instant(field: str, text: str, zone: str) -> tuple[datetime | None, list[FieldError]]:
    """Reads one time; no offset means `zone`. Returns None and the error if it is none."""
    errors: list[FieldError] = []
    return _instant(field, text, zone, errors), errors


def _instant(field: str, text: str | None, zone: str, errors: list[FieldError]) -> datetime | None:
    if text is None:
        return None
    try:
        # An offset's + that a client did not escape arrives as a blank.
        moment = datetime.fromisoformat(_LOST_PLUS.sub("+", text))
        if field == "end_date" and _DAY.fullmatch(text):
            moment = datetime.combine(moment.date(), time.max) - timedelta(microseconds=999_999)
        return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
    except (ValueError, OverflowError):
        message = Message(
            "必须是ISO 8601时间，如 2024-01-01T00:00:00Z", "must be an ISO 8601 time such as 2024-01-01T00:00:00Z"
        )
        errors.append(FieldError(field, message))
        return None
