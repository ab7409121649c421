"""One page of tasks: filters, orders, and the total. One statement whatever the size; two for a page past the end.

The page's ids are found first, on the narrow columns that filters and orders need; what is shown is then read of so
many rows only, each with the total beside it. Without
filters the total is the one that a trigger keeps for each owner (migration 0006).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    not_,
    select,
)

from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.store.listed import ListedTask
from cronwright_core.store.models import owner_tasks, task_stats, tasks
from cronwright_core.store.paging import offset_of
from cronwright_core.store.prepared import Prepared, fetch
from cronwright_core.store.records.pages import Page
from cronwright_core.store.records.tasks import TaskSort
from cronwright_core.store.task_rows import STATUS

_SHOWN_NEXT_RUN = case((and_(tasks.c.is_active, not_(tasks.c.completed)), tasks.c.next_run_time))
"""As `to_task_record` shows it: null while paused and after the only run."""
_COLUMNS = (
    tasks.c.id,
    tasks.c.name,
    tasks.c.description,
    tasks.c.project_id,
    tasks.c.schedule_type,
    tasks.c.schedule_config,
    tasks.c.is_active,
    STATUS,
    _SHOWN_NEXT_RUN,
    tasks.c.created_at,
    tasks.c.updated_at,
    tasks.c.owner,
    tasks.c.time_zone,
    task_stats.c.last_execution_id,
    task_stats.c.last_status,
    task_stats.c.last_start_time,
    task_stats.c.last_end_time,
)
"""Those of `ListedTask`, in its order."""
_ORDERS: dict[str, ColumnElement[Any]] = {
    "created_at": tasks.c.created_at,
    "name": tasks.c.name,
    "next_run_time": _SHOWN_NEXT_RUN,
    "priority": tasks.c.priority,
}


def read_page(
    connection: Connection,
    *,
    owner: str | None,
    page: int,
    size: int,
    status: ExecutionStatus | None,
    is_active: bool | None,
    search: str | None,
    project_id: int | None,
    schedule_type: ScheduleType | None,
    sort: TaskSort,
) -> Page[ListedTask]:
    """See `tasks.TaskStore.list`."""
    values = {
        "owner": owner,
        "status": status and status.value,
        "is_active": is_active,
        # With no wildcard of its own, so that no character of it has a meaning.
        "search": search and "%" + re.sub(r"([\\%_])", r"\\\1", search) + "%",
        "project_id": project_id,
        "schedule_type": schedule_type and schedule_type.value,
    }
    given = {name: value for name, value in values.items() if value not in (None, "")}
    counted, listed = _statements(frozenset(given), sort)
    offset = offset_of(page, size)
    rows = fetch(connection, listed, {**given, "size": size, "offset": offset})
    if not rows and offset == 0:
        return Page(0, page, size, ())
    if rows:
        return Page(int(rows[0][0]), page, size, tuple(ListedTask._make(row[1:]) for row in rows))
    total = fetch(connection, counted, given)[0][0]
    return Page(int(total), page, size, ())


@lru_cache(maxsize=1024)
def _statements(given: frozenset[str], sort: TaskSort) -> tuple[Prepared, Prepared]:
    """Total and page for the values that are given. Kept: to build them takes as long as to run them."""
    source: FromClause = tasks
    conditions: list[ColumnElement[bool]] = [tasks.c.state == literal_column("'active'")]
    if "owner" in given:
        conditions.append(tasks.c.owner == bindparam("owner"))
    if "status" in given:
        source = tasks.outerjoin(task_stats, task_stats.c.task_id == tasks.c.id)
        conditions.append(bindparam("status") == STATUS)
    if "search" in given:
        conditions.append(tasks.c.name.ilike(bindparam("search"), escape="\\"))
    for column in (tasks.c.is_active, tasks.c.project_id, tasks.c.schedule_type):
        if column.name in given:
            conditions.append(column == bindparam(column.name))
    if given <= {"owner"}:
        counted = select(func.coalesce(func.sum(owner_tasks.c.active), 0))
        if "owner" in given:
            counted = counted.where(owner_tasks.c.owner == bindparam("owner"))
    else:
        counted = select(func.count()).select_from(source).where(*conditions)
    order = _order(sort)
    ids = select(tasks.c.id).select_from(source).where(*conditions).order_by(*order)
    ids = ids.limit(bindparam("size")).offset(bindparam("offset"))
    listed = (
        select(counted.scalar_subquery(), *_COLUMNS)
        .select_from(tasks.outerjoin(task_stats, task_stats.c.task_id == tasks.c.id))
        .where(tasks.c.state == literal_column("'active'"), tasks.c.id.in_(ids))
        .order_by(*order)
    )
    return Prepared(counted), Prepared(listed)


def _order(sort: TaskSort) -> list[ColumnElement[Any]]:
    """What is null comes last in both directions; the id decides between equals, so that pages fit together."""
    column = _ORDERS[sort.removeprefix("-")]
    directed = column.desc() if sort[0] == "-" else column.asc()
    if column is _SHOWN_NEXT_RUN:
        directed = directed.nulls_last()
    return [directed, tasks.c.id.desc() if sort[0] == "-" else tasks.c.id.asc()]
