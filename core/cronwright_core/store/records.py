"""What goes into the stores and what comes out: frozen data, free of SQLAlchemy. All instants are aware and UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Generic, Literal, TypeVar

from cronwright_core.domain.execution import ExecutionKind, ExecutionStatus
from cronwright_core.domain.log_position import LogPosition
from cronwright_core.domain.project import ProjectSpec
from cronwright_core.domain.task import TaskSpec

Item = TypeVar("Item")
Stream = Literal["stdout", "stderr", "all"]
"""A Pod's output as it was read: apart, or merged (`all`) where the cluster cannot tell them apart."""
LogType = Literal["output", "error"]
TaskSort = Literal[
    "created_at", "-created_at", "name", "-name", "next_run_time", "-next_run_time", "priority", "-priority"
]
"""What a list of tasks is ordered by; with a minus from the greatest down."""
ExecutionSort = Literal["time", "-time", "duration_seconds", "-duration_seconds"]
"""What a list of executions is ordered by; with a minus from the greatest down."""


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a list. `total` counts what the filters let through, on all pages; a page past the end is empty."""

    total: int
    page: int
    size: int
    items: tuple[Item, ...]


# Tasks


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


# Projects


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectDraft:
    """A Project about to be created by REST, or renamed: then `namespace` and `cr_name` are those of its resource."""

    spec: ProjectSpec
    namespace: str | None = None
    cr_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservedProject:
    """As `ReservedTask`."""

    project_id: int
    active: bool
    spec: ProjectSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectProjection:
    """A Project resource as it is to be projected. Ids as in `TaskProjection`."""

    cr_uid: str
    namespace: str
    cr_name: str
    generation: int
    creation_time: datetime
    spec: ProjectSpec
    project_id: int | None = None
    labelled_project_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingProject:
    """A row whose Project resource was about to be created."""

    project_id: int
    display_name: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveProject:
    """A row that stands for a Project resource."""

    cr_uid: str
    namespace: str
    cr_name: str
    project_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectRecord:
    """A Project as readers see it."""

    project_id: int
    namespace: str | None
    cr_uid: str | None
    cr_name: str | None
    generation: int | None
    spec: ProjectSpec
    ready: bool | None
    ready_reason: str | None
    ready_message: str | None
    created_at: datetime
    updated_at: datetime

    def may_use(self, user: str, *, is_admin: bool = False) -> bool:
        """Whether the user may create tasks in this Project: administrators, its owner and its members may."""
        return is_admin or user == self.spec.owner or user in self.spec.members


# Executions


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionRecord:
    """An execution as readers see it. `time` is its key's; `scheduled_time` the same, or None for a manual run.

    `project_name` is the Project's display name. `max_memory_mb` and `avg_cpu_percent` are None where nothing was
    measured. `progress_step` and `progress_percent` (0-100) are what attempt `progress_attempt` said last, or None.
    `workspace_claim` is None for a run without a directory, `workspace_left_by` names the last cleaning that could not
    remove it. `parameters` are the names of the variables that this run
    alone was given (None: none), `request_digest` what tells a repeated request from another one with the same key.
    """

    execution_id: str
    task_id: int
    task_uid: str
    task_name: str
    owner: str
    project_id: int | None
    project_name: str | None
    namespace: str
    job_name: str
    job_uid: str | None
    kind: ExecutionKind
    time: datetime
    scheduled_time: datetime | None
    request_key: str
    requested_by: str | None
    status: ExecutionStatus
    reason: str | None
    message: str | None
    admitted_time: datetime | None
    start_time: datetime | None
    end_time: datetime | None
    exit_code: int | None
    output_summary: str | None
    error_message: str | None
    max_memory_mb: float | None
    avg_cpu_percent: float | None
    log_incomplete: bool
    created_at: datetime
    updated_at: datetime
    progress_step: str | None = None
    progress_percent: int | None = None
    progress_attempt: int | None = None
    workspace_claim: str | None = None
    workspace_removed_at: datetime | None = None
    workspace_left_by: str | None = None
    parameters: tuple[str, ...] | None = None
    request_digest: str | None = None

    @property
    def duration_seconds(self) -> int | None:
        """Whole seconds from start to end, or None while either is unknown."""
        return duration_seconds(self.start_time, self.end_time)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedExecution:
    """A PENDING or RUNNING row: what the operator needs to find out what became of it."""

    execution_id: str
    task_id: int
    task_uid: str
    namespace: str
    job_name: str
    job_uid: str | None
    kind: ExecutionKind
    time: datetime
    request_key: str
    status: ExecutionStatus
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningExecution:
    """An execution that runs, for those who watch it. Progress as in `ExecutionRecord`."""

    execution_id: str
    task_id: int
    task_name: str
    start_time: datetime | None
    progress_step: str | None
    progress_percent: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningExecutions:
    """The executions that run, the latest started first; `total` counts also those beyond the limit."""

    total: int
    items: tuple[RunningExecution, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedExecution:
    """The row of a manual run. `created` is False if the same request had made it before; then `time` is that row's."""

    execution_id: str
    time: datetime
    created: bool
    status: ExecutionStatus
    digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedExecution:
    """What stands in the database for an execution after `record`.

    `attempt_numbers` maps a Pod's uid to the number that it keeps; it may differ from the one given, if earlier Pods
    are gone from the cluster. Logs are stored under this number.
    """

    execution_id: str
    status: ExecutionStatus
    changed: bool
    attempt_numbers: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordResult:
    """The outcome of `record`, committed. `executions` in the order of the batch, one for each execution id given."""

    executions: tuple[RecordedExecution, ...]

    @property
    def changed(self) -> int:
        """How many executions differed from what was stored."""
        return sum(execution.changed for execution in self.executions)


