"""robfig's rule in the cases where schedulers differ; contract/test_cron_oracle.py asks robfig/cron itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cronwright_core.domain.cron import next_tick, parse_cron
from cronwright_core.domain.timezones import load_zone


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def ticks(line: str, zone: str, base: str, count: int) -> list[str]:
    """The next ticks as local wall-clock times with their offset, e.g. `03-10 04:00 -0400`."""
    expr, tz, at = parse_cron(line), load_zone(zone), utc(base)
    found = []
    for _ in range(count):
        tick = next_tick(expr, at, tz)
        if tick is None:
            break
        found.append(tick.astimezone(tz).strftime("%m-%d %H:%M %z"))
        at = tick
    return found


def test_a_time_that_the_clock_skips_does_not_fire() -> None:
    assert ticks("30 2 * * *", "America/New_York", "2024-03-09T00:00", 2) == ["03-09 02:30 -0500", "03-11 02:30 -0400"]
    assert ticks("0 */2 * * *", "America/New_York", "2024-03-10T04:00", 2) == ["03-10 00:00 -0500", "03-10 04:00 -0400"]


def test_a_time_that_the_clock_shows_twice_fires_twice() -> None:
    assert ticks("30 1 * * *", "America/New_York", "2024-11-03T04:00", 3) == [
        "11-03 01:30 -0400",
        "11-03 01:30 -0500",
        "11-04 01:30 -0500",
    ]


@pytest.mark.parametrize("day, hours", [("2024-03-10", 23), ("2024-11-03", 25), ("2024-07-01", 24)])
def test_hourly_fires_each_real_hour(day: str, hours: int) -> None:
    zone = load_zone("America/New_York")
    start = datetime.fromisoformat(day).replace(tzinfo=zone)
    at, end, fired = start - timedelta(seconds=1), (start + timedelta(days=1)).astimezone(UTC), 0
    at = at.astimezone(UTC)
    while (tick := next_tick(parse_cron("0 * * * *"), at, zone)) is not None and tick < end:
        fired, at = fired + 1, tick
    assert fired == hours


def test_a_missing_midnight_fires_the_day_after() -> None:
    assert ticks("0 0 * * *", "America/Santiago", "2024-09-07T12:00", 2) == ["09-09 00:00 -0300", "09-10 00:00 -0300"]


def test_quirk_the_day_is_not_tested_again_across_a_missing_midnight() -> None:
    # A Saturday line fires on a Sunday, if the search begins on that Saturday.
    assert ticks("0 12 * * 6", "America/Santiago", "2024-09-07T17:00", 1) == ["09-08 12:00 -0300"]
    assert ticks("0 12 * * 0", "Asia/Beirut", "2024-03-25T00:00", 1) == ["04-07 12:00 +0300"]


def test_quirk_half_an_hour_of_daylight_saving() -> None:
    assert ticks("0 9 * * *", "Australia/Lord_Howe", "2024-04-06T00:00", 2) == [
        "04-08 09:00 +1030",
        "04-09 09:00 +1030",
    ]


def test_day_of_month_or_day_of_week() -> None:
    assert ticks("0 0 13 * 5", "UTC", "2024-09-01T00:00", 4) == [
        "09-06 00:00 +0000",
        "09-13 00:00 +0000",
        "09-20 00:00 +0000",
        "09-27 00:00 +0000",
    ]
    assert ticks("0 0 1 * */1", "UTC", "2024-09-02T00:00", 1) == ["10-01 00:00 +0000"]
    assert ticks("0 0 5,* * 1", "UTC", "2024-09-03T00:00", 1) == ["09-09 00:00 +0000"]
    assert ticks("0 0 */2 * 0-6", "UTC", "2024-09-03T00:00", 1) == ["09-04 00:00 +0000"]


def test_five_years_is_the_limit() -> None:
    leap_day = parse_cron("0 0 29 2 *")
    assert next_tick(leap_day, utc("2096-02-28T00:00"), UTC) == utc("2096-02-29T00:00")
    assert next_tick(leap_day, utc("2096-03-01T00:00"), UTC) is None
    assert next_tick(leap_day, utc("2098-12-31T23:59"), UTC) is None
    assert next_tick(leap_day, utc("2099-01-01T00:00"), UTC) == utc("2104-02-29T00:00")


def test_an_impossible_date_is_never() -> None:
    assert next_tick(parse_cron("0 0 30 2 *"), utc("2024-01-01T00:00"), UTC) is None
    assert next_tick(parse_cron("* , * * *"), utc("2024-01-01T00:00"), UTC) is None


def test_where_robfig_itself_never_returns_we_do() -> None:
    assert next_tick(parse_cron("0 0 31 12 *"), utc("2011-12-20T00:00"), load_zone("Pacific/Apia")) is None


def test_a_change_within_the_hour_does_not_send_us_back() -> None:
    # Chatham goes from 03:45 back to 02:45. 02:50 is robfig's own (the hour is not tested again); from there on robfig
    # answers 03:00 of the first pass, for ever.
    assert ticks("0,40,50 3 * * *", "Pacific/Chatham", "2017-04-01T13:30", 5) == [
        "04-02 03:40 +1345",
        "04-02 02:50 +1245",
        "04-02 03:00 +1245",
        "04-02 03:40 +1245",
        "04-02 03:50 +1245",
    ]
    assert ticks("0 3 2 4 *", "Pacific/Chatham", "2017-04-01T14:05", 2) == ["04-02 03:00 +1245", "04-02 03:00 +1245"]


@pytest.mark.parametrize("month", range(1, 13))
def test_ticks_get_on_where_robfig_repeats_itself(month: int) -> None:
    # Goose Bay changed its clock at 00:01; robfig answers its own start there.
    zone, at = load_zone("America/Goose_Bay"), utc(f"2009-{month:02}-01T00:00")
    for _ in range(200):
        tick = next_tick(parse_cron("0,30 0,23 * * *"), at, zone)
        assert tick is not None
        assert tick > at
        at = tick


def test_the_last_years_of_the_calendar_end_quietly() -> None:
    assert next_tick(parse_cron("* * * * *"), utc("9999-06-01T00:00"), UTC) is None
    assert next_tick(parse_cron("0 0 29 2 *"), utc("9997-06-01T00:00"), load_zone("Asia/Tokyo")) is None


def test_any_tzinfo_and_any_zone_of_the_base_will_do() -> None:
    base = utc("2024-01-01T00:00").astimezone(timezone(timedelta(hours=-7)))
    assert next_tick(parse_cron("0 9 * * *"), base, timezone(timedelta(hours=8))) == utc("2024-01-01T01:00")


def test_fractions_of_a_second_do_not_repeat_a_tick() -> None:
    base = utc("2024-01-01T00:00")
    expr = parse_cron("* * * * *")
    assert next_tick(expr, base + timedelta(microseconds=1), UTC) == base + timedelta(minutes=1)
    assert next_tick(expr, base - timedelta(microseconds=1), UTC) == base


def test_a_naive_base_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="aware"):
        next_tick(parse_cron("* * * * *"), datetime(2024, 1, 1), UTC)  # noqa: DTZ001


lines = st.builds(
    " ".join,
    st.tuples(
        st.sampled_from(["*", "0", "30", "*/15", "7,59", "1-5"]),
        st.sampled_from(["*", "0", "2", "*/6", "1-3", "23", "0,12"]),
        st.sampled_from(["*", "1", "31", "*/2", "13,29", "?"]),
        st.sampled_from(["*", "1", "3,11", "*/4", "feb"]),
        st.sampled_from(["*", "0", "7", "1-5", "5-7", "*/2"]),
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
        "Africa/Casablanca",
        "Asia/Shanghai",
        "Pacific/Chatham",
        "Atlantic/Azores",
        "America/Havana",
    ]
)
bases = st.datetimes(datetime(2012, 1, 2), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@settings(deadline=None)
@given(lines, zones, bases)
def test_ticks_increase_and_stand_on_whole_local_minutes(line: str, zone_name: str, base: datetime) -> None:
    expr, zone, at = parse_cron(line), load_zone(zone_name), base
    for _ in range(4):
        tick = next_tick(expr, at, zone)
        if tick is None:
            assert not expr.fires or "29" in line or "31" in line
            return
        local = tick.astimezone(zone)
        assert tick > at
        assert tick.tzinfo is UTC
        assert (local.second, local.microsecond) == (0, 0)
        assert expr.minute >> local.minute & 1
        at = tick


@settings(deadline=None)
@given(lines, st.sampled_from(["UTC", "Asia/Shanghai", "Asia/Kolkata", "Etc/GMT+8"]), bases)
def test_without_clock_changes_it_is_the_first_matching_minute(line: str, zone_name: str, base: datetime) -> None:
    expr, zone = parse_cron(line), load_zone(zone_name)
    tick = next_tick(expr, base, zone)
    minute = base.replace(second=0, microsecond=0) + timedelta(minutes=1)
    for _ in range(3000):
        local = minute.astimezone(zone)
        if expr.minute >> local.minute & 1 and expr.hour >> local.hour & 1 and expr.matches_date(local.date()):
            assert tick == minute
            return
        minute += timedelta(minutes=1)
    assert tick is None or tick >= minute
