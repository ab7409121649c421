"""When a task runs: a cron line, an interval, a date, or once. Pure: base, anchor and now are arguments (aware).

All ticks are UTC and whole seconds, as Kubernetes keeps times. The *base* is the instant after which ticks count; for a
cron line it must be the CronJob controller's own (last schedule time, else creation), as beside clock changes the
answer depends on it. The *anchor* is the instant at which the schedule became active: intervals lie on a grid from it,
and a ONCE without a time has its tick there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum

from cronwright_core.domain.cron import CronExpression, CronSyntaxError, next_tick, parse_cron
from cronwright_core.domain.missed_ticks import MissedTicks, TickTally, cron_ticks_between
from cronwright_core.domain.schedule_errors import ScheduleError, cron_schedule_error, schedule_error
from cronwright_core.domain.times import to_rfc3339, whole_seconds
from cronwright_core.domain.timezones import UnknownTimeZoneError, load_zone

__all__ = [
    "CronSchedule",
    "DateSchedule",
    "IntervalSchedule",
    "MissedTicks",
    "OnceSchedule",
    "Schedule",
    "ScheduleError",
    "ScheduleType",
    "check_not_past",
    "next_time",
    "parse_schedule",
    "preview",
    "ticks_between",
    "wall_clock_of",
]

MIN_INTERVAL_SECONDS = 60
MAX_INTERVAL_SECONDS = 31_536_000
MAX_PREVIEW = 100
MAX_CRON_CHARACTERS = 256

# The same patterns as the CRD's rules, so that REST and kubectl accept the same.
_INTERVAL = re.compile(r"[0-9]{1,8}")
_DATE = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?P<time>[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?(?:(?<=:[0-9]{2}:[0-9]{2})[.][0-9]{1,9})?"
    r"(?P<offset>Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_FOREIGN_BLANKS = re.compile(r"[^\S \t]")


class ScheduleType(StrEnum):
    """The document's ScheduleType values."""

    ONCE = "ONCE"
    CRON = "CRON"
    INTERVAL = "INTERVAL"
    DATE = "DATE"


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """Fires whenever the wall clock of `time_zone` matches the line."""

    expression: CronExpression
    time_zone: str

    @property
    def type(self) -> ScheduleType:
        """CRON."""
        return ScheduleType.CRON


@dataclass(frozen=True, slots=True)
class IntervalSchedule:
    """Fires at anchor + n x `seconds`, n >= 1."""

    seconds: int

    @property
    def type(self) -> ScheduleType:
        """INTERVAL."""
        return ScheduleType.INTERVAL


@dataclass(frozen=True, slots=True)
class DateSchedule:
    """Fires once, at `at` (UTC, whole seconds)."""

    at: datetime

    @property
    def type(self) -> ScheduleType:
        """DATE."""
        return ScheduleType.DATE


@dataclass(frozen=True, slots=True)
class OnceSchedule:
    """Fires once, at `at`; None: at the anchor, that is as soon as the task is active."""

    at: datetime | None

    @property
    def type(self) -> ScheduleType:
        """ONCE."""
        return ScheduleType.ONCE


Schedule = CronSchedule | IntervalSchedule | DateSchedule | OnceSchedule


def parse_schedule(type: ScheduleType, config: str | None, time_zone: str) -> Schedule:
    """Reads the form of a schedule; whether a date has passed is asked of `check_not_past`.

    DATE and ONCE without an offset are meant in `time_zone`: of a time that the clock shows twice the earlier one is
    taken, one that it skips moves ahead by the length of the gap. Fractions of a second are cut.

    Raises:
        ScheduleError: the time zone is unknown, the text does not fit the type, or the cron line never fires.
    """
    try:
        zone = load_zone(time_zone)
    except UnknownTimeZoneError as error:
        raise schedule_error("unknown_time_zone", time_zone) from error
    text = config or ""
    match type:
        case ScheduleType.CRON:
            return CronSchedule(_parse_cron_line(text), time_zone)
        case ScheduleType.INTERVAL:
            return IntervalSchedule(_parse_interval(text))
        case ScheduleType.DATE:
            return DateSchedule(_parse_date(text, zone))
        case ScheduleType.ONCE:
            return OnceSchedule(_parse_date(text, zone) if text else None)


def check_not_past(schedule: Schedule, now: datetime) -> None:
    """Refuses a DATE or a timed ONCE that is not after `now`; to be called when the schedule is set, not later.

    Raises:
        ScheduleError: the only time of the schedule has passed.
    """
    at = schedule.at if isinstance(schedule, DateSchedule | OnceSchedule) else None
    if at is not None and at <= now:
        raise schedule_error("in_the_past", to_rfc3339(at))


