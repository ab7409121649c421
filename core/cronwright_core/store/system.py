"""The figures of the whole installation, for endpoint 13: cheap however many tasks and executions there are."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select, text

from cronwright_core.store.ends import start_of_slot
from cronwright_core.store.heartbeat import last_heartbeat
from cronwright_core.store.models import execution_ends, executions, tasks
from cronwright_core.store.records import SystemSnapshot
from cronwright_core.store.session import Database

_UNFINISHED = text("executions.status IN ('PENDING', 'RUNNING')")
_SCHEDULING = text("tasks.state = 'active' AND tasks.is_active AND NOT tasks.completed")
"""Literal both, so that the planner matches the partial indexes."""


class SystemStore:
    """Reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def snapshot(self, since: datetime) -> SystemSnapshot:
        """The counts now, and how many executions have ended since (the start of a quarter of an hour).

        Raises:
            Unavailable: the database does not answer.
        """
        unfinished = (
            select(executions.c.status, func.count().label("count")).where(_UNFINISHED).group_by(executions.c.status)
        )
        active = select(func.count()).select_from(tasks).where(_SCHEDULING).scalar_subquery()
        completed = (
            select(func.coalesce(func.sum(execution_ends.c.count), 0))
            .where(execution_ends.c.slot >= start_of_slot(since))
            .scalar_subquery()
        )
        with self._database.transaction() as connection:
            counts: dict[str, int] = {row[0]: row[1] for row in connection.execute(unfinished)}
            totals = connection.execute(select(active.label("active"), completed.label("completed"))).one()
            heartbeat = last_heartbeat(connection)
        return SystemSnapshot(
            active_tasks=totals.active,
            pending_executions=counts.get("PENDING", 0),
            running_executions=counts.get("RUNNING", 0),
            completed_executions=int(totals.completed),
            heartbeat=heartbeat,
        )
