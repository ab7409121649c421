"""What is told of tasks, and kept of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Self

from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.domain.project import Project, owner_of
from cronwright_core.domain.task import ScheduledTask, TaskSpec
from cronwright_core.store.records.executions import duration_seconds

TaskSort = Literal[
    "created_at", "-created_at", "name", "-name", "next_run_time", "-next_run_time", "priority", "-priority"
]
"""What a list of tasks is ordered by; with a minus from the greatest down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDraft:
    """A task about to be created by REST: `owner` is whose name it takes, `spec` what its resource will say.

    Or about to be renamed: then `namespace` and `cr_name` are those of its resource.
    """

    owner: str
    project_id: int
    spec: TaskSpec
    namespace: str | None = None
    cr_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreationKey:
    """A caller's Idempotency-Key of a creation. `body_digest` tells the same request from another one."""

    caller: str
    key_hash: str
    body_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservedTask:
    """A row that a key has made: `active` once its resource exists, before that to be completed with this very spec."""

    task_id: int
    active: bool
    project_id: int | None
    spec: TaskSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskProjection:
    """A ScheduledTask resource as it is to be projected.

    `owner` is the effective owner: `spec.owner`, else the Project's; None while neither is known: the row's own stays,
    as a task does not become a stranger's because its Project was deleted. `project_id` is None while the Project is
    unknown.
    `task_id` is the id that the operator itself wrote into `status.taskId`, and is trusted; `labelled_task_id` stands
    in a label that any user can write, and only ever completes a pending row of the same owner and resource name.
    """

    cr_uid: str
    namespace: str
    cr_name: str
    generation: int
    creation_time: datetime
    owner: str | None
    project_id: int | None
    spec: TaskSpec
    task_id: int | None = None
    labelled_task_id: int | None = None

    @classmethod
    def of(cls, task: ScheduledTask, project: Project | None) -> Self:
        """The projection of a resource as last seen, with its Project if there is one."""
        return cls(
            cr_uid=task.uid,
            namespace=task.namespace,
            cr_name=task.name,
            generation=task.generation,
            creation_time=task.creation_time,
            owner=owner_of(task, project),
            project_id=project.project_id if project else None,
            spec=task.spec,
            task_id=task.status.task_id,
            labelled_task_id=task.task_id_label,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectedTask:
    """What an active row holds that the operator has written: enough to know that it need not write it again."""

    cr_uid: str
    task_id: int
    generation: int
    owner: str
    project_id: int | None
    next_run_time: datetime | None
    ready: bool | None
    reason: str | None
    message: str | None
    completed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingTask:
    """A row whose resource was about to be created; somebody died in between, or is still at it."""

    task_id: int
    owner: str
    name: str
    project_id: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTask:
    """A row that stands for a resource, to be compared with what the cluster still has."""

    cr_uid: str
    namespace: str
    cr_name: str
    task_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskIdentity:
    """What an execution's row says of its task."""

    task_id: int
    name: str
    owner: str
    project_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastExecution:
    """The newest execution of a task, by its time."""

    execution_id: str
    time: datetime
    status: ExecutionStatus
    start_time: datetime | None
    end_time: datetime | None

    @property
    def duration_seconds(self) -> int | None:
        """Whole seconds from start to end, or None while either is unknown."""
        return duration_seconds(self.start_time, self.end_time)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStats:
    """Counts over all executions of a task, also those whose details have been dropped. TIMEOUT counts as failed."""

    waiting: int = 0
    running: int = 0
    success_count: int = 0
    failed_count: int = 0
    cancelled_count: int = 0
    duration_sum_seconds: float = 0.0
    duration_count: int = 0
    last_success: datetime | None = None
    last_failure: datetime | None = None

    @property
    def total_executions(self) -> int:
        """Succeeded and failed ones, as the customer's document counts them."""
        return self.success_count + self.failed_count

    @property
    def success_rate(self) -> float:
        """The share of succeeded ones, 0 to 1; 0 while none has ended."""
        return self.success_count / self.total_executions if self.total_executions else 0.0

    @property
    def average_duration_seconds(self) -> float | None:
        """The mean over ended executions that had started, or None if there is none."""
        return self.duration_sum_seconds / self.duration_count if self.duration_count else None


@dataclass(frozen=True, slots=True)
class DayCounts:
    """What ended of a task's executions on one day, by its own clock. TIMEOUT counts as failed."""

    day: date
    success: int
    failed: int
    cancelled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStatistics:
    """How a task's executions went: over its whole life, and by day (newest first; days without any are left out)."""

    stats: TaskStats
    last_execution: LastExecution | None
    days: tuple[DayCounts, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """A task as readers see it. `project_name` is the Project's display name (`spec.project_name` its resource's).

    `status` is RUNNING while an execution runs; otherwise PENDING as long as a further run waits or will come; else the
    last execution's. `next_run_time` is None while the task is paused and after its only run. `ready` is None until the
    operator has judged it.
    """

    task_id: int
    owner: str
    project_id: int | None
    project_name: str | None
    namespace: str | None
    cr_uid: str | None
    cr_name: str | None
    generation: int | None
    spec: TaskSpec
    status: ExecutionStatus
    next_run_time: datetime | None
    ready: bool | None
    ready_reason: str | None
    ready_message: str | None
    completed: bool
    created_at: datetime
    updated_at: datetime
    stats: TaskStats
    last_execution: LastExecution | None

    @property
    def is_active(self) -> bool:
        """Whether the task is not paused."""
        return not self.spec.suspend
