"""How many executions ended in each quarter of an hour, kept by differences in the transaction that records the ends.

So that "ended today", in any time zone, is a sum over at most a hundred rows, however many executions there are: all
zones in use are whole quarters of an hour apart from UTC.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.store.models import execution_ends
from cronwright_core.store.upserts import add_to_rows

SLOT = timedelta(minutes=15)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def slot_of(row: Mapping[str, Any]) -> datetime | None:
    """The quarter of an hour in which an execution ended; None for one that has not, or was skipped before it began."""
    status = ExecutionStatus(row["status"])
    end: datetime | None = row["end_time"]
    if not status.ended or end is None:
        return None
    if status is ExecutionStatus.CANCELLED and row["start_time"] is None:
        return None
    return start_of_slot(end)


def start_of_slot(time: datetime) -> datetime:
    """The beginning of the quarter of an hour."""
    return _EPOCH + (time - _EPOCH) // SLOT * SLOT


def apply_ends(connection: Connection, pairs: Iterable[tuple[Mapping[str, Any] | None, Mapping[str, Any]]]) -> None:
    """Counts the ends of (old row or None, new row) of executions. Rows are locked in order of time: no deadlock."""
    counts: Counter[datetime] = Counter()
    for old, new in pairs:
        before, after = slot_of(old) if old is not None else None, slot_of(new)
        if before == after:
            continue
        if before is not None:
            counts[before] -= 1
        if after is not None:
            counts[after] += 1
    rows = [{"slot": slot, "count": counts[slot]} for slot in sorted(counts) if counts[slot]]
    add_to_rows(connection, execution_ends, rows)
