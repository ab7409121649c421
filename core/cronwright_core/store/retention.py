"""What is old goes: months as partitions, the rest row by row, and with them all that nobody refers to any more.

The one rule: recording never waits for it. A month is detached in a moment under a short lock timeout and dropped
afterwards; rows go in small transactions that leave locked ones alone. Each step may be repeated, and after a crash the
next sweep goes on where it stopped. Counts by task and day (`task_stats`, `task_days`) outlive the details.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, or_, select, text, tuple_

from cronwright_core.domain.retention import Retention, Share
from cronwright_core.store import daily_counts, idempotency
from cronwright_core.store.models import (
    attempts,
    execution_days,
    execution_ends,
    executions,
    log_chunks,
    log_streams,
    projects,
    task_days,
    task_stats,
    tasks,
)
from cronwright_core.store.partitions import (
    Month,
    attached_months,
    detach_month,
    drop_retired,
    ensure_partitions,
    first_day,
    lock_partitions,
    partition_name,
    retired_tables,
    shift,
    upcoming_months,
)
from cronwright_core.store.session import Database

QUIET = timedelta(days=1)
"""A row that was written within it stays: whoever wrote it may be about to write it again."""
KEPT_TASKS = timedelta(days=7)
"""How long a deleted task's row stays at least: so long its Jobs may still look for it."""
KEPT_ENDS = timedelta(days=7)
"""Endpoint 13 asks for those of the current day, in any zone."""
_UNFINISHED = "status IN ('PENDING', 'RUNNING')"
_TASKS_AT_ONCE = 500


