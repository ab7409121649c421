"""Requests to clean a workspace, as REST writes them and people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cronwright_core.domain.workspaces import BadRequest, parse_request, request_value

NOW = datetime(2026, 11, 2, 3, 0, tzinfo=UTC)


def test_what_is_written_is_read() -> None:
    value = request_value(max_age_hours=48, by="root", at=NOW - timedelta(minutes=5))
    found = parse_request("id", value, NOW)
    assert (found.id, found.requested_by, found.requested_at) == ("id", "root", NOW - timedelta(minutes=5))
    assert found.cutoff == NOW - timedelta(minutes=5, hours=48)


@pytest.mark.parametrize(("value", "hours"), [("48", 48), ("0", 0), ('{"max_age_hours": 8760}', 8760)])
def test_hours_alone_count_from_now(value: str, hours: int) -> None:
    assert parse_request("id", value, NOW).cutoff == NOW - timedelta(hours=hours)


def test_a_time_ahead_is_now() -> None:
    value = request_value(max_age_hours=0, by="root", at=NOW + timedelta(days=9))
    assert parse_request("id", value, NOW).cutoff == NOW


@pytest.mark.parametrize(
    "value",
    [
        *("", "now", "-1", "8761", "1.5", "true", "null", "[]", "{}", '"48"', '{"max_age_hours": "48"}'),
        *('{"max_age_hours": 1, "at": "soon"}', '{"max_age_hours": 1, "at": 5}', "[" * 100_000),
    ],
)
def test_what_cannot_be_understood(value: str) -> None:
    with pytest.raises(BadRequest):
        parse_request("id", value, NOW)
