"""What a schedule's readers are told about changes of the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cronwright_core.domain.clock_changes import MAX_NOTES, ClockEffect, clock_changes, clock_notes
from cronwright_core.domain.schedule import ScheduleType, parse_schedule, preview

NEW_YORK = "America/New_York"
Type = ScheduleType


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


def notes(type_: Type, config: str, zone: str, start: datetime, count: int = 10) -> list[tuple[str, datetime, str]]:
    schedule = parse_schedule(type_, config, zone)
    ticks = preview(schedule, base=start, anchor=start, count=count)
    found = clock_notes(schedule, config, zone, base=start, ticks=ticks)
    assert all(note.message.zh != note.message.en for note in found)
    return [(note.effect.value, note.time, note.message.en) for note in found]


BEFORE_SPRING, SPRING = at(2024, 3, 9, 12), at(2024, 3, 10, 7)
BEFORE_AUTUMN, AUTUMN = at(2024, 11, 2, 12), at(2024, 11, 3, 6)
FORWARD = "the clock goes forward from 2024-03-10 02:00 to 03:00: the run at "
BACK = "the clock goes back from 2024-11-03 02:00 to 01:00: the run at "


@pytest.mark.parametrize(
    ("line", "start", "expected"),
    [
        ("30 2 * * *", BEFORE_SPRING, [("SKIPPED", SPRING, FORWARD + "02:30 does not exist and is skipped")]),
        (
            "*/30 2 * * *",
            BEFORE_SPRING,
            [("SKIPPED", SPRING, FORWARD + "02:00 and 1 more does not exist and is skipped")],
        ),
        ("0 3 * * *", BEFORE_SPRING, []),
        ("30 2 12 4 *", BEFORE_SPRING, []),
        ("30 1 * * *", BEFORE_AUTUMN, [("REPEATED", AUTUMN, BACK + "01:30 comes twice")]),
        ("*/20 1 * * *", BEFORE_AUTUMN, [("REPEATED", AUTUMN, BACK + "01:00 and 2 more comes twice")]),
        ("0 2 * * *", BEFORE_AUTUMN, []),
        ("30 2 * * *", at(2024, 6, 1), []),
    ],
)
def test_a_cron_line(line, start, expected) -> None:
    assert notes(Type.CRON, line, NEW_YORK, start) == expected


def test_only_changes_within_the_window_count() -> None:
    assert notes(Type.CRON, "30 2 * * *", NEW_YORK, at(2024, 3, 1), count=3) == []
    assert notes(Type.CRON, "30 2 * * *", NEW_YORK, SPRING) == []
    assert notes(Type.CRON, "30 2 * * *", "Asia/Shanghai", BEFORE_SPRING, count=100) == []


def test_a_run_that_the_line_does_not_name() -> None:
    ((effect, time, message),) = notes(Type.CRON, "0 12 * * 6", "America/Santiago", at(2024, 9, 7, 17), count=1)
    assert (effect, time) == ("MOVED", at(2024, 9, 8, 15))
    assert "2024-09-08 12:00" in message


@pytest.mark.parametrize("type_", [Type.DATE, Type.ONCE])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "2024-03-10T02:30",
            (
                "MOVED",
                at(2024, 3, 10, 7, 30),
                "2024-03-10 02:30 does not exist, as the clock goes forward; it runs at 2024-03-10 03:30 instead",
            ),
        ),
        (
            "2024-11-03 01:30:00",
            (
                "REPEATED",
                at(2024, 11, 3, 5, 30),
                "2024-11-03 01:30 comes twice, as the clock goes back; it runs at the first",
            ),
        ),
        ("2024-03-10T02:30Z", None),
        ("2024-11-03T01:30-05:00", None),
        ("2024-06-01T02:30", None),
    ],
)
def test_a_date(type_, text, expected) -> None:
    assert notes(type_, text, NEW_YORK, at(2024, 1, 1)) == ([expected] if expected else [])


def test_once_as_soon_as_possible_has_no_wall_clock() -> None:
    assert notes(Type.ONCE, "", NEW_YORK, SPRING) == []


def test_an_interval_counts_time_that_passes() -> None:
    found = notes(Type.INTERVAL, "86400", NEW_YORK, at(2024, 3, 5), count=10)
    assert [(effect, time) for effect, time, _ in found] == [("SHIFTED", SPRING)]
    assert "60 minutes later" in found[0][2]
    assert "60 minutes earlier" in notes(Type.INTERVAL, "86400", NEW_YORK, BEFORE_AUTUMN)[0][2]


def test_many_are_cut() -> None:
    assert len(notes(Type.CRON, "30 2 10 3 *", NEW_YORK, at(2013, 1, 1), count=100)) <= MAX_NOTES
    assert len(notes(Type.INTERVAL, "31536000", NEW_YORK, at(2013, 1, 1), count=100)) == MAX_NOTES


@pytest.mark.parametrize("zone", [NEW_YORK, "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca"])
def test_changes_are_what_the_zone_says(zone) -> None:
    for change in clock_changes(zone, at(2023, 1, 1), at(2026, 1, 1)):
        assert change.before != change.after
        assert change.last - change.first == timedelta(seconds=abs(change.after - change.before))
        assert at(2023, 1, 1) < change.time <= at(2026, 1, 1)


def test_the_effects_have_names() -> None:
    assert {effect.value for effect in ClockEffect} == {"SKIPPED", "REPEATED", "MOVED", "SHIFTED"}
