"""The parts of a task's status: its executions as the cluster shows them, and the Ready condition. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from cronwright_core.domain import naming
from cronwright_core.domain.execution import ExecutionKind, ExecutionStatus
from cronwright_core.domain.schedule import CronSchedule, DateSchedule, OnceSchedule, Schedule
from cronwright_core.domain.task import ActiveExecution, Condition, ScheduledTask, TaskStatus
from cronwright_core.domain.times import latest, whole_seconds
from cronwright_operator.reconciling.observed import JobView, Observed


def with_observed_runs(seen: Observed, status: TaskStatus) -> TaskStatus:
    """The parts of the status that speak of executions; what is no longer in the cluster stays as it was."""
    views = [view for view in seen.jobs if view.job.accepted or view.job.deletion_time is None]
    active = tuple(
        _active(view)
        for view in sorted(views, key=lambda view: (view.job.creation_time, view.job.name))
        if not view.state.status.ended
    )[:1000]
    started = [view for view in views if view.state.start_time is not None or view.state.status.ended]
    newest = max(started, key=lambda view: (view.job.creation_time, view.job.name), default=None)
    known = {view.execution_id for view in views}
    last = status.last_execution_id
    if last is not None and last not in known and (newest is None or newest.execution_id < last):
        # The newest execution (ids begin with their time) is not in the cluster any more: somebody deleted its Job, or
        # it is recorded and was cleaned up. How it ended its record tells.
        newest = None
        if seen.last_outcome is not None:
            status = replace(status, last_execution_status=seen.last_outcome.value)
    succeeded = [v.state.end_time for v in views if v.state.status is ExecutionStatus.SUCCESS]
    return replace(
        status,
        active=active,
        last_execution_id=newest.execution_id if newest else status.last_execution_id,
        last_execution_status=newest.state.status.value if newest else status.last_execution_status,
        last_successful_time=latest(status.last_successful_time, *succeeded),
    )


def _active(view: JobView) -> ActiveExecution:
    waits = view.job.suspended and not view.job.stopping
    return ActiveExecution(
        view.execution_id,
        view.job.name,
        view.state.status.value,
        view.state.reason if waits else None,
        view.state.message if waits else None,
    )


def with_ready(task: ScheduledTask, ready: bool, reason: str, message: str, now: datetime) -> tuple[Condition, ...]:
    """The conditions with Ready set; its transition time moves only when its state does."""
    old = task.status.ready
    since = old.last_transition_time if old is not None and old.status == ready else whole_seconds(now)
    new = Condition("Ready", ready, reason, message[:32_768], since, task.generation)
    return (*(c for c in task.status.conditions if c.type != "Ready"), new)


def ready_message(seen: Observed, schedule: Schedule, status: TaskStatus) -> str:
    """What Ready says of a task that is understood; `status` is the one to be written, its executions included."""
    if status.completion_time is not None:
        return (
            f"{'its run was started' if _ran(seen, schedule, status) else 'its time is over'}; no further run will come"
        )
    if seen.task.spec.suspend:
        return "suspended: no new runs until spec.suspend is false"
    return "runs as a native CronJob" if isinstance(schedule, CronSchedule) else "runs are started at their times"


def _ran(seen: Observed, schedule: Schedule, status: TaskStatus) -> bool:
    """Whether there is an execution of the only tick: one that came while the task was suspended, or was skipped, is
    over as well."""
    tick = schedule.at if isinstance(schedule, DateSchedule | OnceSchedule) else None
    tick = tick or status.anchor_time
    if tick is None:
        return False
    id_ = naming.execution_id(seen.task.uid, ExecutionKind.SCHEDULED, tick, "")
    return id_ == status.last_execution_id or any(view.execution_id == id_ for view in seen.jobs)
