"""What a decision about a task is based on: one consistent snapshot, read before deciding. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import CronJobFacts, JobFacts
from cronwright_core.domain.execution import ExecutionKind, ExecutionState, ExecutionStatus
from cronwright_core.domain.project import Project
from cronwright_core.domain.task import ScheduledTask


@dataclass(frozen=True, slots=True)
class Registration:
    """What the projection said: the task's id, or why it could not be registered. None of both: not asked yet."""

    task_id: int | None = None
    name_taken: bool = False


@dataclass(frozen=True, slots=True)
class JobView:
    """A Job of the task and the state of its execution."""

    job: JobFacts
    state: ExecutionState
    execution_id: str


@dataclass(frozen=True, slots=True)
class Observed:
    """One consistent snapshot, read before deciding."""

    task: ScheduledTask
    project: Project | None
    cronjob: CronJobFacts | None
    jobs: tuple[JobView, ...]
    registration: Registration
    now: datetime
    project_refused: bool = False
    """The Project cannot be registered (its name is taken): its runs could never be recorded."""
    reserved: datetime | None = None
    """The tick for which a slot is held."""
    room: bool = True
    """Whether a run of the task would start at once if it were made now."""
    step_in: bool = True
    """Whether we keep the time of Cron tasks, or leave it to the CronJob controller."""
    gone_ticks: frozenset[datetime] = frozenset()
    """Ticks of which the API server has said lately that there is no Job."""
    priority_class: str | None = None
    """The PriorityClass of the task's Pods."""
    last_outcome: ExecutionStatus | None = None
    """How the execution that `status.lastExecutionId` names ended, if its Job may be gone already."""


def execution_id_of(job: JobFacts) -> str | None:
    """The id of the Job's execution, derived from its tick or request where the Job does not carry it yet."""
    if job.tick is not None:
        return naming.execution_id(job.task_uid, ExecutionKind.SCHEDULED, job.tick, "")
    if job.request_key is None:
        return None
    # Only a request's time stands nowhere but in the annotation; one that somebody changed does not count.
    time = naming.execution_time(job.execution_id or "")
    if time is not None:
        id_ = naming.execution_id(job.task_uid, ExecutionKind.ADHOC, time, job.request_key)
        if id_ == job.execution_id:
            return id_
    return naming.execution_id(job.task_uid, ExecutionKind.ADHOC, job.creation_time, job.request_key)
