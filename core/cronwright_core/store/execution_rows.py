"""Rows of executions as records. No statement is run here."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select

from cronwright_core.domain.execution import ExecutionKind, ExecutionStatus
from cronwright_core.store.columns import AnyRow
from cronwright_core.store.models import executions, projects
from cronwright_core.store.records import ExecutionRecord


def select_executions() -> Select[*tuple[Any, ...]]:
    """Executions with their project's name: everything that `to_execution_record` needs."""
    return select(executions, projects.c.display_name.label("project_name")).select_from(
        executions.outerjoin(projects, projects.c.id == executions.c.project_id)
    )


def to_execution_record(row: AnyRow) -> ExecutionRecord:
    """A row of `select_executions`."""
    values = dict(row._mapping)
    values["time"] = values.pop("execution_time")
    values["kind"] = ExecutionKind(row.kind)
    values["status"] = ExecutionStatus(row.status)
    values["parameters"] = None if row.parameters is None else tuple(row.parameters)
    return ExecutionRecord(**values)
