"""Ticks that were due and that no run will come of, because an edit has moved the watermark over them. Pure.

An edit fires nothing: what was due before it was seen and has not started never will. Most of the time there is no such
tick. There is while a task could not run (its Project was gone, its schedule wrong), for one that waited for its share
of the spread, and for one whose Job was refused; the history says why each of these did not run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cronwright_core.domain.cluster import StopReason
from cronwright_core.domain.schedule import (
    CronSchedule,
    OnceSchedule,
    Schedule,
    ScheduleType,
    next_time,
    parse_schedule,
)
from cronwright_core.domain.schedule_errors import ScheduleError
from cronwright_core.domain.task import TaskStatus
from cronwright_core.domain.ticks import MISSED, MISSED_MESSAGE, due_ticks
from cronwright_core.domain.times import lags
from cronwright_operator.reconciling.actions import RecordSkipped
from cronwright_operator.reconciling.observed import Observed

NOT_READY = "NotReady"
RESCHEDULED = "Rescheduled"
JOB_DELETED = "its Job was deleted before it was recorded"
_WAS_NOT_READY = "the task could not run then; its condition Ready said why"
_WAS_SUSPENDED = "its task was suspended before it could start"
_WAS_RESCHEDULED = "its task's schedule was changed before it could start"

ACTIVE, SUSPENDED, REFUSED, UNACCEPTED = "active", "suspended", "refused", "new"
"""What stands behind the schedule in `status.scheduleHash`: whether its ticks were to run. UNACCEPTED: the task could
not run since it was created."""


def state_of(schedule_hash: str) -> tuple[str, str]:
    """(the schedule, one of ACTIVE, SUSPENDED, REFUSED, UNACCEPTED)"""
    kind, _, state = schedule_hash.partition("-")
    return kind, state


@dataclass(frozen=True, slots=True)
class PassedOver:
    """`skipped` did not run. Whether a tick of `unsure` ran the API server knows alone: it is asked before the edit
    counts, as afterwards nothing tells of the tick."""

    skipped: tuple[RecordSkipped, ...] = ()
    unsure: tuple[datetime, ...] = ()


def passed_over(seen: Observed, schedule: Schedule, moved: TaskStatus, sure_after: timedelta) -> PassedOver:
    """The ticks between the watermark of the task's status and that of `moved`, the status after an edit.

    The controller may have made a Job in its last moments that has not been seen yet. Such a tick is sure once it is
    older than `sure_after`, if it was ours alone, or when the API server has said that there is no Job.
    """
    old = seen.task.status
    if old.schedule_hash is None or moved.schedule_hash is None or moved.schedule_hash == old.schedule_hash:
        return PassedOver()
    (kind, before), (new_kind, after) = state_of(old.schedule_hash), state_of(moved.schedule_hash)
    if before == ACTIVE and kind != new_kind:
        return _sorted_out(seen, _rescheduled(seen, schedule, moved), sure_after, asks=_live(seen))
    if kind != new_kind or before == SUSPENDED or (before == UNACCEPTED and after == SUSPENDED):
        return PassedOver()
    if before == ACTIVE:
        found = _due(seen, schedule, moved, StopReason.SUSPENDED.value, _WAS_SUSPENDED)
        return _sorted_out(seen, found, sure_after, asks=isinstance(schedule, CronSchedule))
    # A predecessor may have ended after it let the CronJob go and before it wrote so: then the controller runs ticks.
    found = _due(seen, schedule, moved, NOT_READY, _WAS_NOT_READY)
    return _sorted_out(seen, found, sure_after, asks=isinstance(schedule, CronSchedule) and _live(seen))


def missed_before(
    seen: Observed, schedule: Schedule | None, current_hash: str, accepted: datetime | None
) -> list[RecordSkipped]:
    """Ticks that nobody ran before the newest one that the controller did, of a task that has become unable to run."""
    old = seen.task.status
    kind, state = state_of(old.schedule_hash or "")
    if schedule is None or accepted is None or state != ACTIVE or kind != state_of(current_hash)[0]:
        return []
    return _due(seen, schedule, replace(old, last_schedule_time=accepted), MISSED, MISSED_MESSAGE)


def _due(
    seen: Observed, schedule: Schedule, moved: TaskStatus, reason: str, message: str, base: datetime | None = None
) -> list[RecordSkipped]:
    """Ticks without a Job after `base` (the old watermark, if None) up to the new watermark, oldest first."""
    old = seen.task.status
    anchor = old.anchor_time or seen.task.creation_time
    now = moved.last_schedule_time or anchor
    base = base or old.last_schedule_time or anchor
    due = due_ticks(schedule, base=base, anchor=anchor, now=now, made=_made(seen), missed_message=message)
    skipped = [RecordSkipped(skip.tick, reason, skip.message, skip.count) for skip in due.skipped]
    if due.run is not None:
        skipped.append(RecordSkipped(due.run, reason, message))
    return skipped


def _rescheduled(seen: Observed, schedule: Schedule, moved: TaskStatus) -> list[RecordSkipped]:
    """What was due by the schedule as it was: of a Cron task the CronJob still has it, of any other one only the tick
    is known that was noted because it starts later."""
    old = seen.task.status
    made = _made(seen)
    if isinstance(schedule, OnceSchedule) and schedule.at is None and moved.anchor_time is not None:
        made.add(moved.anchor_time)  # it runs at this very moment, and a run is known by its time
    ticks = {tick: RecordSkipped(tick, RESCHEDULED, _WAS_RESCHEDULED) for tick in _noted(old, moved)}
    line = _line_as_it_stands(seen, schedule)
    if line is not None and seen.cronjob is not None:
        # A time there that is no tick is where an edit moved it: before that another line was in force.
        fired = seen.cronjob.last_schedule_time
        anchor = old.anchor_time or seen.task.creation_time
        base = old.last_schedule_time or anchor
        if fired is not None and next_time(line, base=fired - timedelta(seconds=1), anchor=anchor) != fired:
            base = max(base, fired)
        ticks |= {skip.tick: skip for skip in _due(seen, line, moved, RESCHEDULED, _WAS_RESCHEDULED, base)}
    return [ticks[tick] for tick in sorted(ticks) if tick not in made]


def _line_as_it_stands(seen: Observed, wanted: Schedule) -> CronSchedule | None:
    """The CronJob's schedule, if it is not the edited one already: then a predecessor ended before it wrote the task's
    status, and the old one is not known any more."""
    cronjob = seen.cronjob
    if cronjob is None or not _live(seen):
        return None
    try:
        line = parse_schedule(ScheduleType.CRON, cronjob.schedule, cronjob.time_zone or "UTC")
    except ScheduleError:
        return None
    return line if isinstance(line, CronSchedule) and line != wanted else None


def _sorted_out(seen: Observed, found: list[RecordSkipped], sure_after: timedelta, *, asks: bool) -> PassedOver:
    """`asks`: the controller could have made Jobs of these ticks."""
    unsure = tuple(
        skip.tick
        for skip in found
        if asks
        and skip.tick + sure_after > seen.now
        and skip.tick not in seen.gone_ticks
        and not _is_ours(seen, skip.tick)
    )
    return PassedOver(tuple(_told(seen, skip) for skip in found), unsure)


def _told(seen: Observed, skip: RecordSkipped) -> RecordSkipped:
    """With the reason that it was run and its Job deleted, if the CronJob's status says so."""
    ran = seen.cronjob is not None and seen.cronjob.last_schedule_time == skip.tick and not _is_ours(seen, skip.tick)
    return replace(skip, reason=StopReason.DELETED.value, message=JOB_DELETED) if ran else skip


def _is_ours(seen: Observed, tick: datetime) -> bool:
    """Whether a tick was taken from the controller."""
    return (
        seen.task.status.claimed_time == tick
        and seen.cronjob is not None
        and not lags(seen.cronjob.last_schedule_time, tick)
    )


def _noted(old: TaskStatus, moved: TaskStatus) -> Iterator[datetime]:
    """The tick that was noted and not decided yet, if the watermark moves over it."""
    tick, until = old.claimed_time, moved.last_schedule_time
    if tick is not None and not lags(until, tick) and lags(old.last_schedule_time, tick):
        yield tick


def _made(seen: Observed) -> set[datetime]:
    return {view.job.tick for view in seen.jobs if view.job.tick is not None}


def _live(seen: Observed) -> bool:
    return seen.cronjob is not None and not seen.cronjob.suspend and not seen.cronjob.deleting
