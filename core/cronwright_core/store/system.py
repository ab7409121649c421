"""The figures of the whole installation, for endpoint 13: cheap however many tasks and executions there are."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select, text, true

from cronwright_core.store.ends import start_of_slot
from cronwright_core.store.heartbeat import to_heartbeat
from cronwright_core.store.models import execution_ends, executions, operator_heartbeat, tasks
from cronwright_core.store.records.system import SystemSnapshot
from cronwright_core.store.session import Database

_UNFINISHED = text("executions.status IN ('PENDING', 'RUNNING')")
_SCHEDULING = text("tasks.state = 'active' AND tasks.is_active AND NOT tasks.completed")
"""Literal both, so that the planner matches the partial indexes."""


class SystemStore:
    """Reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def snapshot(self, since: datetime) -> SystemSnapshot:
        """The counts now, and how many executions have ended since (the start of a quarter of an hour); one statement.

        Raises:
            Unavailable: the database does not answer.
        """
        unfinished = (
            select(
                func.count().filter(executions.c.status == "PENDING").label("pending"),
                func.count().filter(executions.c.status == "RUNNING").label("running"),
            )
            .where(_UNFINISHED)
            .subquery()
        )
        active = select(func.count()).select_from(tasks).where(_SCHEDULING).scalar_subquery()
        completed = (
            select(func.coalesce(func.sum(execution_ends.c.count), 0))
            .where(execution_ends.c.slot >= start_of_slot(since))
            .scalar_subquery()
        )
        statement = select(
            unfinished, active.label("active"), completed.label("completed"), *operator_heartbeat.c
        ).select_from(unfinished.outerjoin(operator_heartbeat, true()))
        found = self._database.read(lambda connection: connection.execute(statement).one())
        return SystemSnapshot(
            active_tasks=found.active,
            pending_executions=found.pending,
            running_executions=found.running,
            completed_executions=int(found.completed),
            heartbeat=None if found.id is None else to_heartbeat(found),
        )
