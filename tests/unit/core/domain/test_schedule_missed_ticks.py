"""Counting an absence: the same as visiting each tick, but fast."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cronwright_core.domain.schedule import (
    DateSchedule,
    IntervalSchedule,
    MissedTicks,
    OnceSchedule,
    Schedule,
    ScheduleType,
    next_time,
    parse_schedule,
    ticks_between,
)

START = datetime(2026, 1, 1, tzinfo=UTC)


def cron(line: str, zone: str = "UTC") -> Schedule:
    return parse_schedule(ScheduleType.CRON, line, zone)


def visited(schedule: Schedule, base: datetime, until: datetime, anchor: datetime = START) -> list[datetime]:
    """The definition: `next_time` again and again."""
    ticks: list[datetime] = []
    while (tick := next_time(schedule, base=base, anchor=anchor)) is not None and tick <= until:
        ticks.append(tick)
        base = tick
    return ticks


def cut(ticks: list[datetime], limit: int) -> MissedTicks:
    """The newest one by one, the others as a count."""
    older = ticks[: len(ticks) - limit] if len(ticks) > limit else []
    newest = tuple(ticks[len(older) :])
    return MissedTicks(newest, len(older), older[0] if older else None, older[-1] if older else None)


def test_a_year_of_minutes_is_counted_exactly_and_fast() -> None:
    # America/New_York has its 365 days of 1440 minutes even with an hour lost and one gained.
    schedule, until = cron("* * * * *", "America/New_York"), START + timedelta(days=365)
    ticks_between(schedule, base=START, until=START + timedelta(days=400), anchor=START, limit=1)  # scans the zone
    began = time.process_time()
    missed = ticks_between(schedule, base=START, until=until, anchor=START, limit=100)
    # About 0.1 s on two shared cores; half a million visits take 5 s.
    assert time.process_time() - began < 1
    assert missed.older_count + len(missed.newest) == 365 * 1440
    assert missed.newest == tuple(until - timedelta(minutes=n) for n in range(99, -1, -1))
    assert missed.older_first == START + timedelta(minutes=1)
    assert missed.older_last == until - timedelta(minutes=100)


@pytest.mark.parametrize(
    "line, zone",
    [
        ("*/20 * * * *", "America/New_York"),
        ("30 2 * * *", "America/New_York"),
        ("15,45 1-3 * * 0", "Europe/Berlin"),
        ("0 12 * * 6", "America/Santiago"),
        ("30 1 * * *", "Australia/Lord_Howe"),
        ("*/15 2 * * *", "Antarctica/Troll"),
        ("0 */6 1,15 * 1-5", "Africa/Casablanca"),
        ("0 0 1 1 *", "Asia/Shanghai"),
    ],
)
def test_a_year_is_what_visiting_gives(line: str, zone: str) -> None:
    schedule, base, until = (
        cron(line, zone),
        datetime(2024, 1, 31, 5, 7, 9, tzinfo=UTC),
        datetime(2025, 2, 3, tzinfo=UTC),
    )
    ticks = visited(schedule, base, until)
    for limit in (0, 1, 7, 100, 5000):
        found = ticks_between(schedule, base=base, until=until, anchor=base, limit=limit)
        assert found == cut(ticks, limit), limit


lines = st.builds(
    " ".join,
    st.tuples(
        st.sampled_from(["0", "30", "*/20", "7,59"]),
        st.sampled_from(["*", "0", "2", "*/6", "1-3", "23"]),
        st.sampled_from(["*", "1", "*/2", "13,29"]),
        st.sampled_from(["*", "3,11", "*/4", "*"]),
        st.sampled_from(["*", "0", "5-7", "*/2"]),
    ),
)
zones = st.sampled_from(
    [
        "UTC",
        "America/New_York",
        "America/Santiago",
        "Asia/Beirut",
        "Australia/Lord_Howe",
        "Antarctica/Troll",
        "Pacific/Chatham",
        "Africa/Casablanca",
        "Asia/Gaza",
        "Atlantic/Azores",
        "America/Havana",
        "Africa/Cairo",
    ]
)


@settings(deadline=None)
@given(
    lines,
    zones,
    st.datetimes(datetime(2012, 1, 2), datetime(2037, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.timedeltas(timedelta(0), timedelta(days=60)),
    st.integers(0, 30),
)
def test_any_window_is_what_visiting_gives(line: str, zone: str, base: datetime, length: timedelta, limit: int) -> None:
    schedule, until = cron(line, zone), base + length
    found = ticks_between(schedule, base=base, until=until, anchor=base, limit=limit)
    assert found == cut(visited(schedule, base, until), limit)


@settings(deadline=None)
@given(st.integers(60, 90_000), st.timedeltas(timedelta(days=-2), timedelta(days=9)), st.integers(0, 20))
def test_intervals_are_what_visiting_gives(seconds: int, later: timedelta, limit: int) -> None:
    schedule, base = IntervalSchedule(seconds), START + later
    until = base + timedelta(days=3)
    found = ticks_between(schedule, base=base, until=until, anchor=START, limit=limit)
    assert found == cut(visited(schedule, base, until), limit)


def test_an_interval_over_ten_years_is_arithmetic() -> None:
    until = START + timedelta(days=3650)
    missed = ticks_between(IntervalSchedule(60), base=START, until=until, anchor=START, limit=2)
    assert missed == MissedTicks(
        newest=(until - timedelta(minutes=1), until),
        older_count=3650 * 1440 - 2,
        older_first=START + timedelta(minutes=1),
        older_last=until - timedelta(minutes=2),
    )


@pytest.mark.parametrize("schedule", [DateSchedule(START), OnceSchedule(START), OnceSchedule(None)])
def test_a_single_tick(schedule: Schedule) -> None:
    def missed(base: datetime, until: datetime, limit: int = 100) -> MissedTicks:
        return ticks_between(schedule, base=base, until=until, anchor=START, limit=limit)

    before, after = START - timedelta(days=1), START + timedelta(days=1)
    assert missed(before, START) == MissedTicks(newest=(START,))
    assert missed(before, after, limit=0) == MissedTicks((), 1, START, START)
    assert missed(START, after) == MissedTicks()
    assert missed(before, before) == MissedTicks()


@pytest.mark.parametrize("schedule", [cron("* * * * *"), IntervalSchedule(60)])
def test_an_empty_window(schedule: Schedule) -> None:
    assert ticks_between(schedule, base=START, until=START, anchor=START, limit=5) == MissedTicks()
    assert ticks_between(schedule, base=START, until=START - timedelta(days=1), anchor=START, limit=5) == MissedTicks()


def test_a_negative_limit_is_a_mistake() -> None:
    with pytest.raises(ValueError):
        ticks_between(cron("* * * * *"), base=START, until=START, anchor=START, limit=-1)
