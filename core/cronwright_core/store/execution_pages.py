"""One page of a task's executions, found by the counts of its days instead of counting or skipping executions.

Of whole UTC days `execution_days` knows how many executions there are, of each status; only where a bound cuts a day
are executions counted, of that day. Summing the days up in the order of the list gives the total, and the days on which
the page begins and ends: the executions before it are not read, however deep the page lies. Two statements.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, bindparam, select, text

from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.store.daily_counts import status_column
from cronwright_core.store.listed import ListedExecution
from cronwright_core.store.models import executions
from cronwright_core.store.paging import offset_of
from cronwright_core.store.prepared import Prepared, fetch
from cronwright_core.store.projection import in_range
from cronwright_core.store.records.executions import ExecutionSort
from cronwright_core.store.records.pages import Page
from cronwright_core.store.tasks import no_such_task

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC) - _SECOND
"""No execution lies beyond; so that no sum with a day leaves what `datetime` can hold."""

Span = tuple[datetime, datetime]
"""From and to, both inclusive."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time as whole UTC days, `first` to `last`, and the parts of days at its ends."""

    first: date
    last: date
    edges: tuple[Span, ...]


def window_of(start: datetime | None, end: datetime | None) -> Window:
    """Splits a stretch of time, both ends inclusive, None: open. Times of executions are whole seconds."""
    begin = min(max(start or _FIRST, _FIRST), _LAST)
    if begin.microsecond:
        begin = begin.replace(microsecond=0) + _SECOND
    finish = min(max((end or _LAST).replace(microsecond=0), _FIRST - _SECOND), _LAST)
    edges: list[Span] = []
    first, last = begin.astimezone(UTC).date(), finish.astimezone(UTC).date()
    if begin > finish:
        return Window(first, first - _DAY, ())
    starts_whole, ends_whole = begin == _midnight(first), finish == _last_second(last)
    if first == last and not (starts_whole and ends_whole):
        return Window(first, first - _DAY, ((begin, finish),))
    if not starts_whole:
        edges.append((begin, _last_second(first)))
        first += _DAY
    if not ends_whole:
        edges.append((_midnight(last), finish))
        last -= _DAY
    return Window(first, last, tuple(edges))


def read_page(
    connection: Connection,
    task_id: int,
    *,
    owner: str | None,
    page: int,
    size: int,
    status: ExecutionStatus | None,
    start: datetime | None,
    end: datetime | None,
    sort: ExecutionSort,
) -> Page[ListedExecution]:
    """See `executions.ExecutionStore.list`."""
    if not in_range(task_id):
        raise no_such_task()
    window, offset = window_of(start, end), offset_of(page, size)
    by_time = sort in ("time", "-time")
    found = _count(connection, task_id, owner, status, window, offset, size, ascending=sort == "time")
    bounds = (found.first, found.last) if by_time else (found.oldest, found.newest)
    days = sorted(day for day in bounds if day is not None)
    if found.first is None or len(days) < len(bounds):  # nothing, or a page past the end
        return Page(found.total, page, size, ())
    low, high = _midnight(days[0]), _last_second(days[1])
    values = {
        "task": task_id,
        "low": low if start is None else max(low, start),
        "high": high if end is None else min(high, end),
        "status": status and status.value,
        "size": size,
        "offset": offset - found.skipped if by_time else offset,
    }
    rows = fetch(connection, _listed(status is not None, sort), values)
    return Page(found.total, page, size, tuple(map(ListedExecution._make, rows)))


_COLUMNS = (
    executions.c.execution_id,
    executions.c.task_id,
    executions.c.status,
    executions.c.start_time,
    executions.c.end_time,
    executions.c.exit_code,
    executions.c.output_summary,
    executions.c.error_message,
    executions.c.created_at,
    executions.c.kind,
    executions.c.scheduled_time,
    executions.c.requested_by,
    executions.c.reason,
    executions.c.execution_time,
)
"""Those of `ListedExecution`, in its order."""


