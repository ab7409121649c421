"""What a list shows of each task and execution: tuples, in the order of the columns that are read for them.

A list is the read that is asked for most, and a page of twenty whole records costs more than its SQL.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from cronwright_core.store.records.executions import ExecutionRecord, duration_seconds
from cronwright_core.store.records.tasks import TaskRecord


class ListedTask(NamedTuple):
    """A task as a list shows it: what of `TaskRecord` is shown there, in the order in which it is read."""

    task_id: int
    name: str
    description: str | None
    project_id: int | None
    schedule_type: str
    schedule: str
    is_active: bool
    status: str
    next_run_time: datetime | None
    created_at: datetime
    updated_at: datetime
    owner: str
    time_zone: str
    last_execution_id: str | None
    last_status: str | None
    last_start_time: datetime | None
    last_end_time: datetime | None

    @classmethod
    def of(cls, task: TaskRecord) -> ListedTask:
        """The same of a whole record."""
        last = task.last_execution
        return cls(
            task_id=task.task_id,
            name=task.spec.display_name,
            description=task.spec.description,
            project_id=task.project_id,
            schedule_type=task.spec.schedule_type.value,
            schedule=task.spec.schedule,
            is_active=task.is_active,
            status=task.status.value,
            next_run_time=task.next_run_time,
            created_at=task.created_at,
            updated_at=task.updated_at,
            owner=task.owner,
            time_zone=task.spec.time_zone,
            last_execution_id=None if last is None else last.execution_id,
            last_status=None if last is None else last.status.value,
            last_start_time=None if last is None else last.start_time,
            last_end_time=None if last is None else last.end_time,
        )


class ListedExecution(NamedTuple):
    """An execution as a list shows it: what of `ExecutionRecord` is shown there, in the order in which it is read."""

    execution_id: str
    task_id: int
    status: str
    start_time: datetime | None
    end_time: datetime | None
    exit_code: int | None
    output_summary: str | None
    error_message: str | None
    created_at: datetime
    kind: str
    scheduled_time: datetime | None
    requested_by: str | None
    reason: str | None
    time: datetime

    @property
    def duration_seconds(self) -> int | None:
        """Whole seconds from start to end, or None while either is unknown."""
        return duration_seconds(self.start_time, self.end_time)

    @classmethod
    def of(cls, execution: ExecutionRecord) -> ListedExecution:
        """The same of a whole record."""
        return cls(
            execution_id=execution.execution_id,
            task_id=execution.task_id,
            status=execution.status.value,
            start_time=execution.start_time,
            end_time=execution.end_time,
            exit_code=execution.exit_code,
            output_summary=execution.output_summary,
            error_message=execution.error_message,
            created_at=execution.created_at,
            kind=execution.kind.value,
            scheduled_time=execution.scheduled_time,
            requested_by=execution.requested_by,
            reason=execution.reason,
            time=execution.time,
        )
