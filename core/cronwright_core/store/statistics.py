"""The statistics of each task, kept in step with its executions by differences, in the same transaction.

`task_stats` holds one row a task, so that a list of tasks with status, counts and last execution needs no aggregate,
and figures outlive the details; `daily_counts` keeps one a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, and_, case, func, literal, or_, select, tuple_
from sqlalchemy.dialects.postgresql import Insert, insert

from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.domain.times import latest
from cronwright_core.store import daily_counts
from cronwright_core.store.models import executions, task_stats

Values = dict[str, Any]

_COUNTED = (
    "waiting",
    "running",
    "success_count",
    "failed_count",
    "cancelled_count",
    "duration_sum_seconds",
    "duration_count",
)
_LAST = ("last_execution_id", "last_execution_time", "last_status", "last_start_time", "last_end_time")
_COLUMN_OF = {
    ExecutionStatus.PENDING: "waiting",
    ExecutionStatus.RUNNING: "running",
    ExecutionStatus.SUCCESS: "success_count",
    ExecutionStatus.FAILED: "failed_count",
    ExecutionStatus.TIMEOUT: "failed_count",
    ExecutionStatus.CANCELLED: "cancelled_count",
}


def contribution(row: Mapping[str, Any]) -> dict[str, float]:
    """What one execution adds to its task's counts. Durations count for runs that ended by themselves or by timeout."""
    status = ExecutionStatus(row["status"])
    counts: dict[str, float] = dict.fromkeys(_COUNTED, 0)
    counts[_COLUMN_OF[status]] = 1
    start, end = row["start_time"], row["end_time"]
    if status.ended and status is not ExecutionStatus.CANCELLED and start is not None and end is not None:
        counts["duration_sum_seconds"] = max(0.0, (end - start).total_seconds())
        counts["duration_count"] = 1
    return counts


def keep_in_step(connection: Connection, pairs: Sequence[tuple[Mapping[str, Any] | None, Mapping[str, Any]]]) -> None:
    """Brings all statistics along with executions that were written: (old row or None, new row) each.

    The rows are locked in order of task id, after those of `executions`; the daily counts of a task come after its row,
    so whoever writes them holds its lock: no deadlock.
    """
    apply_changes(connection, changes(pairs))
    daily_counts.keep_in_step(connection, pairs)


def changes(pairs: Iterable[tuple[Mapping[str, Any] | None, Mapping[str, Any]]]) -> list[Values]:
    """Rows of differences, one per task and in order of task id, from (old row or None, new row) of executions."""
    by_task: dict[int, Values] = {}
    for old, new in pairs:
        change = by_task.setdefault(
            new["task_id"],
            {
                "task_id": new["task_id"],
                **dict.fromkeys(_COUNTED, 0),
                **dict.fromkeys((*_LAST, "last_success", "last_failure")),
            },
        )
        before = contribution(old) if old is not None else dict.fromkeys(_COUNTED, 0)
        after = contribution(new)
        for column in _COUNTED:
            change[column] += after[column] - before[column]
        ended: datetime = new["end_time"] or new["execution_time"]
        if new["status"] == ExecutionStatus.SUCCESS:
            change["last_success"] = latest(change["last_success"], ended)
        elif new["status"] in (ExecutionStatus.FAILED, ExecutionStatus.TIMEOUT):
            change["last_failure"] = latest(change["last_failure"], ended)
        if change["last_execution_id"] is None or _order(new) >= (
            change["last_execution_time"],
            change["last_execution_id"],
        ):
            change |= last_of(new)
    return [by_task[task_id] for task_id in sorted(by_task)]


def last_of(row: Mapping[str, Any]) -> Values:
    """The `last_*` columns for an execution that is its task's newest."""
    return {
        "last_execution_id": row["execution_id"],
        "last_execution_time": row["execution_time"],
        "last_status": row["status"],
        "last_start_time": row["start_time"],
        "last_end_time": row["end_time"],
    }


def apply_changes(connection: Connection, rows: list[Values]) -> None:
    """Adds the differences to `task_stats`, in order of task id."""
    if rows:
        connection.execute(_apply_changes(), rows)


@cache
def _apply_changes() -> Insert:
    statement = insert(task_stats)
    new = statement.excluded
    newer = or_(
        task_stats.c.last_execution_id.is_(None),
        tuple_(new.last_execution_time, new.last_execution_id)
        >= tuple_(task_stats.c.last_execution_time, task_stats.c.last_execution_id),
    )
    updates: dict[str, Any] = {column: task_stats.c[column] + new[column] for column in _COUNTED}
    updates |= {column: case((newer, new[column]), else_=task_stats.c[column]) for column in _LAST}
    # GREATEST ignores nulls in PostgreSQL.
    updates |= {column: func.greatest(task_stats.c[column], new[column]) for column in ("last_success", "last_failure")}
    return statement.on_conflict_do_update(index_elements=["task_id"], set_=updates)


def withdraw(connection: Connection, row: Mapping[str, Any]) -> None:
    """Takes a removed execution out of its task's row; the newest remaining one becomes the last."""
    counts = contribution(row)
    newest = (
        select(
            executions.c.execution_id.label("last_execution_id"),
            executions.c.execution_time.label("last_execution_time"),
            executions.c.status.label("last_status"),
            executions.c.start_time.label("last_start_time"),
            executions.c.end_time.label("last_end_time"),
        )
        .where(executions.c.task_id == row["task_id"])
        .order_by(executions.c.execution_time.desc(), executions.c.execution_id.desc())
        .limit(1)
    )
    was_last = connection.execute(
        select(literal(1))
        .select_from(task_stats)
        .where(
            and_(
                task_stats.c.task_id == row["task_id"],
                task_stats.c.last_execution_id == row["execution_id"],
                task_stats.c.last_execution_time == row["execution_time"],
            )
        )
        .with_for_update()
    ).one_or_none()
    updates: Values = {column: task_stats.c[column] - counts[column] for column in _COUNTED}
    if was_last is not None:
        last = connection.execute(newest).one_or_none()
        updates |= dict(last._mapping) if last is not None else dict.fromkeys(_LAST)
    connection.execute(task_stats.update().where(task_stats.c.task_id == row["task_id"]).values(**updates))
    daily_counts.keep_in_step(connection, [(row, None)])


def _order(row: Mapping[str, Any]) -> tuple[datetime, str]:
    return row["execution_time"], row["execution_id"]
