"""Which stretch of time a reader of executions means. Pure."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cronwright_api.bodies import invalid
from cronwright_core.domain.errors import FieldError, Message

_WEEK = re.compile(r"\d{4}-?W\d{2}")
_LOST_PLUS = re.compile(r" (?=\d{2}:?\d{2}$)")


def time_window(start: str | None, end: str | None, zone: str) -> tuple[datetime | None, datetime | None]:
    """Reads `start_date` and `end_date`, both inclusive; a bare day (or week) means all of it, no offset `zone`.

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
        day = date.fromisoformat(text)
    except ValueError:
        pass  # a time, or nothing
    else:
        length = 7 if _WEEK.fullmatch(text) else 1
        return _last_second(day, length, zone) if field == "end_date" else _beginning(day, zone)
    try:
        # An offset's + that a client did not escape arrives as a blank.
        moment = datetime.fromisoformat(_LOST_PLUS.sub("+", text))
        return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
    except (ValueError, OverflowError):
        message = Message(
            "必须是ISO 8601时间，如 2024-01-01T00:00:00Z", "must be an ISO 8601 time such as 2024-01-01T00:00:00Z"
        )
        errors.append(FieldError(field, message))
        return None


def _beginning(day: date, zone: str) -> datetime:
    try:
        return datetime.combine(day, time.min, ZoneInfo(zone)).astimezone(UTC)
    except OverflowError:  # east of UTC the calendar's first day begins before it
        return datetime.min.replace(tzinfo=UTC)


def _last_second(day: date, days: int, zone: str) -> datetime:
    # Counted back from the next day's beginning: where clocks are set back at midnight, 23:59:59 comes twice.
    try:
        return _beginning(day + timedelta(days=days), zone) - timedelta(seconds=1)
    except OverflowError:
        return datetime.max.replace(microsecond=0, tzinfo=UTC)