def next_time(schedule: Schedule, *, base: datetime, anchor: datetime) -> datetime | None:
    """The first tick strictly after `base`; None: there is none (for a cron line: none within robfig's five years)."""
    match schedule:
        case CronSchedule(expression=expression, time_zone=time_zone):
            return next_tick(expression, base, load_zone(time_zone))
        case IntervalSchedule(seconds=seconds):
            start = whole_seconds(anchor)
            passed = (base - start) // timedelta(seconds=seconds)
            return start + timedelta(seconds=seconds) * max(passed + 1, 1)
        case DateSchedule(at=at):
            return at if at > base else None
        case OnceSchedule(at=at):
            tick = whole_seconds(anchor) if at is None else at
            return tick if tick > base else None


def ticks_between(schedule: Schedule, *, base: datetime, until: datetime, anchor: datetime, limit: int) -> MissedTicks:
    """All ticks in (`base`, `until`]: the newest `limit` as times, the older ones counted exactly.

    The work is bounded by the clock changes in between, not by the number of ticks: a year of `* * * * *` takes some
    tens of milliseconds (`missed_ticks` says how), intervals are pure arithmetic.
    """
    match schedule:
        case CronSchedule(expression=expression, time_zone=time_zone):
            return cron_ticks_between(expression, time_zone, base=base, until=until, limit=limit)
        case IntervalSchedule(seconds=seconds):
            return _interval_ticks_between(schedule, seconds, base=base, until=until, anchor=anchor, limit=limit)
        case _:
            tally = TickTally(limit)
            tick = next_time(schedule, base=base, anchor=anchor)
            if tick is not None and tick <= until:
                tally.add(tick)
            return tally.result()


def preview(schedule: Schedule, *, base: datetime, anchor: datetime, count: int, zone: tzinfo = UTC) -> list[datetime]:
    """The next `count` ticks after `base` (fewer if there are no more), shown in `zone`.

    Raises:
        ValueError: `count` is not within 0-100.
    """
    if not 0 <= count <= MAX_PREVIEW:
        raise ValueError(f"count must be within 0-{MAX_PREVIEW}")
    ticks: list[datetime] = []
    while len(ticks) < count and (tick := next_time(schedule, base=base, anchor=anchor)) is not None:
        ticks.append(tick.astimezone(zone))
        base = tick
    return ticks


def _interval_ticks_between(
    schedule: IntervalSchedule, seconds: int, *, base: datetime, until: datetime, anchor: datetime, limit: int
) -> MissedTicks:
    tally = TickTally(limit)
    first = next_time(schedule, base=base, anchor=anchor)
    if first is not None and first <= until:
        interval = timedelta(seconds=seconds)
        count = (until - first) // interval + 1
        tally.add_many(count, first, (first + interval * number for number in range(count - 1, -1, -1)))
    return tally.result()


def _parse_cron_line(text: str) -> CronExpression:
    line = text.strip()
    try:
        if len(text) > MAX_CRON_CHARACTERS:
            raise CronSyntaxError("too_long", line=line, value=str(MAX_CRON_CHARACTERS))
        # Kubernetes itself would take any Unicode blank; the CRD takes two, and both ways in must agree.
        if _FOREIGN_BLANKS.search(line):
            raise CronSyntaxError("white_space", line=line, value=line)
        expression = parse_cron(text)
        if not expression.fires:
            raise CronSyntaxError("never_fires", line=line, value=line)
    except CronSyntaxError as error:
        raise cron_schedule_error(error) from error
    return expression


def _parse_interval(text: str) -> int:
    if not _INTERVAL.fullmatch(text):
        code = "interval_range" if text.isascii() and text.isdigit() else "interval_format"
        raise schedule_error(code, text)
    seconds = int(text)
    if not MIN_INTERVAL_SECONDS <= seconds <= MAX_INTERVAL_SECONDS:
        raise schedule_error("interval_range", text)
    return seconds


def wall_clock_of(text: str) -> datetime | None:
    """The wall clock's time (naive) that a DATE or ONCE without an offset names; None: another text."""
    match = _DATE.fullmatch(text)
    return _read_date(match) if match is not None and match["offset"] is None else None


def _read_date(match: re.Match[str]) -> datetime:
    return datetime.fromisoformat(f"{match['day']}{match['time'] or 'T00:00'}{match['offset'] or ''}")


def _parse_date(text: str, zone: tzinfo) -> datetime:
    if not text:
        raise schedule_error("date_empty", text)
    match = _DATE.fullmatch(text)
    if match is None:
        raise schedule_error("date_format", text)
    try:
        time = _read_date(match)
        if time.tzinfo is None:
            # fold=0 is the default: the earlier pass of an overlap, and across a gap the offset from before it.
            time = time.replace(tzinfo=zone)
        return whole_seconds(time)
    except (ValueError, OverflowError) as error:
        raise schedule_error("date_format", text) from error
