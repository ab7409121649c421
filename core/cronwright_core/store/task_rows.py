"""A task's spec as columns and back; the one SQL expression for its status. No statement is run here."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, not_, or_, select, true

from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.domain.task import ConcurrencyPolicy, Overrides, TaskSpec
from cronwright_core.store.columns import AnyRow
from cronwright_core.store.models import projects, task_stats, tasks
from cronwright_core.store.records.tasks import LastExecution, TaskRecord, TaskStats

STATUS: ColumnElement[str] = case(
    (func.coalesce(task_stats.c.running, 0) > 0, ExecutionStatus.RUNNING.value),
    (or_(func.coalesce(task_stats.c.waiting, 0) > 0, not_(tasks.c.completed)), ExecutionStatus.PENDING.value),
    else_=func.coalesce(task_stats.c.last_status, ExecutionStatus.PENDING.value),
)
"""A task's status: RUNNING while an execution runs; otherwise PENDING as long as a further run waits or will come; else
the last execution's. Output and filter both use this expression."""


def from_task_spec(spec: TaskSpec) -> dict[str, Any]:
    """The columns that users see and can change, except owner and project."""
    overrides = spec.overrides
    return {
        "name": spec.display_name,
        "description": spec.description,
        "schedule_type": spec.schedule_type.value,
        "schedule_config": spec.schedule,
        "time_zone": spec.time_zone,
        "is_active": not spec.suspend,
        "timeout_seconds": spec.timeout_seconds,
        "max_instances": spec.max_instances,
        "retry_count": spec.retry_count,
        "priority": spec.priority,
        "spec": {
            "project_name": spec.project_name,
            "owner": spec.owner,
            "concurrency_policy": spec.concurrency_policy.value,
            "max_queued": spec.max_queued,
            "starting_deadline_seconds": spec.starting_deadline_seconds,
            "pending_deadline_seconds": spec.pending_deadline_seconds,
            "spread_seconds": spec.spread_seconds,
            "image": overrides.image,
            "command": None if overrides.command is None else list(overrides.command),
            "args": None if overrides.args is None else list(overrides.args),
            "env": [dict(variable) for variable in overrides.env],
            "resources": None if overrides.resources is None else dict(overrides.resources),
        },
    }


def to_task_spec(row: AnyRow) -> TaskSpec:
    """The spec that `from_task_spec` wrote."""
    further = row.spec
    return TaskSpec(
        display_name=row.name,
        project_name=further["project_name"],
        schedule_type=ScheduleType(row.schedule_type),
        schedule=row.schedule_config,
        description=row.description,
        owner=further["owner"],
        time_zone=row.time_zone,
        suspend=not row.is_active,
        timeout_seconds=row.timeout_seconds,
        max_instances=row.max_instances,
        retry_count=row.retry_count,
        priority=row.priority,
        concurrency_policy=ConcurrencyPolicy(further["concurrency_policy"]),
        max_queued=further["max_queued"],
        starting_deadline_seconds=further["starting_deadline_seconds"],
        pending_deadline_seconds=further["pending_deadline_seconds"],
        spread_seconds=further["spread_seconds"],
        overrides=Overrides(
            image=further["image"],
            command=_tuple(further["command"]),
            args=_tuple(further["args"]),
            env=tuple(further["env"]),
            resources=further["resources"],
        ),
    )


def select_tasks() -> Select[*tuple[Any, ...]]:
    """Active tasks with their project's name, statistics and status: everything that `to_task_record` needs."""
    return (
        select(
            tasks,
            projects.c.display_name.label("project_name"),
            STATUS.label("status"),
            *(column for column in task_stats.c if column.name != "task_id"),
        )
        .select_from(
            tasks.outerjoin(task_stats, task_stats.c.task_id == tasks.c.id).outerjoin(
                projects, projects.c.id == tasks.c.project_id
            )
        )
        .where(tasks.c.state == "active")
    )


def owned_by(owner: str | None) -> ColumnElement[bool]:
    """The tasks of one owner; None: of everybody."""
    return true() if owner is None else tasks.c.owner == owner


def to_stats(row: AnyRow) -> TaskStats:
    """The counts in a row that holds the columns of `task_stats`; zeros if they are null: nothing has run."""
    if row.waiting is None:
        return TaskStats()
    return TaskStats(
        waiting=row.waiting,
        running=row.running,
        success_count=row.success_count,
        failed_count=row.failed_count,
        cancelled_count=row.cancelled_count,
        duration_sum_seconds=row.duration_sum_seconds,
        duration_count=row.duration_count,
        last_success=row.last_success,
        last_failure=row.last_failure,
    )


def to_last_execution(row: AnyRow) -> LastExecution | None:
    """The newest execution in a row that holds the columns of `task_stats`."""
    if row.last_execution_id is None:
        return None
    return LastExecution(
        execution_id=row.last_execution_id,
        time=row.last_execution_time,
        status=ExecutionStatus(row.last_status),
        start_time=row.last_start_time,
        end_time=row.last_end_time,
    )


def to_task_record(row: AnyRow) -> TaskRecord:
    """A row of `select_tasks`."""
    return TaskRecord(
        task_id=row.id,
        owner=row.owner,
        project_id=row.project_id,
        project_name=row.project_name,
        namespace=row.namespace,
        cr_uid=row.cr_uid,
        cr_name=row.cr_name,
        generation=row.generation,
        spec=to_task_spec(row),
        status=ExecutionStatus(row.status),
        next_run_time=row.next_run_time if row.is_active and not row.completed else None,
        ready=row.ready,
        ready_reason=row.ready_reason,
        ready_message=row.ready_message,
        completed=row.completed,
        created_at=row.created_at,
        updated_at=row.updated_at,
        stats=to_stats(row),
        last_execution=to_last_execution(row),
    )


def _tuple(value: list[str] | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(value)
