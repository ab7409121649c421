"""The newest warning tells why nothing starts."""

from __future__ import annotations

from typing import Any

from cronwright_operator.stopping.reasons import newest_warning


def event(time: str, message: str, **changes: Any) -> dict[str, Any]:
    return {"type": "Warning", "reason": "FailedCreate", "message": message, "lastTimestamp": time, **changes}


def test_the_newest_one() -> None:
    events = [event("2026-03-02T10:00:05Z", "second"), event("2026-03-02T10:00:01Z", "first")]
    assert newest_warning(events) == "FailedCreate: second"


def test_what_is_normal_explains_nothing() -> None:
    assert newest_warning([event("2026-03-02T10:00:05Z", "pulled", type="Normal")]) == ""
    assert newest_warning([]) == ""


def test_events_of_the_newer_kind() -> None:
    series = {"lastObservedTime": "2026-03-02T10:00:09.000000Z"}
    newer = event("", "newer", lastTimestamp=None, eventTime="2026-03-02T10:00:00.000000Z", series=series)
    assert newest_warning([event("2026-03-02T10:00:05Z", "older"), newer]) == "FailedCreate: newer"


def test_without_words() -> None:
    assert newest_warning([{"type": "Warning", "reason": "FailedCreate"}]) == "FailedCreate"
