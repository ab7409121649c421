"""The next runs of a task whose next one the operator has named, as it alone knows base and anchor. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from cronwright_core.domain.schedule import IntervalSchedule, Schedule, preview


def upcoming(schedule: Schedule, first: datetime, now: datetime, count: int) -> list[datetime]:
    """The next `count` ticks after `now` (fewer if there are no more), from `first` on, the one that was named.

    What is overdue (the operator is away) comes as the operator decides; these are the times that lie ahead.
    """
    ticks = [first] if first > now else []
    anchor = first - timedelta(seconds=schedule.seconds) if isinstance(schedule, IntervalSchedule) else first
    return ticks + preview(schedule, base=max(first, now), anchor=anchor, count=count - len(ticks))
