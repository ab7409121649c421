"""What is kept of executions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cronwright_core.domain.execution import ExecutionKind, ExecutionStatus

ExecutionSort = Literal["time", "-time", "duration_seconds", "-duration_seconds"]
"""What a list of executions is ordered by; with a minus from the greatest down."""


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


def duration_seconds(start: datetime | None, end: datetime | None) -> int | None:
    """Whole seconds (rounded) between two instants, never negative; None if either is missing."""
    if start is None or end is None:
        return None
    return max(0, round((end - start).total_seconds()))
