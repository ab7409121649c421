"""Counts by day against PostgreSQL: always what an aggregate over the executions would say, as long as these last."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
from alembic import command
from sqlalchemy import create_engine

from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.store import schema
from cronwright_core.store.executions import ExecutionStore
from cronwright_core.store.session import Database, parse_url
from cronwright_core.store.tasks import TaskStore
from support.postgres import execute
from support.store_rows import NOW, add_task, later, make_execution, make_projection

Status = ExecutionStatus
STATUSES = tuple(status.value.lower() for status in Status)

AGGREGATED = (
    "SELECT task_id, (execution_time AT TIME ZONE 'UTC')::date, "
    + ", ".join(f"count(*) FILTER (WHERE status = '{status.upper()}')" for status in STATUSES)
    + " FROM executions GROUP BY 1, 2 ORDER BY 1, 2"
)
KEPT = f"SELECT task_id, day, {', '.join(STATUSES)} FROM execution_days WHERE {' + '.join(STATUSES)} <> 0 ORDER BY 1, 2"
TREND = "SELECT day, success, failed, cancelled FROM task_days WHERE task_id = %s ORDER BY day"


@pytest.fixture
def store(database: Database) -> ExecutionStore:
    return ExecutionStore(database)


def test_follow_every_change_also_in_parallel(database, database_url, store) -> None:
    tasks = [add_task(database, f"task {number}") for number in range(3)]
    chooser = random.Random(11)
    times = [later(3600 * 7 * number) for number in range(20)]
    reports = [
        make_execution(task, time, status)
        for task in tasks
        for time in times
        for status in chooser.sample(list(Status), 4)
    ]

    def record(seed: int) -> None:
        order = random.Random(seed).sample(reports, len(reports))
        for start in range(0, len(order), 15):
            store.record(order[start : start + 15])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(record, range(6)))
    assert len(execute(database_url, AGGREGATED)) == 3 * len({time.date() for time in times})
    assert execute(database_url, KEPT) == execute(database_url, AGGREGATED)


def test_a_request_counts_and_a_withdrawn_one_does_not(database, database_url, store) -> None:
    task_id = add_task(database)
    draft = make_execution(task_id, NOW, Status.PENDING, request_key="k1")
    store.request(draft)
    assert execute(database_url, "SELECT day, pending FROM execution_days") == [(NOW.date(), 1)]
    store.withdraw(draft.execution_id)
    assert execute(database_url, KEPT) == []


def test_the_trend_counts_by_the_day_of_the_tasks_own_zone(database, database_url, store) -> None:
    task_id = TaskStore(database).register(make_projection("east", time_zone="Asia/Shanghai"), NOW)
    # 16:30 UTC is half past midnight of the next day in Shanghai.
    evening = datetime(2026, 3, 10, 16, 30, tzinfo=UTC)
    store.record([make_execution(task_id, NOW), make_execution(task_id, evening, Status.TIMEOUT)])
    assert execute(database_url, TREND, task_id) == [(date(2026, 3, 10), 1, 0, 0), (date(2026, 3, 11), 0, 1, 0)]
    moved = make_projection("east", time_zone="America/New_York", generation=2)
    TaskStore(database).register(moved, NOW)
    store.record([make_execution(task_id, evening, Status.TIMEOUT), make_execution(task_id, later(18 * 3600))])
    assert execute(database_url, TREND, task_id) == [(date(2026, 3, 10), 1, 0, 0), (date(2026, 3, 11), 1, 1, 0)]


def test_what_waits_or_runs_is_not_in_the_trend(database, database_url, store) -> None:
    task_id = add_task(database)
    store.record([make_execution(task_id, status=Status.RUNNING)])
    assert execute(database_url, TREND, task_id) == []
    store.record([make_execution(task_id, status=Status.CANCELLED)])
    assert execute(database_url, TREND, task_id) == [(NOW.date(), 0, 0, 1)]


def test_executions_of_a_task_that_was_never_projected_are_counted_in_utc(database_url, store) -> None:
    store.record([make_execution(4711)])
    assert execute(database_url, TREND, 4711) == [(NOW.date(), 1, 0, 0)]


def test_the_migration_counts_what_is_there(database, database_url, store) -> None:
    east = TaskStore(database).register(make_projection("east", time_zone="Asia/Shanghai"), NOW)
    odd = TaskStore(database).register(make_projection("odd", time_zone="Mars/Olympus"), NOW)
    for number, (status, task) in enumerate((status, task) for status in Status for task in (east, odd)):
        store.record([make_execution(task, NOW + timedelta(hours=5 * number), status)])
    tables = {table: f"SELECT * FROM {table} ORDER BY task_id, day" for table in ("execution_days", "task_days")}
    before = {table: execute(database_url, query) for table, query in tables.items()}
    engine = create_engine(parse_url(database_url))
    with engine.connect() as connection:
        command.downgrade(schema.alembic_config(connection), "0002")
        connection.commit()
        schema.upgrade(connection, NOW)
    engine.dispose()
    kept = [row for row in before["execution_days"] if any(row[2:])]
    assert execute(database_url, tables["execution_days"]) == kept
    assert execute(database_url, tables["task_days"]) == before["task_days"]
