"""Answers of the execution endpoints, as the customer's document has them; additions follow below these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field

from cronwright_api.envelope import Instant
from cronwright_api.schemas.running import ProgressOut
from cronwright_core.domain import naming
from cronwright_core.domain.execution import Attempt, ExecutionKind, ExecutionStatus
from cronwright_core.store.records.executions import ExecutionRecord, duration_seconds
from cronwright_core.store.records.logs import LogFile, LogType


class ExecutionItem(BaseModel):  # written by `schemas.lists`
    """An execution in endpoint 9's list."""

    execution_id: str
    task_id: int
    status: ExecutionStatus
    start_time: Instant | None
    end_time: Instant | None
    duration_seconds: int | None
    exit_code: int | None
    output_summary: str | None
    error_message: str | None
    log_file_path: str
    error_log_path: str
    created_at: Instant
    kind: ExecutionKind = Field(description="Scheduled, or Adhoc for a manual run")
    scheduled_time: Instant | None
    requested_by: str | None
    reason: str | None = Field(description="one CamelCase word: why it ended or waits")


class ResourceUsage(BaseModel):
    """What was used, as far as the nodes were sampled; null where nothing was measured."""

    max_memory_mb: float | None = Field(description="the highest working set seen, in units of 2^20 bytes")
    avg_cpu_percent: float | None = Field(description="percent of one CPU, over the run up to the last sample")


class AttemptOut(BaseModel):
    """One Pod of an execution: the first try or a retry."""

    number: int
    status: ExecutionStatus
    start_time: Instant | None
    end_time: Instant | None
    duration_seconds: int | None
    exit_code: int | None
    reason: str | None
    message: str | None
    pod_name: str
    node_name: str | None
    resource_usage: ResourceUsage

    @classmethod
    def of(cls, attempt: Attempt) -> AttemptOut:
        """From the domain's attempt."""
        return cls(
            number=attempt.number,
            status=attempt.status,
            start_time=attempt.start_time,
            end_time=attempt.end_time,
            duration_seconds=duration_seconds(attempt.start_time, attempt.end_time),
            exit_code=attempt.exit_code,
            reason=attempt.reason,
            message=attempt.message,
            pod_name=attempt.pod_name,
            node_name=attempt.node_name,
            resource_usage=ResourceUsage(max_memory_mb=attempt.max_memory_mb, avg_cpu_percent=attempt.avg_cpu_percent),
        )


class ExecutionDetail(ExecutionItem):
    """An execution, as endpoint 10 answers."""

    task_name: str
    workspace_path: str | None = Field(description="null: the run has no workspace volume")
    resource_usage: ResourceUsage
    message: str | None = Field(description="the same in a sentence")
    project_id: int | None
    project_name: str | None
    attempts: list[AttemptOut]
    progress: ProgressOut
    parameters: list[str] = Field(
        description="names of the variables that this run alone was given; no values are kept"
    )
    log_incomplete: bool = Field(description="true: something that was written could not be read")

    @classmethod
    def with_attempts(cls, execution: ExecutionRecord, attempts: Sequence[Attempt]) -> ExecutionDetail:
        """From the store's records."""
        return cls(
            **_execution_fields(execution),
            task_name=execution.task_name,
            workspace_path=naming.workspace_path(execution.execution_id) if execution.workspace_claim else None,
            resource_usage=ResourceUsage(
                max_memory_mb=execution.max_memory_mb, avg_cpu_percent=execution.avg_cpu_percent
            ),
            message=execution.message,
            project_id=execution.project_id,
            project_name=execution.project_name,
            attempts=[AttemptOut.of(attempt) for attempt in attempts],
            progress=ProgressOut(current_step=execution.progress_step, progress_percent=execution.progress_percent),
            parameters=list(execution.parameters or ()),
            log_incomplete=execution.log_incomplete,
        )


class LogOut(BaseModel):
    """The end of a log, as endpoint 11 answers; size, count and time speak of the whole file."""

    execution_id: str
    log_type: LogType
    content: list[str]
    file_path: str
    file_size: int = Field(description="bytes")
    lines_count: int
    last_modified: Instant | None
    log_incomplete: bool = Field(description="true: something that was written could not be read")
    merged: bool = Field(description="true: the cluster cannot tell stdout and stderr apart; both stand in `output`")
    complete: bool = Field(description="true: no more will come")
    cut_lines: int = Field(description="lines left out of the middle, as the size of a log is limited")
    cut_bytes: int = Field(description="their bytes")

    @classmethod
    def of(cls, execution_id: str, log_type: LogType, log: LogFile) -> LogOut:
        """From the store's record."""
        return cls(
            execution_id=execution_id,
            log_type=log_type,
            content=list(log.content),
            file_path=naming.log_path(execution_id, log_type),
            file_size=log.file_size,
            lines_count=log.lines_count,
            last_modified=log.last_modified,
            log_incomplete=log.incomplete,
            merged=log.merged,
            complete=log.complete,
            cut_lines=log.cut_lines,
            cut_bytes=log.cut_bytes,
        )


def _execution_fields(execution: ExecutionRecord) -> dict[str, Any]:
    id_ = execution.execution_id
    return {
        "execution_id": id_,
        "task_id": execution.task_id,
        "status": execution.status,
        "start_time": execution.start_time,
        "end_time": execution.end_time,
        "duration_seconds": execution.duration_seconds,
        "exit_code": execution.exit_code,
        "output_summary": execution.output_summary,
        "error_message": execution.error_message,
        "log_file_path": naming.log_path(id_, "output"),
        "error_log_path": naming.log_path(id_, "error"),
        "created_at": execution.created_at,
        "kind": execution.kind,
        "scheduled_time": execution.scheduled_time,
        "requested_by": execution.requested_by,
        "reason": execution.reason,
    }
