"""The counts of ends by the quarter of an hour, in step with what is recorded."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.store.executions import ExecutionStore
from cronwright_core.store.session import Database
from support.postgres import execute
from support.store_rows import add_task, make_execution

Status = ExecutionStatus
TICK = datetime(2026, 11, 2, 3, 10, tzinfo=UTC)


@pytest.fixture
def record(database: Database):
    task_id = add_task(database)
    store = ExecutionStore(database)
    return lambda *args, **fields: store.record([make_execution(task_id, *args, **fields)])


def ends(database_url: str) -> dict[datetime, int]:
    return dict(execute(database_url, "SELECT slot, count FROM execution_ends WHERE count <> 0"))


def at(hour: int, minute: int) -> datetime:
    return datetime(2026, 11, 2, hour, minute, tzinfo=UTC)


def test_counts_in_the_quarter_of_the_end(database_url, record) -> None:
    record(TICK, seconds=60)
    record(TICK.replace(hour=4), Status.FAILED, seconds=400)
    record(TICK.replace(hour=5), Status.TIMEOUT, seconds=5 * 60)
    record(TICK.replace(hour=5, minute=0), Status.SUCCESS, seconds=15 * 60 - 1)
    assert ends(database_url) == {at(3, 0): 1, at(4, 15): 1, at(5, 15): 1, at(5, 0): 1}


def test_once_however_often_it_is_recorded(database_url, record) -> None:
    for status in (Status.PENDING, Status.RUNNING, Status.SUCCESS, Status.SUCCESS, Status.FAILED):
        record(TICK, status, seconds=60)
    assert ends(database_url) == {at(3, 0): 1}


def test_what_runs_and_what_was_skipped_does_not_count(database_url, record) -> None:
    record(TICK, Status.RUNNING)
    record(TICK.replace(hour=4), Status.CANCELLED, seconds=None)
    record(TICK.replace(hour=5), Status.CANCELLED, seconds=30)
    assert ends(database_url) == {at(5, 0): 1}