# Logs


@dataclass(frozen=True, slots=True, kw_only=True)
class LogAppend:
    """Whole lines to be stored behind the `from_line` lines that the stream has.

    `lines` are raw bytes, each line ended by a newline, `line_count` of them. `last_stamp` is the RFC 3339 stamp with
    nanoseconds of the last line as the kubelet gave it, `last_stamp_count` how many of the stored lines carry it:
    reading again from that stamp, so many lines are known. `partial_line`: the output's last line had no newline of
    its own. `incomplete_reason`: something before or behind these lines could not be read, and why. `complete`: no more
    will come.
    """

    execution_id: str
    execution_time: datetime
    attempt: int
    stream: Stream
    from_line: int
    lines: bytes
    line_count: int
    at: datetime
    last_stamp: str | None = None
    last_stamp_count: int = 0
    last_line_time: datetime | None = None
    partial_line: bool = False
    incomplete_reason: str | None = None
    complete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCursor:
    """How far a stream is stored."""

    attempt: int
    stream: Stream
    lines: int
    bytes: int
    last_stamp: str | None
    last_stamp_count: int
    last_line_time: datetime | None
    partial_line: bool
    complete: bool
    incomplete_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFile:
    """The end of an execution's log. `file_size` (bytes), `lines_count` and `last_modified` speak of the whole file.

    `incomplete`: something that was written could not be read. `merged`: stdout and stderr stand together in `output`,
    since the cluster cannot tell them apart. `complete`: no more will come. `cut_lines` and `cut_bytes` were left out
    of the middle, since a stream's size is limited; a line in their place says so. So does one at the beginning of
    `content` if that holds fewer lines than were asked for, since an answer's size is limited.
    """

    content: tuple[str, ...]
    file_size: int
    lines_count: int
    last_modified: datetime | None
    incomplete: bool
    merged: bool
    complete: bool
    cut_lines: int = 0
    cut_bytes: int = 0


@dataclass(frozen=True, slots=True)
class LogEnd:
    """How an execution (or an attempt) ended whose log has been read to the end."""

    status: ExecutionStatus
    exit_code: int | None
    reason: str | None
    log_incomplete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPortion:
    """What follows in a log: lines of one attempt. `position` is where the reader stands behind them.

    Without lines: `end` is None while more may come, and set when it is over.
    """

    lines: tuple[str, ...] = ()
    position: LogPosition | None
    end: LogEnd | None = None


# Workspaces


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceDirectory:
    """An execution's directory in the volume of a claim: named as its Job. `ended` is when the execution did."""

    namespace: str
    claim: str
    name: str
    ended: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceCleanup:
    """What came of a request to clean a project's workspace: directories of executions that ended before `cutoff`.

    The figures are those of Jobs that have reported; `finished_at` is None while it goes on. `oldest_removed` is the
    earliest end of an execution whose directory was removed. `problem` says why something was left. `claims_left` are
    the volumes that could not be had.
    """

    request_id: str
    project_id: int
    requested_by: str | None
    requested_at: datetime
    cutoff: datetime
    directories_removed: int
    bytes_freed: int
    directories_failed: int
    oldest_removed: datetime | None
    finished_at: datetime | None
    problem: str | None
    claims_left: tuple[str, ...] = ()


# The operator's sign of life


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """The active operator's last sign of life. `installation` None: of a release that gave no name."""

    holder: str
    version: str
    time: datetime
    tz_release: str
    details: Mapping[str, Any]
    installation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemSnapshot:
    """Counts over the whole installation. `active_tasks` are neither paused nor finished; `completed_executions` ended
    since the instant that was asked for.
    """

    active_tasks: int
    pending_executions: int
    running_executions: int
    completed_executions: int
    heartbeat: Heartbeat | None


@dataclass(frozen=True, slots=True)
class Notification:
    """A PostgreSQL notification: that something was committed. `payload` is JSON, see `notifications`."""

    channel: str
    payload: str


def duration_seconds(start: datetime | None, end: datetime | None) -> int | None:
    """Whole seconds (rounded) between two instants, never negative; None if either is missing."""
    if start is None or end is None:
        return None
    return max(0, round((end - start).total_seconds()))
