"""The installation's figures, and that they cost little however much there is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.store.executions import ExecutionStore
from cronwright_core.store.heartbeat import HeartbeatStore
from cronwright_core.store.session import Database
from cronwright_core.store.system import SystemStore
from cronwright_core.store.tasks import TaskStore
from support.postgres import execute
from support.store_rows import NOW, add_task, later, make_execution

Status = ExecutionStatus
LONG_AGO = NOW - timedelta(days=1)


@pytest.fixture
def system(database: Database) -> SystemStore:
    return SystemStore(database)


def test_nothing_at_all(system) -> None:
    found = system.snapshot(LONG_AGO)
    assert (found.active_tasks, found.pending_executions, found.running_executions) == (0, 0, 0)
    assert (found.completed_executions, found.heartbeat) == (0, None)


def test_counts_what_waits_runs_and_ended(database, system) -> None:
    task_id = add_task(database)
    store = ExecutionStore(database)
    statuses = [Status.PENDING, Status.PENDING, Status.RUNNING, Status.SUCCESS, Status.FAILED, Status.TIMEOUT]
    store.record([make_execution(task_id, later(60 * n), status) for n, status in enumerate(statuses)])
    found = system.snapshot(LONG_AGO)
    assert (found.pending_executions, found.running_executions, found.completed_executions) == (2, 1, 3)


def test_ends_of_before_do_not_count(database, system) -> None:
    task_id = add_task(database)
    ExecutionStore(database).record([make_execution(task_id, later(3600 * n), seconds=60) for n in range(4)])
    assert system.snapshot(later(3600 * 2)).completed_executions == 2
    assert system.snapshot(later(3600 * 9)).completed_executions == 0


def test_paused_finished_and_deleted_tasks_are_not_active(database, database_url, system) -> None:
    ids = [add_task(database, f"task {n}", uid=f"uid-{n}") for n in range(4)]
    execute(database_url, f"UPDATE tasks SET is_active = false WHERE id = {ids[0]}")
    execute(database_url, f"UPDATE tasks SET completed = true WHERE id = {ids[1]}")
    TaskStore(database).mark_deleted("uid-2", NOW)
    assert system.snapshot(LONG_AGO).active_tasks == 1


def test_brings_the_operators_sign_of_life(database, system) -> None:
    HeartbeatStore(database).beat(
        installation="lease-uid",
        holder="o",
        version="1",
        tz_release="2026a",
        details={"usage": {"nodes": 1}},
        now=NOW,
        silent_before=NOW,
    )
    heartbeat = system.snapshot(LONG_AGO).heartbeat
    assert heartbeat is not None
    assert (heartbeat.holder, heartbeat.time, heartbeat.details) == ("o", NOW, {"usage": {"nodes": 1}})


def test_reads_indexes_and_no_table_of_executions(database, database_url, system) -> None:
    """50 000 ended executions beside three that run: what is read is the index of the unfinished."""
    task_id = add_task(database)
    running = [make_execution(task_id, later(n), Status.RUNNING) for n in range(3)]
    ExecutionStore(database).record(running)
    execute(
        database_url,
        "INSERT INTO executions (execution_time, execution_id, task_id, task_uid, task_name, owner, namespace,"
        " job_name, kind, status, start_time, end_time, created_at, updated_at)"
        " SELECT time, 'exec-' || n, 1, 'uid-' || n, 'n', 'o', 'ns', 'j', 'Scheduled', 'SUCCESS', time, time, time,"
        " time"
        f" FROM (SELECT n, TIMESTAMPTZ '{datetime(NOW.year, NOW.month, 1, tzinfo=UTC).isoformat()}'"
        " + n * INTERVAL '1 second' AS time FROM generate_series(1, 50000) n) rows",
    )
    execute(database_url, "ANALYZE executions")
    plan = "\n".join(
        row[0]
        for row in execute(
            database_url,
            "EXPLAIN SELECT status, count(*) FROM executions WHERE executions.status IN ('PENDING', 'RUNNING')"
            " GROUP BY status",
        )
    )
    assert "ix_executions_unfinished" not in plan  # partitions name their own indexes
    filled = f"executions_y{NOW.year}m{NOW.month:02d}"
    assert f"Seq Scan on {filled}" not in plan, plan
    assert f"{filled}_status_task_id_idx" in plan, plan
    assert system.snapshot(LONG_AGO).running_executions == 3