@lru_cache(maxsize=16)
def _listed(by_status: bool, sort: ExecutionSort) -> Prepared:
    """The page's rows. Kept: to build the statement takes as long as to run it."""
    conditions = [
        executions.c.task_id == bindparam("task"),
        executions.c.execution_time.between(bindparam("low"), bindparam("high")),
    ]
    if by_status:
        conditions.append(executions.c.status == bindparam("status"))
    listed = select(*_COLUMNS).where(*conditions).order_by(*_order(sort))
    return Prepared(listed.limit(bindparam("size")).offset(bindparam("offset")))


class Counted(NamedTuple):
    """The total; the days on which the page begins and ends (None: nothing is on it), how many executions lie before
    the first of them; and the first and last day of all."""

    known: bool
    total: int
    skipped: int
    first: date | None
    last: date | None
    oldest: date | None
    newest: date | None


def _count(
    connection: Connection,
    task_id: int,
    owner: str | None,
    status: ExecutionStatus | None,
    window: Window,
    offset: int,
    size: int,
    *,
    ascending: bool,
) -> Counted:
    """Finds the page by the counts of the days. Raises NotFound if there is no such task, or it is another's."""
    values: dict[str, Any] = {
        "task": task_id,
        "owner": owner,
        "first": window.first,
        "last": window.last,
        "offset": offset,
        "until": offset + size,
    }
    for number, (low, high) in enumerate(window.edges):
        values |= {f"day{number}": low.date(), f"low{number}": low, f"high{number}": high}
    if status is not None:
        values["status"] = status.value
    counted = _counted(status, len(window.edges), ascending, owner is not None)
    found = Counted._make(fetch(connection, counted, values)[0])
    if not found.known:
        raise no_such_task()
    return found


@lru_cache(maxsize=128)
def _counted(status: ExecutionStatus | None, edges: int, ascending: bool, owned: bool) -> Prepared:
    """The statement of `_count`, its columns those of `Counted`."""
    count = _ALL if status is None else status_column(status)
    parts = [
        f"SELECT day, {count} AS n FROM execution_days"  # noqa: S608 - our own fragments only
        " WHERE task_id = :task AND day BETWEEN :first AND :last"
    ]
    for number in range(edges):
        only = "" if status is None else " AND status = :status"
        parts.append(
            f"SELECT CAST(:day{number} AS date), count(*) FROM executions"  # noqa: S608
            f" WHERE task_id = :task AND execution_time BETWEEN :low{number} AND :high{number}{only}"
        )
    direction, nearest = ("ASC", "min") if ascending else ("DESC", "max")
    furthest = "max" if ascending else "min"
    only_owned = " AND owner = :owner" if owned else ""
    return Prepared(
        text(
            f"WITH days AS ({' UNION ALL '.join(parts)}),"  # noqa: S608
            f" ranked AS (SELECT day, n, sum(n) OVER (ORDER BY day {direction}) AS upto FROM days WHERE n > 0)"
            f" SELECT EXISTS (SELECT 1 FROM tasks WHERE id = :task AND state = 'active'{only_owned}) AS known,"
            " CAST(coalesce(sum(n), 0) AS bigint) AS total,"
            " CAST(coalesce(max(upto) FILTER (WHERE upto <= :offset), 0) AS bigint) AS skipped,"
            f" {nearest}(day) FILTER (WHERE upto > :offset) AS first,"
            f" coalesce({nearest}(day) FILTER (WHERE upto >= :until), {furthest}(day)) AS last,"
            " min(day) AS oldest, max(day) AS newest FROM ranked"
        )
    )


_ALL = " + ".join(status_column(status) for status in ExecutionStatus)


def _order(sort: ExecutionSort) -> list[ColumnElement[Any]]:
    time_, id_ = executions.c.execution_time, executions.c.execution_id
    if sort == "time":
        return [time_.asc(), id_.asc()]
    if sort == "-time":
        return [time_.desc(), id_.desc()]
    duration = executions.c.end_time - executions.c.start_time
    return [(duration.desc() if sort[0] == "-" else duration.asc()).nulls_last(), time_.desc(), id_.desc()]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)


def _last_second(day: date) -> datetime:
    return _midnight(day) + _DAY - _SECOND
