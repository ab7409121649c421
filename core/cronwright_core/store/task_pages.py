"""One page of tasks: filters, orders, and the total. Two statements whatever the size.

The page's ids are found first, on the narrow columns that filters and orders need; what is shown is then read of so
many rows only. Without filters the total is the one that a trigger keeps for each owner (migration 0006).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, not_, select

from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.store.models import owner_tasks, task_stats, tasks
from cronwright_core.store.paging import offset_of
from cronwright_core.store.records import Page, TaskRecord, TaskSort
from cronwright_core.store.task_rows import has_status, owned_by, select_tasks, to_task_record

_SHOWN_NEXT_RUN = case((and_(tasks.c.is_active, not_(tasks.c.completed)), tasks.c.next_run_time))
"""As `to_task_record` shows it: null while paused and after the only run."""
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
) -> Page[TaskRecord]:
    """See `tasks.TaskStore.list`."""
    filters: list[ColumnElement[bool]] = []
    if status is not None:
        filters.append(has_status(status))
    if is_active is not None:
        filters.append(tasks.c.is_active.is_(is_active))
    if search:
        filters.append(tasks.c.name.icontains(search, autoescape=True))
    if project_id is not None:
        filters.append(tasks.c.project_id == project_id)
    if schedule_type is not None:
        filters.append(tasks.c.schedule_type == schedule_type.value)
    source = tasks if status is None else tasks.outerjoin(task_stats, task_stats.c.task_id == tasks.c.id)
    conditions = (tasks.c.state == "active", owned_by(owner), *filters)
    if filters:
        total = connection.execute(select(func.count()).select_from(source).where(*conditions)).scalar_one()
    else:
        total = _count(connection, owner)
    offset = offset_of(page, size)
    if offset >= total:
        return Page(total, page, size, ())
    order = _order(sort)
    ids = select(tasks.c.id).select_from(source).where(*conditions).order_by(*order).limit(size).offset(offset)
    rows = connection.execute(select_tasks().where(tasks.c.id.in_(ids)).order_by(*order)).all()
    return Page(total, page, size, tuple(to_task_record(row) for row in rows))


def _count(connection: Connection, owner: str | None) -> int:
    counted = select(func.coalesce(func.sum(owner_tasks.c.active), 0))
    if owner is not None:
        counted = counted.where(owner_tasks.c.owner == owner)
    return int(connection.execute(counted).scalar_one())


def _order(sort: TaskSort) -> list[ColumnElement[Any]]:
    """What is null comes last in both directions; the id decides between equals, so that pages fit together."""
    column = _ORDERS[sort.removeprefix("-")]
    directed = column.desc() if sort[0] == "-" else column.asc()
    if column is _SHOWN_NEXT_RUN:
        directed = directed.nulls_last()
    return [directed, tasks.c.id.desc() if sort[0] == "-" else tasks.c.id.asc()]
