"""Counts of executions by day, kept in step by differences in the transaction that writes the executions.

`execution_days` counts the rows that are there, by UTC day and status: lists take their totals and find their pages by
it. `task_days` counts what has ended, by the day that the task's own clock showed: statistics take their trend from it,
also when the executions are long dropped. An execution ends once, so a later change of the task's zone moves no day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, tzinfo
from typing import Any

from sqlalchemy import Connection, select, tuple_

from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.domain.timezones import UnknownTimeZoneError, load_zone
from cronwright_core.store.models import execution_days, task_days, tasks
from cronwright_core.store.upserts import add_to_rows

Row = Mapping[str, Any]
Pair = tuple[Row | None, Row | None]
"""An execution's row before and after; None: it is not there."""
Values = dict[str, Any]

_ENDED_AS = {
    ExecutionStatus.SUCCESS: "success",
    ExecutionStatus.FAILED: "failed",
    ExecutionStatus.TIMEOUT: "failed",
    ExecutionStatus.CANCELLED: "cancelled",
}


def status_column(status: ExecutionStatus) -> str:
    """The column of `execution_days` that counts a status."""
    return status.value.lower()


def utc_day(time: datetime) -> date:
    """The day in UTC."""
    return time.astimezone(UTC).date()


def keep_in_step(connection: Connection, pairs: Iterable[Pair]) -> None:
    """Brings both tables along; the caller holds the lock on the tasks' rows of `task_stats`, which orders writers."""
    pairs = list(pairs)
    add_to_rows(connection, execution_days, execution_day_changes(pairs))
    ended = {row["task_id"] for row in (old or new for old, new in pairs if _end(old) != _end(new)) if row is not None}
    if ended:
        add_to_rows(connection, task_days, task_day_changes(pairs, _zones(connection, ended)))


def uncount(connection: Connection, rows: Iterable[Row]) -> None:
    """Takes executions that are deleted for their age out of `execution_days`; `task_days` keeps them.

    The caller holds the lock as for `keep_in_step`.
    """
    changes = execution_day_changes([(row, None) for row in rows])
    add_to_rows(connection, execution_days, changes)
    days = [(row["task_id"], row["day"]) for row in changes]
    counts = [execution_days.c[status_column(status)] for status in ExecutionStatus]
    connection.execute(
        execution_days.delete().where(
            tuple_(execution_days.c.task_id, execution_days.c.day).in_(days),
            *(count == 0 for count in counts),
        )
    )


def execution_day_changes(pairs: Iterable[Pair]) -> list[Values]:
    """The differences for `execution_days`, in order of task and day."""
    changes = _Changes([status_column(status) for status in ExecutionStatus])
    for old, new in pairs:
        for row, count in ((old, -1), (new, 1)):
            if row is not None:
                status = status_column(ExecutionStatus(row["status"]))
                changes.add(row["task_id"], utc_day(row["execution_time"]), status, count)
    return changes.rows()


def task_day_changes(pairs: Iterable[Pair], zones: Mapping[int, tzinfo]) -> list[Values]:
    """The differences for `task_days`, in order of task and day; tasks without a zone are counted in UTC."""
    changes = _Changes([column.name for column in task_days.c if not column.primary_key])
    for old, new in pairs:
        for row, count in ((old, -1), (new, 1)):
            end = _end(row)
            if row is not None and end is not None:
                zone = zones.get(row["task_id"], UTC)
                changes.add(row["task_id"], row["execution_time"].astimezone(zone).date(), end, count)
    return changes.rows()


class _Changes:
    """Sums by task and day; what adds up to nothing is left out."""

    def __init__(self, columns: list[str]) -> None:
        self._columns = columns
        self._sums: dict[tuple[int, date], dict[str, int]] = {}

    def add(self, task_id: int, day: date, column: str, count: int) -> None:
        sums = self._sums.setdefault((task_id, day), dict.fromkeys(self._columns, 0))
        sums[column] += count

    def rows(self) -> list[Values]:
        return [
            {"task_id": task_id, "day": day, **sums}
            for (task_id, day), sums in sorted(self._sums.items(), key=lambda item: item[0])
            if any(sums.values())
        ]


def _end(row: Row | None) -> str | None:
    """How an execution has ended, as `task_days` counts it; None: it has not, or is not there."""
    return None if row is None else _ENDED_AS.get(ExecutionStatus(row["status"]))


def _zones(connection: Connection, task_ids: Iterable[int]) -> dict[int, tzinfo]:
    rows = connection.execute(select(tasks.c.id, tasks.c.time_zone).where(tasks.c.id.in_(sorted(task_ids))))
    zones: dict[int, tzinfo] = {}
    for row in rows:
        try:
            # Python's tz data, not the server's: it is the release that the schedules go by.
            zones[row.id] = load_zone(row.time_zone)
        except UnknownTimeZoneError:
            continue
    return zones
