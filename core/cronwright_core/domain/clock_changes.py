"""What a change of the clock does to the runs of a schedule, in words. Pure.

A cron line speaks of the wall clock. Where the clock goes forward, the times in between do not exist, and what is set
for them does not run; where it goes back, times come twice, and so do the runs (`docs/adr/0004`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from cronwright_core.domain.cron import CronExpression
from cronwright_core.domain.errors import Message
from cronwright_core.domain.schedule import (
    CronSchedule,
    DateSchedule,
    IntervalSchedule,
    OnceSchedule,
    Schedule,
    wall_clock_of,
)
from cronwright_core.domain.timezones import EPOCH, load_zone, zone_offsets

MAX_NOTES = 20
_MINUTE = timedelta(minutes=1)
_SHOWN = "%Y-%m-%d %H:%M"


class ClockEffect(StrEnum):
    """What happened to a run."""

    SKIPPED = "SKIPPED"
    REPEATED = "REPEATED"
    MOVED = "MOVED"
    SHIFTED = "SHIFTED"


@dataclass(frozen=True, slots=True)
class ClockNote:
    """One effect of a clock change at `time` (UTC): the change, or for a run that moved, the run."""

    effect: ClockEffect
    time: datetime
    message: Message


@dataclass(frozen=True, slots=True)
class ClockChange:
    """The clock goes from one offset to another at `time`; offsets in seconds east of Greenwich."""

    time: datetime
    before: int
    after: int

    @property
    def first(self) -> datetime:
        """The first local time (naive) that is left out, or comes twice."""
        return _wall(self.time, min(self.before, self.after))

    @property
    def last(self) -> datetime:
        """The local time (naive) at which the clock is ordinary again."""
        return _wall(self.time, max(self.before, self.after))


def clock_changes(zone_name: str, start: datetime, end: datetime) -> Iterator[ClockChange]:
    """The changes of a zone's clock in (`start`, `end`], in order."""
    offsets = zone_offsets(load_zone(zone_name))
    second, last = int((start - EPOCH).total_seconds()), int((end - EPOCH).total_seconds())
    while True:
        _, until, before = offsets.span(second)
        if until > last:
            return
        after = offsets.offset(until)
        # A span may end where nothing changes.
        if after != before:
            yield ClockChange(EPOCH + timedelta(seconds=until), before, after)
        second = until


def clock_notes(
    schedule: Schedule, text: str, zone_name: str, *, base: datetime, ticks: Sequence[datetime]
) -> list[ClockNote]:
    """What changes of the clock do to the runs from `base` to the last of `ticks`; at most `MAX_NOTES`, in order.

    `text` is the schedule as it was written: a date without an offset is a wall clock's.
    """
    match schedule:
        case CronSchedule(expression=expression):
            notes = _cron_notes(expression, zone_name, base, ticks)
        case IntervalSchedule():
            notes = _interval_notes(zone_name, base, ticks)
        case DateSchedule(at=at):
            notes = _date_notes(text, zone_name, at)
        case OnceSchedule(at=at):
            notes = _date_notes(text, zone_name, at) if at is not None else iter(())
    return sorted((note for _, note in zip(range(MAX_NOTES), notes, strict=False)), key=lambda note: note.time)


def _cron_notes(
    expression: CronExpression, zone_name: str, base: datetime, ticks: Sequence[datetime]
) -> Iterator[ClockNote]:
    zone = load_zone(zone_name)
    walls = [tick.astimezone(zone).replace(tzinfo=None) for tick in ticks]
    for tick, wall in zip(ticks, walls, strict=True):
        if not _matches(expression, wall):
            yield ClockNote(
                ClockEffect.MOVED,
                tick,
                Message(
                    f"受时钟调整影响，此次执行在当地时间 {wall:{_SHOWN}} 进行，与表达式不一致",
                    f"because of a clock change this run comes at {wall:{_SHOWN}} local time, which the line does not"
                    " name",
                ),
            )
    if not ticks:
        return
    for change in clock_changes(zone_name, base, ticks[-1]):
        if change.after > change.before:
            yield from _skipped(expression, change)
        else:
            yield from _repeated(change, ticks, walls)


