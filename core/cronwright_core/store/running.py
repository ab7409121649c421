"""What runs at this moment, for all who watch it; one statement."""

from __future__ import annotations

from sqlalchemy import func, select, text

from cronwright_core.store.execution_rows import owned_by
from cronwright_core.store.models import executions
from cronwright_core.store.records.executions import RunningExecution, RunningExecutions
from cronwright_core.store.session import Database

_RUNNING = text("executions.status = 'RUNNING'")
"""Literal, so that the planner matches the partial index of unfinished executions."""


def list_running(database: Database, *, owner: str | None, limit: int) -> RunningExecutions:
    """The executions in RUNNING, the latest started first, at most `limit`; `owner` None: everybody's."""
    statement = (
        select(
            executions.c.execution_id,
            executions.c.task_id,
            executions.c.task_name,
            executions.c.start_time,
            executions.c.progress_step,
            executions.c.progress_percent,
            func.count().over().label("total"),
        )
        .where(_RUNNING, owned_by(owner))
        .order_by(executions.c.start_time.desc().nulls_last(), executions.c.execution_id.desc())
        .limit(limit)
    )
    rows = database.read(lambda connection: connection.execute(statement).all())
    items = (
        RunningExecution(
            execution_id=row.execution_id,
            task_id=row.task_id,
            task_name=row.task_name,
            start_time=row.start_time,
            progress_step=row.progress_step,
            progress_percent=row.progress_percent,
        )
        for row in rows
    )
    return RunningExecutions(total=rows[0].total if rows else 0, items=tuple(items))
