"""Rows of executions as records, and whose they are. No statement is run here."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, true

from cronwright_core.domain.execution import ExecutionKind, ExecutionStatus
from cronwright_core.store.columns import AnyRow
from cronwright_core.store.models import executions, projects, tasks
from cronwright_core.store.records.executions import ExecutionRecord


def select_executions() -> Select[*tuple[Any, ...]]:
    """Executions with their project's name: everything that `to_execution_record` needs."""
    return select(executions, projects.c.display_name.label("project_name")).select_from(
        executions.outerjoin(projects, projects.c.id == executions.c.project_id)
    )


def owned_by(owner: str | None) -> ColumnElement[bool]:
    """The executions of one owner's tasks; None: of everybody.

    A task is handed on with its history (a Project's new owner gets the tasks that name none), so its row decides, that
    of a deleted task too: what the former owner could not see any more does not come back to them by the deletion. The
    owner in the execution's own row, as it was when the run began, counts where no row of the task is left.

    A scalar subquery, not a join: it is one look at the primary key of `tasks` for each execution that is otherwise
    found, where a planner that guesses badly would turn a join into a scan of all tasks. Rows of executions are not
    rewritten instead: a task may have millions in many months, and whoever changes its owner would wait for them.
    """
    if owner is None:
        return true()
    current = select(tasks.c.owner).where(tasks.c.id == executions.c.task_id).scalar_subquery()
    return func.coalesce(current, executions.c.owner) == owner


def to_execution_record(row: AnyRow) -> ExecutionRecord:
    """A row of `select_executions`."""
    values = dict(row._mapping)
    values["time"] = values.pop("execution_time")
    values["kind"] = ExecutionKind(row.kind)
    values["status"] = ExecutionStatus(row.status)
    values["parameters"] = None if row.parameters is None else tuple(row.parameters)
    return ExecutionRecord(**values)
