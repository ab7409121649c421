"""Pages of executions against PostgreSQL: what a plain scan of all of them would give, by whichever way they come."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.store.executions import ExecutionStore
from cronwright_core.store.listed import ListedExecution
from cronwright_core.store.partitions import ensure_partitions
from cronwright_core.store.session import Database
from support.plans import plans_of
from support.postgres import execute
from support.store_rows import NOW, add_task, later, make_execution

Status = ExecutionStatus
FILL = (
    "INSERT INTO executions (execution_time, execution_id, task_id, task_uid, task_name, owner, namespace, job_name,"
    " kind, status, start_time, end_time, created_at, updated_at)"
    " SELECT t, 'exec-' || to_char(t, 'YYYYMMDDHH24MISS') || '-' || lpad(to_hex(task), 16, '0'), task, 'u' || task,"
    " 'n', 'alice', 'ns', 'j', 'Scheduled', 'SUCCESS', t, t + interval '5 s', t, t"
    " FROM generate_series(1, 50) task,"
    " generate_series(timestamptz '2026-03-01+00', timestamptz '2026-03-31+00', interval '43 min') t"
)
COUNT = (
    "INSERT INTO execution_days (task_id, day, success)"
    " SELECT task_id, (execution_time AT TIME ZONE 'UTC')::date, count(*) FROM executions GROUP BY 1, 2"
)


@pytest.fixture
def store(database: Database) -> ExecutionStore:
    return ExecutionStore(database)


@pytest.mark.parametrize("seed", range(3))
def test_every_filter_order_and_page_gives_what_a_scan_gives(database, store, seed) -> None:
    chooser = random.Random(seed)
    task_id, other = add_task(database), add_task(database, "another")
    runs = [
        make_execution(
            task,
            later(chooser.randrange(-20 * 86400, 20 * 86400, 1800)),
            chooser.choice(list(Status)),
            request_key=f"k{number}",
            seconds=chooser.choice([None, 1, 30, 400]),
        )
        for number in range(150)
        for task in (task_id, other)
    ]
    store.record(runs)
    mine = [store.get(run.execution_id, owner=None) for run in runs if run.task_id == task_id]

    def seconds(run):
        return None if run.start_time is None or run.end_time is None else (run.end_time - run.start_time).seconds

    def newest(run):
        return -run.time.timestamp(), [-ord(letter) for letter in run.execution_id]

    orders = {
        "-time": newest,
        "time": lambda run: (run.time, run.execution_id),
        "duration_seconds": lambda run: (seconds(run) is None, seconds(run) or 0, newest(run)),
        "-duration_seconds": lambda run: (seconds(run) is None, -(seconds(run) or 0), newest(run)),
    }
    bounds = [None, *(chooser.choice(mine).time + timedelta(seconds=shift) for shift in (-1, 0, 1))]
    bounds += [NOW.replace(hour=0), NOW.replace(hour=23, minute=59, second=59)]
    for _ in range(120):
        status, sort = chooser.choice([None, *Status]), chooser.choice(list(orders))
        start, end = chooser.choice(bounds), chooser.choice(bounds)
        size = chooser.choice([1, 3, 20, 100])
        wanted = [
            run
            for run in mine
            if status in (None, run.status)
            and (start is None or run.time >= start)
            and (end is None or run.time <= end)
        ]
        wanted.sort(key=orders[sort])
        page = chooser.randint(1, len(wanted) // size + 2)
        found = store.list(task_id, owner="alice", page=page, size=size, status=status, start=start, end=end, sort=sort)
        assert found.total == len(wanted)
        assert list(found.items) == [ListedExecution.of(run) for run in wanted[(page - 1) * size : page * size]]


@pytest.fixture
def filled(database: Database, database_url: str) -> None:
    """50 tasks with a thousand executions each."""
    for number in range(50):
        add_task(database, f"task {number}")
    with database.transaction() as connection:
        ensure_partitions(connection, [(2026, 3)])
    for statement in (FILL, COUNT, "ANALYZE"):
        execute(database_url, statement)


@pytest.mark.usefixtures("filled")
def test_of_fifty_thousand_a_page_reads_one_day_by_the_index(database, database_url, store) -> None:
    assert execute(database_url, "SELECT count(*) > 50000 FROM executions") == [(True,)]
    counted, read = plans_of(database, database_url, lambda: store.list(7, owner="alice", page=40, size=20))
    assert "Index" in counted
    assert "Seq Scan on execution" not in counted
    assert "executions_y" not in counted, "no execution is read for a total of whole days"
    assert "executions_y2026m03_task_id" in read
    assert "Seq Scan on executions" not in read
    cut = {"start": NOW - timedelta(days=5), "end": NOW}
    counted, read = plans_of(database, database_url, lambda: store.list(7, owner="alice", page=1, size=20, **cut))
    for plan in (counted, read):
        assert "executions_y2026m03_task_id" in plan
        assert "Seq Scan on executions" not in plan


@pytest.mark.usefixtures("filled")
def test_a_deep_page_skips_no_more_than_a_day(database, database_url, store) -> None:
    everything = [
        row[0]
        for row in execute(
            database_url, "SELECT execution_id FROM executions WHERE task_id = 1 ORDER BY execution_time DESC"
        )
    ]
    sent = []
    plan = plans_of(database, database_url, lambda: sent.append(store.list(1, owner=None, page=48, size=20)))[1]
    assert [run.execution_id for run in sent[0].items] == everything[940:960]
    assert "2026-03-02 00:00:00+00" in plan, "the page lies on the second of March, and only that day is looked at"
    assert "2026-03-02 23:59:59+00" in plan
