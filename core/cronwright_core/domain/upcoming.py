"""The next runs of a task whose next one the operator has named, as it alone knows base and anchor. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from cronwright_core.domain.schedule import IntervalSchedule, Schedule, preview


def upcoming(
    schedule: Schedule, first: datetime, now: datetime, count: int, offset: timedelta = timedelta()
) -> list[datetime]:
    """The next `count` ticks (fewer if there are no more) that start after `now`, from the one that was named on.

    `first` is when that one starts; each starts `offset` later than its tick (the task's share of its spread).
    What is overdue (the operator is away) comes as the operator decides; these are the times that lie ahead.
    """
    tick = first - offset
    ticks = [tick] if first > now else []
    anchor = tick - timedelta(seconds=schedule.seconds) if isinstance(schedule, IntervalSchedule) else tick
    return ticks + preview(schedule, base=max(tick, now - offset), anchor=anchor, count=count - len(ticks))