class RetentionStore:
    """Every method is one short transaction, and raises Unavailable if the database is away or something is locked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def prepare(self, retention: Retention, now: datetime) -> list[str]:
        """Makes the partitions that will be needed next; returns the names of new ones."""
        # One whose time is over would be dropped again at once, and that needs the parents for itself.
        months = [month for month in upcoming_months(now) if not retention.has_passed(*month, now)]
        with self._database.transaction() as connection:
            return ensure_partitions(connection, months)

    def retention(self, default_days: int) -> Retention:
        """What projects say, deleted ones included: their executions are still there."""
        days = projects.c.spec["retention_days"].astext
        rows = self._database.read(
            lambda connection: connection.execute(select(projects.c.id, days.label("days")).where(days.is_not(None)))
        )
        return Retention(default_days, {row.id: int(row.days) for row in rows})

    def months(self) -> list[Month]:
        """The months that are kept, oldest first."""
        return self._database.read(attached_months)

    def detach(self, month: Month) -> bool:
        """Takes a month out of sight; False if an execution of it has not ended yet.

        Raises:
            Unavailable: somebody reads or writes the tables for longer than it may wait; try again later.
        """
        name = partition_name("executions", month)
        with self._database.transaction() as connection:
            if connection.execute(text(f'SELECT 1 FROM "{name}" WHERE {_UNFINISHED} LIMIT 1')).first() is not None:  # noqa: S608
                return False
            detach_month(connection, month)
        return True

    def retired(self) -> list[str]:
        """The tables of detached months."""
        return self._database.read(retired_tables)

    def drop(self, name: str) -> None:
        """Drops one of `retired`."""
        with self._database.transaction() as connection:
            # The files of a large month take longer to remove than a statement usually may.
            connection.execute(text("SET LOCAL statement_timeout = '120s'"))
            drop_retired(connection, name)

    def forget_days(self, after: int) -> int | None:
        """Drops the counts of days whose month has gone, of the next tasks after an id.

        Returns the last id that was looked at, None when all are done.
        """
        with self._database.transaction() as connection:
            ids = _next_ids(connection, select(task_stats.c.task_id), task_stats.c.task_id, after)
            # A month that somebody made again after we had looked would lose the counts of what is recorded in it.
            lock_partitions(connection)
            kept = attached_months(connection)
            if not ids or not kept:
                return None
            connection.execute(
                delete(execution_days).where(
                    execution_days.c.task_id.between(ids[0], ids[-1]), _without_month(execution_days.c.day, kept)
                )
            )
            return ids[-1]

    def delete_executions(self, share: Share, start: datetime, end: datetime, now: datetime, *, limit: int) -> int:
        """Deletes up to `limit` ended executions of a share in [start, end), with attempts and logs; returns how many.

        They stay in the tasks' statistics. Locks in the order in which recorders lock.
        """
        with self._database.transaction() as connection:
            rows = connection.execute(
                select(*_KEY, executions.c.task_id, executions.c.status)
                .where(
                    executions.c.execution_time >= start,
                    executions.c.execution_time < end,
                    executions.c.updated_at < now - QUIET,
                    text(f"NOT executions.{_UNFINISHED}"),
                    _belongs(share),
                )
                .order_by(*_KEY)
                .limit(limit)
                .with_for_update(skip_locked=True)
            ).mappings()
            found = [dict(row) for row in rows]
            if not found:
                return 0
            keys = [(row["execution_time"], row["execution_id"]) for row in found]
            for table in (log_chunks, log_streams, attempts, executions):
                # The span of times lets the planner leave other months out.
                connection.execute(
                    delete(table).where(
                        table.c.execution_time.between(keys[0][0], keys[-1][0]),
                        tuple_(table.c.execution_time, table.c.execution_id).in_(keys),
                    )
                )
            ids = sorted({row["task_id"] for row in found})
            connection.execute(
                select(task_stats.c.task_id)
                .where(task_stats.c.task_id.in_(ids))
                .order_by(task_stats.c.task_id)
                .with_for_update()
            )
            daily_counts.uncount(connection, found)
            return len(found)

    def delete_tasks(self, after: int, now: datetime, busy: Collection[str]) -> int | None:
        """Drops deleted tasks without executions, and their statistics, among the next ones after an id.

        `busy`: uids of tasks that have Jobs in the cluster. Returns the last id that was looked at, None at the end.
        """
        old = and_(tasks.c.state == "deleted", tasks.c.deleted_at < now - KEPT_TASKS)
        with self._database.transaction() as connection:
            ids = _next_ids(connection, select(tasks.c.id).where(old), tasks.c.id, after)
            if not ids:
                return None
            used = select(executions.c.task_id).where(executions.c.task_id == tasks.c.id).exists()
            gone = connection.execute(
                select(tasks.c.id)
                .where(
                    old, tasks.c.id.in_(ids), ~used, or_(tasks.c.cr_uid.is_(None), tasks.c.cr_uid.not_in(list(busy)))
                )
                .order_by(tasks.c.id)
                .with_for_update(skip_locked=True)
            ).scalars()
            for_good = list(gone)
            for column in (task_days.c.task_id, execution_days.c.task_id, task_stats.c.task_id, tasks.c.id):
                connection.execute(delete(column.table).where(column.in_(for_good)))
            return ids[-1]

    def delete_projects(self, before: datetime) -> int:
        """Drops projects that were deleted before a time and that no task's row refers to; returns how many."""
        used = select(tasks.c.id).where(tasks.c.project_id == projects.c.id).exists()
        with self._database.transaction() as connection:
            done = connection.execute(
                delete(projects).where(projects.c.state == "deleted", projects.c.deleted_at < before, ~used)
            )
            return int(done.rowcount)

    def forget_small(self, now: datetime) -> int:
        """Drops idempotency keys and counts of ends whose time is over, some at once; returns how many."""
        with self._database.transaction() as connection:
            ends = connection.execute(delete(execution_ends).where(execution_ends.c.slot < now - KEPT_ENDS))
            return idempotency.purge(connection, now) + int(ends.rowcount)


_KEY = (executions.c.execution_time, executions.c.execution_id)


def _belongs(share: Share) -> ColumnElement[bool]:
    project = executions.c.project_id
    if not share.rest:
        return project.in_(share.projects)
    return or_(project.is_(None), project.not_in(share.projects))


def _without_month(day: ColumnElement[date], kept: Sequence[Month]) -> ColumnElement[bool]:
    """Days before the oldest month, and those of months that went while an older one had to stay."""
    gaps = [
        and_(day >= first_day(shift(before, 1)), day < first_day(after))
        for before, after in pairwise(kept)
        if after != shift(before, 1)
    ]
    return or_(day < first_day(kept[0]), *gaps)


def _next_ids(connection: Connection, statement: Any, column: Any, after: int) -> list[int]:
    rows = connection.execute(statement.where(column > after).order_by(column).limit(_TASKS_AT_ONCE))
    return list(rows.scalars())