def _skipped(expression: CronExpression, change: ClockChange) -> Iterator[ClockNote]:
    lost = []
    wall = change.first
    while wall < change.last:
        if _matches(expression, wall):
            lost.append(wall)
        wall += _MINUTE
    if lost:
        more = (f"等{len(lost)}次", f" and {len(lost) - 1} more") if len(lost) > 1 else ("", "")
        yield ClockNote(
            ClockEffect.SKIPPED,
            change.time,
            Message(
                f"时钟从 {change.first:{_SHOWN}} 拨快到 {change.last:%H:%M}："
                f"{lost[0]:%H:%M} {more[0]}的执行不存在，被跳过",
                f"the clock goes forward from {change.first:{_SHOWN}} to {change.last:%H:%M}: the run at"
                f" {lost[0]:%H:%M}{more[1]} does not exist and is skipped",
            ),
        )


def _repeated(change: ClockChange, ticks: Sequence[datetime], walls: Sequence[datetime]) -> Iterator[ClockNote]:
    early = {wall for tick, wall in zip(ticks, walls, strict=True) if tick < change.time}
    twice = sorted(wall for tick, wall in zip(ticks, walls, strict=True) if tick >= change.time and wall in early)
    if twice:
        more = (f"等{len(twice)}次", f" and {len(twice) - 1} more") if len(twice) > 1 else ("", "")
        yield ClockNote(
            ClockEffect.REPEATED,
            change.time,
            Message(
                f"时钟从 {change.last:{_SHOWN}} 拨慢到 {change.first:%H:%M}：{twice[0]:%H:%M} {more[0]}的执行进行两次",
                f"the clock goes back from {change.last:{_SHOWN}} to {change.first:%H:%M}: the run at"
                f" {twice[0]:%H:%M}{more[1]} comes twice",
            ),
        )


def _interval_notes(zone_name: str, base: datetime, ticks: Sequence[datetime]) -> Iterator[ClockNote]:
    for change in clock_changes(zone_name, base, ticks[-1]) if ticks else ():
        minutes = (change.after - change.before) // 60
        yield ClockNote(
            ClockEffect.SHIFTED,
            change.time,
            Message(
                f"间隔按实际经过的时间计算：此后执行的当地时间{'推后' if minutes > 0 else '提前'}{abs(minutes)}分钟",
                f"an interval counts time that passes: from here on the runs come {abs(minutes)} minutes"
                f" {'later' if minutes > 0 else 'earlier'} by the local clock",
            ),
        )


def _date_notes(text: str, zone_name: str, at: datetime) -> Iterator[ClockNote]:
    meant = wall_clock_of(text)
    if meant is None:
        return
    zone = load_zone(zone_name)
    shown = at.astimezone(zone).replace(tzinfo=None)
    if shown != meant:
        yield ClockNote(
            ClockEffect.MOVED,
            at,
            Message(
                f"当地时间 {meant:{_SHOWN}} 因时钟拨快而不存在，改在 {shown:{_SHOWN}} 执行",
                f"{meant:{_SHOWN}} does not exist, as the clock goes forward; it runs at {shown:{_SHOWN}} instead",
            ),
        )
    elif meant.replace(tzinfo=zone, fold=1).utcoffset() != meant.replace(tzinfo=zone).utcoffset():
        yield ClockNote(
            ClockEffect.REPEATED,
            at,
            Message(
                f"当地时间 {meant:{_SHOWN}} 因时钟拨慢而出现两次，在第一次执行",
                f"{meant:{_SHOWN}} comes twice, as the clock goes back; it runs at the first",
            ),
        )


def _matches(expression: CronExpression, wall: datetime) -> bool:
    at_this_time = expression.hour >> wall.hour & 1 and expression.minute >> wall.minute & 1
    return bool(at_this_time) and expression.matches_date(wall.date())


def _wall(time: datetime, offset: int) -> datetime:
    return (time.astimezone(UTC) + timedelta(seconds=offset)).replace(tzinfo=None)
