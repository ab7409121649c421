"""Parameters of one run: what is read from a trigger annotation, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cronwright_core.domain.parameters import (
    MAX_CLOCK_SKEW,
    MAX_REQUEST_AGE,
    check_parameters,
    parse_run_request,
    requested_time,
)
from cronwright_core.domain.times import to_rfc3339, whole_seconds

NOW = datetime(2026, 3, 2, 10, 0, 10, 500_000, tzinfo=UTC)


def test_what_the_api_writes() -> None:
    found = parse_run_request('{"time": "2026-03-02T10:00:05Z", "by": "alice", "env": {"A": "1", "B": ""}}', NOW)
    assert (found.time.second, found.by, found.problem) == (5, "alice", None)
    assert found.parameters == (("A", "1"), ("B", ""))


@pytest.mark.parametrize("text", ["now", "", "null", "[1]", '"x"', "{}", '{"by": 5, "time": 7}', '{"env": {}}'])
def test_what_a_person_writes_means_now(text: str) -> None:
    found = parse_run_request(text, NOW)
    assert (found.time, found.by, found.parameters) == (NOW.replace(microsecond=0), "kubectl", ())
    assert found.problem is None


@pytest.mark.parametrize("text", ["{", '{"env": null}', '{"env": []}', '{"env": {"A": null}}', '{"env": {"": "x"}}'])
def test_what_cannot_be_done_says_why(text: str) -> None:
    found = parse_run_request(text, NOW)
    assert found.problem is not None
    assert (found.problem.field, found.parameters) == ("env", ())


def test_the_author_stays_with_a_refused_request() -> None:
    found = parse_run_request('{"time": "2026-03-02T10:00:05Z", "by": "alice", "env": 1}', NOW)
    assert (found.by, found.time.second) == ("alice", 5)


@pytest.mark.parametrize("apart", [-MAX_REQUEST_AGE + timedelta(seconds=1), timedelta(), MAX_CLOCK_SKEW])
def test_a_time_near_now_is_kept(apart: timedelta) -> None:
    time = whole_seconds(NOW + apart)
    assert parse_run_request(f'{{"time": "{to_rfc3339(time)}"}}', NOW).time == time


@pytest.mark.parametrize(
    "time",
    [
        to_rfc3339(whole_seconds(NOW - MAX_REQUEST_AGE)),
        to_rfc3339(whole_seconds(NOW + MAX_CLOCK_SKEW + timedelta(seconds=1))),
        "7000-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "1999-01-01T00:00:00Z",
    ],
)
@pytest.mark.parametrize("env", ["{}", "5"], ids=["runs", "is refused"])
def test_a_time_that_is_far_away_counts_as_none(time: str, env: str) -> None:
    """Each month has partitions of its own, and nobody may make them by the thousand."""
    found = parse_run_request(f'{{"time": "{time}", "env": {env}}}', NOW)
    assert found.time == whole_seconds(NOW)
    assert (found.problem is not None) == (env == "5")


def test_the_time_that_a_text_names() -> None:
    assert requested_time('{"time": "2026-03-02T10:00:05Z"}') == NOW.replace(second=5, microsecond=0)
    assert [requested_time(text) for text in ("now", "{", "[1]", "{}", '{"time": 7}', "[" * 100_000)] == [None] * 6


def test_limits_are_inclusive() -> None:
    assert check_parameters([("A" * 256, "x" * 4096)]) == []
    assert check_parameters([(f"A{n}", "") for n in range(32)]) == []
    assert check_parameters([("A", "x" * 4096), ("B", "x" * (8192 - 4096 - 2))]) == []
    assert check_parameters([("A", "x" * 4096), ("B", "x" * (8192 - 4096 - 1))]) != []
    assert check_parameters([("A", "数" * 2800)]) != [], "bytes, not characters"
