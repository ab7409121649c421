"""A task's statistics from PostgreSQL."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cronwright_core.domain.errors import NotFound
from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.store.executions import ExecutionStore
from cronwright_core.store.records.tasks import DayCounts, TaskStats
from cronwright_core.store.session import Database
from cronwright_core.store.tasks import TaskStore
from support.store_rows import NOW, add_task, make_execution

Status = ExecutionStatus


@pytest.fixture
def store(database: Database) -> TaskStore:
    return TaskStore(database)


def test_counts_durations_last_and_days(database, store) -> None:
    task_id = add_task(database)
    runs = [(0, Status.SUCCESS, 10), (1, Status.FAILED, 20), (2, Status.TIMEOUT, 60), (3, Status.CANCELLED, 5)]
    runs += [(30, Status.SUCCESS, 30), (31, Status.RUNNING, 1)]
    ExecutionStore(database).record(
        [make_execution(task_id, NOW + timedelta(hours=hour), status, seconds=took) for hour, status, took in runs]
    )
    found = store.statistics(task_id, owner="alice", days=30)
    counts = found.stats
    assert (counts.success_count, counts.failed_count, counts.cancelled_count) == (2, 2, 1)
    assert (counts.total_executions, counts.success_rate) == (4, 0.5)
    assert counts.average_duration_seconds == 30
    assert found.last_execution is not None
    assert found.last_execution.status is Status.RUNNING
    today = NOW.date()
    assert found.days == (DayCounts(today + timedelta(days=1), 1, 0, 0), DayCounts(today, 1, 2, 1))
    assert store.statistics(task_id, owner="alice", days=1).days == found.days[:1]


def test_a_task_that_never_ran_has_zeros(database, store) -> None:
    found = store.statistics(add_task(database), owner=None, days=30)
    assert (found.stats, found.last_execution, found.days) == (TaskStats(), None, ())


@pytest.mark.parametrize("asked", [0, 99, 10**30])
def test_an_unknown_task_is_not_found(store, asked) -> None:
    with pytest.raises(NotFound):
        store.statistics(asked, owner=None, days=30)


def test_somebody_elses_or_a_deleted_task_is_not_found(database, store) -> None:
    task_id = add_task(database)
    with pytest.raises(NotFound):
        store.statistics(task_id, owner="bob", days=30)
    store.mark_deleted("uid-alice-nightly backup", NOW)
    with pytest.raises(NotFound):
        store.statistics(task_id, owner="alice", days=30)
