"""Monthly partitions of the execution tables: made ahead by `cronwright migrate` and by the operator, on demand by
whoever writes, and dropped by the operator when their time is over.

A partition is made as a table of its own and then attached, since `CREATE TABLE ... PARTITION OF` would lock readers
and writers of the parent out, and ATTACH does not (PostgreSQL 15, "Partition Maintenance").
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from datetime import UTC, date, datetime

from sqlalchemy import Connection, text

from cronwright_core.store.errors import StoreError
from cronwright_core.store.models import PARTITIONED

PARTITION_LOCK = 0x63726F6E_70617274
"""Advisory lock "cronpart": one session makes partitions at a time."""

DETACH_WAIT_MS = 100
"""How long a month waits for each of the four tables to be free; so long recording may wait with it."""
MONTHS_BACK, MONTHS_AHEAD = 240, 12
"""Partitions are made for so many months around now. Nothing is recorded of others, and with thousands of partitions a
statement that looks into all of them would need more locks than the server has."""
RETIRED_PREFIX = "retired_"
_NAME = re.compile(r"executions_y(\d{4,})m(\d{2})")
_RETIRED = re.compile(RETIRED_PREFIX + r"[a-z_]+_y\d{4,}m\d{2}")

Month = tuple[int, int]
"""Year and month."""


def month_of(time: datetime) -> Month:
    """The month, in UTC, whose partition holds the time."""
    utc = time.astimezone(UTC)
    return utc.year, utc.month


def shift(month: Month, count: int) -> Month:
    """The month `count` months later (earlier if negative)."""
    index = month[0] * 12 + month[1] - 1 + count
    return index // 12, index % 12 + 1


def upcoming_months(now: datetime) -> list[Month]:
    """The months that are made ahead: the previous one, the current one, and the next two."""
    return [shift(month_of(now), count) for count in range(-1, 3)]


def first_day(month: Month) -> date:
    """The day on which the month begins, in UTC."""
    return date(*month, 1)


def partition_name(table: str, month: Month) -> str:
    """`executions_y2024m01`."""
    return f"{table}_y{month[0]:04d}m{month[1]:02d}"


def ensure_partitions(connection: Connection, months: Iterable[Month]) -> list[str]:
    """Makes the missing partitions of the four tables and returns their names; idempotent, safe in parallel.

    Runs in the caller's transaction, under an advisory lock that lasts until it ends; commit it soon.

    Raises:
        StoreError: a month that has none is too far away to be one in which something has run.
    """
    wanted = [(table, month, partition_name(table, month)) for month in sorted(set(months)) for table in PARTITIONED]
    if not wanted:
        return []
    missing = _missing(connection, wanted)
    if not missing:
        return []
    _refuse_far_months(month_of(connection.execute(text("SELECT now()")).scalar_one()), {entry[1] for entry in missing})
    lock_partitions(connection)
    # Looked up again: another session may have made them while we waited for the lock.
    missing = _missing(connection, missing)
    for table, month, name in missing:
        connection.execute(text(f'CREATE TABLE "{name}" (LIKE "{table}" INCLUDING ALL)'))
        bounds = f"FROM ('{_first(month)}') TO ('{_first(shift(month, 1))}')"
        connection.execute(text(f'ALTER TABLE "{table}" ATTACH PARTITION "{name}" FOR VALUES {bounds}'))
    return [name for _, _, name in missing]


def lock_partitions(connection: Connection) -> None:
    """Keeps others from making and detaching partitions until the caller's transaction ends; commit it soon."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": PARTITION_LOCK})


def attached_months(connection: Connection) -> list[Month]:
    """The months that have a partition of `executions`, oldest first."""
    names = connection.execute(
        text(
            "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid"
            " WHERE inhparent = to_regclass('executions')"
        )
    ).scalars()
    found = (_NAME.fullmatch(name) for name in names)
    return sorted((int(match[1]), int(match[2])) for match in found if match is not None)


def detach_month(connection: Connection, month: Month) -> None:
    """Takes a month of executions, attempts and logs out of sight, all of it at once; idempotent.

    Quick, as nothing is deleted: the tables stay under names of their own until `drop_retired`. Needs the four tables
    for itself for that moment, and does not wait long for them, since whoever comes later queues behind it: it raises
    lock_not_available after `DETACH_WAIT_MS` for each. Runs in the caller's transaction; commit it at once.
    """
    connection.execute(text(f"SET LOCAL lock_timeout = '{DETACH_WAIT_MS}ms'"))
    lock_partitions(connection)
    wanted = [(table, month, partition_name(table, month)) for table in PARTITIONED]
    missing = _missing(connection, wanted)
    for table, _, name in wanted:
        if (table, month, name) not in missing:
            connection.execute(text(f'ALTER TABLE "{table}" DETACH PARTITION "{name}"'))
            connection.execute(text(f'ALTER TABLE "{name}" RENAME TO "{RETIRED_PREFIX}{name}"'))


def retired_tables(connection: Connection) -> list[str]:
    """The tables that `detach_month` has put aside."""
    names = connection.execute(
        text(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND pg_table_is_visible(oid)"
            " AND starts_with(relname, :prefix) ORDER BY relname"
        ),
        {"prefix": RETIRED_PREFIX},
    ).scalars()
    return [name for name in names if _RETIRED.fullmatch(name)]


def drop_retired(connection: Connection, name: str) -> None:
    """Drops one of `retired_tables`; idempotent. Nobody reads or writes it, so nobody waits."""
    connection.execute(text(f'DROP TABLE IF EXISTS "{name}"'))


class KnownMonths:
    """The months whose partitions this process has seen; shared by all threads. Forgotten when a row finds none."""

    def __init__(self) -> None:
        self._months: set[Month] = set()
        self._lock = threading.Lock()

    def unknown(self, times: Iterable[datetime]) -> set[Month]:
        """The months of the times that are not known yet."""
        months = {month_of(time) for time in times}
        with self._lock:
            return months - self._months

    def add(self, months: Iterable[Month]) -> None:
        """Remembers months."""
        with self._lock:
            self._months.update(months)

    def forget(self) -> None:
        """Forgets all: somebody dropped a partition."""
        with self._lock:
            self._months.clear()


def _refuse_far_months(current: Month, months: Iterable[Month]) -> None:
    for month in months:
        if not shift(current, -MONTHS_BACK) <= month <= shift(current, MONTHS_AHEAD):
            raise StoreError(f"no partition is made for {month[0]:04d}-{month[1]:02d}, so far from now")


def _missing(connection: Connection, wanted: list[tuple[str, Month, str]]) -> list[tuple[str, Month, str]]:
    """Those that are not attached to their parent in the schema that the connection works in."""
    attached = connection.execute(
        text(
            "SELECT child.relname FROM pg_inherits"
            " JOIN pg_class child ON child.oid = inhrelid"
            " WHERE inhparent = ANY (SELECT to_regclass(name) FROM unnest(CAST(:parents AS text[])) AS name)"
        ),
        {"parents": list(PARTITIONED)},
    ).scalars()
    names = set(attached)
    return [entry for entry in wanted if entry[2] not in names]


def _first(month: Month) -> str:
    return f"{month[0]:04d}-{month[1]:02d}-01 00:00:00+00"
