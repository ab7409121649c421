"""Reading schedules, and their ticks."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cronwright_core.domain.schedule import (
    CronSchedule,
    DateSchedule,
    IntervalSchedule,
    OnceSchedule,
    Schedule,
    ScheduleError,
    ScheduleType,
    check_not_past,
    next_time,
    parse_schedule,
    preview,
)

ANCHOR = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def refused(type: ScheduleType, config: str | None, time_zone: str = "UTC") -> ScheduleError:
    with pytest.raises(ScheduleError) as caught:
        parse_schedule(type, config, time_zone)
    return caught.value


def at(text: str, time_zone: str = "UTC") -> datetime:
    schedule = parse_schedule(ScheduleType.DATE, text, time_zone)
    assert isinstance(schedule, DateSchedule)
    return schedule.at


def test_the_values_are_the_documents() -> None:
    assert [str(type) for type in ScheduleType] == ["ONCE", "CRON", "INTERVAL", "DATE"]


def test_each_type_is_read_as_its_own() -> None:
    cron = parse_schedule(ScheduleType.CRON, "0 9 * * 1-7", "Asia/Shanghai")
    assert isinstance(cron, CronSchedule)
    assert (cron.expression.canonical, cron.time_zone) == ("0 9 * * 1-6,0", "Asia/Shanghai")
    assert parse_schedule(ScheduleType.INTERVAL, "3600", "UTC") == IntervalSchedule(3600)
    assert parse_schedule(ScheduleType.DATE, "2024-01-01T15:30:00Z", "UTC") == DateSchedule(utc("2024-01-01T15:30"))
    assert parse_schedule(ScheduleType.ONCE, "", "UTC") == OnceSchedule(None)
    assert parse_schedule(ScheduleType.ONCE, None, "UTC") == OnceSchedule(None)
    assert parse_schedule(ScheduleType.ONCE, "2024-01-01", "UTC") == OnceSchedule(utc("2024-01-01"))


@pytest.mark.parametrize(
    "type, config", [("CRON", "0 0 * * *"), ("INTERVAL", "60"), ("DATE", "2024-01-01"), ("ONCE", None)]
)
def test_a_schedule_knows_its_type_and_can_be_copied(type: str, config: str | None) -> None:
    schedule = parse_schedule(ScheduleType(type), config, "Asia/Tokyo")
    assert schedule.type == type
    assert copy.deepcopy(schedule) == schedule
    assert hash(schedule) == hash(parse_schedule(ScheduleType(type), config, "Asia/Tokyo"))


@pytest.mark.parametrize(
    "type, config, code",
    [
        (ScheduleType.CRON, None, "empty"),
        (ScheduleType.CRON, "0 25 * * *", "out_of_range"),
        (ScheduleType.CRON, "@every 1h", "every_refused"),
        (ScheduleType.CRON, "0 0 30 2 *", "never_fires"),
        (ScheduleType.CRON, "0 , * * *", "never_fires"),
        (ScheduleType.CRON, "0 0\n* * *", "white_space"),
        (ScheduleType.CRON, "0 0\u3000* * *", "white_space"),
        (ScheduleType.CRON, "0" * 250 + " 0 * * *", "too_long"),
        (ScheduleType.INTERVAL, None, "interval_format"),
        (ScheduleType.INTERVAL, "", "interval_format"),
        (ScheduleType.INTERVAL, "1h", "interval_format"),
        (ScheduleType.INTERVAL, " 60", "interval_format"),
        (ScheduleType.INTERVAL, "60.0", "interval_format"),
        (ScheduleType.INTERVAL, "-60", "interval_format"),
        (ScheduleType.INTERVAL, "+60", "interval_format"),
        (ScheduleType.INTERVAL, "６０", "interval_format"),
        (ScheduleType.INTERVAL, "6_0", "interval_format"),
        (ScheduleType.INTERVAL, "59", "interval_range"),
        (ScheduleType.INTERVAL, "0", "interval_range"),
        (ScheduleType.INTERVAL, "31536001", "interval_range"),
        (ScheduleType.INTERVAL, "9" * 5000, "interval_range"),
        (ScheduleType.DATE, None, "date_empty"),
        (ScheduleType.DATE, "", "date_empty"),
        (ScheduleType.DATE, "tomorrow", "date_format"),
        (ScheduleType.DATE, "2024-02-30", "date_format"),
        (ScheduleType.DATE, "2024-01-01T24:00:00Z", "date_format"),
        (ScheduleType.DATE, "2024-01-01T15:60:00Z", "date_format"),
        (ScheduleType.DATE, "2024-01-01T15", "date_format"),
        (ScheduleType.DATE, "2024-01-01T15:30.5", "date_format"),
        (ScheduleType.DATE, "20240101T153000Z", "date_format"),
        (ScheduleType.DATE, "2024-W01-1", "date_format"),
        (ScheduleType.DATE, "2024-01-01T15:30:00+08", "date_format"),
        (ScheduleType.DATE, "2024-01-01T15:30:00+24:00", "date_format"),
        (ScheduleType.DATE, "2024-01-01T15:30:00z", "date_format"),
        (ScheduleType.DATE, "2024-01-01T15:30:00Z\n", "date_format"),
        (ScheduleType.DATE, "0000-01-01T00:00:00Z", "date_format"),
        (ScheduleType.DATE, "0001-01-01T00:00:00+08:00", "date_format"),
        (ScheduleType.DATE, "9999-12-31T23:59:59-08:00", "date_format"),
        (ScheduleType.DATE, "1704094200", "date_format"),
        (ScheduleType.ONCE, " ", "date_format"),
        (ScheduleType.ONCE, "now", "date_format"),
    ],
)
def test_refused(type: ScheduleType, config: str | None, code: str) -> None:
    error = refused(type, config)
    assert (error.field, error.code) == ("schedule_config", code)
    assert error.message_zh
    assert error.message_en
    assert len(error.message_en) < 400


@pytest.mark.parametrize("type", list(ScheduleType))
@pytest.mark.parametrize("zone", ["", "Local", "CST", "+08:00", "asia/shanghai", "../x"])
def test_an_unknown_time_zone_is_refused_for_every_type(type: ScheduleType, zone: str) -> None:
    error = refused(type, "60", zone)
    assert (error.field, error.code) == ("time_zone", "unknown_time_zone")


def test_the_messages_are_the_documents() -> None:
    assert refused(ScheduleType.CRON, "0 25 * * *").message_zh == "CRON表达式格式错误：'0 25 * * *' 小时部分超出范围"
    assert "60" in refused(ScheduleType.INTERVAL, "5").message_zh


@pytest.mark.parametrize("line", [" 0 0 * * * ", "0\t0 * * *", "0 0 * * *\n", "@daily"])
def test_blanks_around_and_tabs_are_taken(line: str) -> None:
    assert isinstance(parse_schedule(ScheduleType.CRON, line, "UTC"), CronSchedule)


@pytest.mark.parametrize("text", ["60", "31536000", "00000060"])
def test_bounds_of_intervals(text: str) -> None:
    assert parse_schedule(ScheduleType.INTERVAL, text, "UTC") == IntervalSchedule(int(text))


@pytest.mark.parametrize(
    "text, zone, expected",
    [
        ("2024-01-01T15:30:00Z", "Asia/Shanghai", "2024-01-01T15:30"),
        ("2024-01-01T15:30:00", "Asia/Shanghai", "2024-01-01T07:30"),
        ("2024-01-01 15:30", "Asia/Shanghai", "2024-01-01T07:30"),
        ("2024-01-01", "Asia/Shanghai", "2023-12-31T16:00"),
        ("2024-01-01Z", "Asia/Shanghai", "2024-01-01T00:00"),
        ("2024-01-01T15:30:00+08:00", "UTC", "2024-01-01T07:30"),
        ("2024-01-01T15:30:00-0330", "UTC", "2024-01-01T19:00"),
        ("2024-01-01T15:30:00.999999999Z", "UTC", "2024-01-01T15:30"),
        ("2024-11-03T01:30:00", "America/New_York", "2024-11-03T05:30"),  # twice: the earlier
        ("2024-10-27T02:30:00", "Europe/Berlin", "2024-10-27T00:30"),
        ("2024-03-10T02:30:00", "America/New_York", "2024-03-10T07:30"),  # never: 03:30 EDT
        ("2024-09-08", "America/Santiago", "2024-09-08T04:00"),  # never: 01:00
    ],
)
def test_dates(text: str, zone: str, expected: str) -> None:
    assert at(text, zone) == utc(expected)
    assert at(text, zone).tzinfo is UTC


def test_a_date_in_the_past_is_refused_when_it_is_set() -> None:
    schedule = parse_schedule(ScheduleType.DATE, "2026-03-01T10:00:00Z", "UTC")
    check_not_past(schedule, ANCHOR - timedelta(seconds=1))
    for now in (ANCHOR, ANCHOR + timedelta(days=1), ANCHOR.astimezone(timezone(timedelta(hours=8)))):
        with pytest.raises(ScheduleError) as caught:
            check_not_past(schedule, now)
        assert (caught.value.field, caught.value.code) == ("schedule_config", "in_the_past")
    with pytest.raises(ScheduleError):
        check_not_past(OnceSchedule(ANCHOR), ANCHOR + timedelta(seconds=1))


@pytest.mark.parametrize("type, config", [("CRON", "* * * * *"), ("INTERVAL", "60"), ("ONCE", "")])
def test_only_dates_can_be_past(type: str, config: str) -> None:
    check_not_past(parse_schedule(ScheduleType(type), config, "UTC"), datetime(2100, 1, 1, tzinfo=UTC))


def test_interval_ticks_lie_on_the_grid_of_the_anchor() -> None:
    schedule = IntervalSchedule(90)
    assert preview(schedule, base=ANCHOR, anchor=ANCHOR, count=3) == [
        ANCHOR + timedelta(seconds=90 * n) for n in (1, 2, 3)
    ]
    assert next_time(schedule, base=ANCHOR + timedelta(seconds=90), anchor=ANCHOR) == ANCHOR + timedelta(seconds=180)
    assert next_time(schedule, base=ANCHOR + timedelta(seconds=89), anchor=ANCHOR) == ANCHOR + timedelta(seconds=90)
    assert next_time(schedule, base=ANCHOR - timedelta(days=9), anchor=ANCHOR) == ANCHOR + timedelta(seconds=90)


@settings(deadline=None)
@given(
    st.integers(60, 31_536_000),
    st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.timedeltas(timedelta(days=-30), timedelta(days=3000)),
)
def test_interval_ticks_are_the_first_after_the_base(seconds: int, anchor: datetime, later: timedelta) -> None:
    base, interval = anchor + later, timedelta(seconds=seconds)
    tick = next_time(IntervalSchedule(seconds), base=base, anchor=anchor)
    assert tick is not None
    assert tick > base
    assert tick.microsecond == 0
    start = anchor.replace(microsecond=0)
    assert (tick - start) % interval == timedelta(0)
    assert tick - interval <= max(base, start)
    assert tick >= start + interval


def test_a_date_ticks_once() -> None:
    schedule = DateSchedule(ANCHOR)
    assert preview(schedule, base=ANCHOR - timedelta(days=1), anchor=ANCHOR, count=5) == [ANCHOR]
    assert next_time(schedule, base=ANCHOR, anchor=ANCHOR) is None


def test_once_without_a_time_ticks_at_the_anchor() -> None:
    schedule = OnceSchedule(None)
    assert next_time(schedule, base=ANCHOR - timedelta(seconds=1), anchor=ANCHOR) == ANCHOR
    assert next_time(schedule, base=ANCHOR, anchor=ANCHOR) is None
    assert next_time(OnceSchedule(ANCHOR), base=ANCHOR, anchor=ANCHOR + timedelta(days=1)) is None


def test_cron_ticks_are_those_of_the_tasks_zone() -> None:
    schedule = parse_schedule(ScheduleType.CRON, "0 9 * * *", "Asia/Shanghai")
    assert next_time(schedule, base=utc("2026-03-01T00:00"), anchor=ANCHOR) == utc("2026-03-01T01:00")


def test_preview_in_a_zone_of_choice() -> None:
    schedule = parse_schedule(ScheduleType.CRON, "0 9 * * *", "Asia/Shanghai")
    shown = preview(schedule, base=ANCHOR, anchor=ANCHOR, count=2, zone=timezone(timedelta(hours=8)))
    assert [time.isoformat() for time in shown] == ["2026-03-02T09:00:00+08:00", "2026-03-03T09:00:00+08:00"]
    assert preview(schedule, base=ANCHOR, anchor=ANCHOR, count=0) == []
    assert len(preview(schedule, base=ANCHOR, anchor=ANCHOR, count=100)) == 100


@pytest.mark.parametrize("count", [-1, 101])
def test_preview_is_bounded(count: int) -> None:
    with pytest.raises(ValueError):
        preview(IntervalSchedule(60), base=ANCHOR, anchor=ANCHOR, count=count)


@pytest.mark.parametrize("schedule", [IntervalSchedule(60), DateSchedule(ANCHOR), OnceSchedule(None)])
def test_schedules_are_values(schedule: Schedule) -> None:
    assert schedule == copy.deepcopy(schedule)
