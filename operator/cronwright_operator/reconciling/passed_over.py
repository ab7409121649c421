"""Ticks that were due and that no run will come of, because an edit has moved the watermark over them. Pure.

An edit fires nothing: what was due before it was seen and has not started never will. Most of the time there is no such
tick. There is while a task could not run (its Project was gone, its schedule wrong), for one that waited for its share
of the spread, and for one whose Job was refused; the history says why each of these did not run.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from cronwright_core.domain.cluster import StopReason
from cronwright_core.domain.schedule import CronSchedule, OnceSchedule, Schedule
from cronwright_core.domain.task import TaskStatus
from cronwright_core.domain.ticks import due_ticks
from cronwright_operator.reconciling.actions import RecordSkipped
from cronwright_operator.reconciling.observed import Observed

NOT_READY = "NotReady"
RESCHEDULED = "Rescheduled"
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


def passed_over(seen: Observed, schedule: Schedule, moved: TaskStatus, sure_after: timedelta) -> list[RecordSkipped]:
    """The ticks between the watermark of the task's status and that of `moved`, the status after an edit.

    The controller may have made a Job in its last moments that has not been seen yet; such a tick counts once it is
    older than `sure_after`, or if it was ours alone.
    """
    old = seen.task.status
    if old.schedule_hash is None or moved.schedule_hash is None or moved.schedule_hash == old.schedule_hash:
        return []
    (kind, before), (new_kind, after) = state_of(old.schedule_hash), state_of(moved.schedule_hash)
    made = {view.job.tick for view in seen.jobs if view.job.tick is not None}
    if before == ACTIVE and kind != new_kind:
        # The schedule as it was is not known any more, only the tick that was taken from the controller.
        if isinstance(schedule, OnceSchedule) and schedule.at is None and moved.anchor_time is not None:
            made.add(moved.anchor_time)  # it runs at this very moment, and a run is known by its time
        return [RecordSkipped(tick, RESCHEDULED, _WAS_RESCHEDULED) for tick in _claimed(old, moved) if tick not in made]
    if kind != new_kind or before == SUSPENDED or moved.last_schedule_time is None:
        return []
    reason, message = NOT_READY, _WAS_NOT_READY
    if before == UNACCEPTED and after == SUSPENDED:
        return []
    if before == ACTIVE:
        if after != SUSPENDED:
            return []
        reason, message = StopReason.SUSPENDED.value, _WAS_SUSPENDED
    anchor = old.anchor_time or seen.task.creation_time
    due = due_ticks(
        schedule,
        base=old.last_schedule_time or anchor,
        anchor=anchor,
        now=moved.last_schedule_time,
        made=made,
        missed_message=message,
    )
    skipped = [RecordSkipped(skip.tick, reason, skip.message, skip.count) for skip in due.skipped]
    if due.run is not None:
        skipped.append(RecordSkipped(due.run, reason, message))
    if before == ACTIVE and isinstance(schedule, CronSchedule):
        ours = set(_claimed(old, moved))
        skipped = [skip for skip in skipped if skip.tick in ours or skip.tick + sure_after <= seen.now]
    return skipped


def _claimed(old: TaskStatus, moved: TaskStatus) -> Iterator[datetime]:
    """The tick that was taken from the controller and not decided yet, if the watermark moves over it."""
    tick, until = old.claimed_time, moved.last_schedule_time
    decided = old.last_schedule_time
    if tick is not None and until is not None and tick <= until and (decided is None or tick > decided):
        yield tick
