"""Old months go as partitions, the rest row by row; statistics stay, and recording waits for none of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest
from sqlalchemy import event, make_url

from cronwright_core.domain.errors import NotFound
from cronwright_core.domain.execution import Execution, ExecutionStatus
from cronwright_core.store.executions import ExecutionStore
from cronwright_core.store.logs import LogStore
from cronwright_core.store.partitions import month_of, partition_name, shift
from cronwright_core.store.projects import ProjectStore
from cronwright_core.store.retention import RetentionStore
from cronwright_core.store.session import Database
from cronwright_core.store.tasks import TaskStore
from cronwright_operator.upkeep.retention import RetentionSweep
from support.postgres import execute
from support.store_rows import add_project, add_task, make_append, make_attempt, make_execution

NOW = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)
"""When the sweeps take place: rows that were written within a day stay."""
STATUSES = [status.value.lower() for status in ExecutionStatus]
COUNTED = (
    "SELECT task_id, (execution_time AT TIME ZONE 'UTC')::date, "
    + ", ".join(f"count(*) FILTER (WHERE status = '{status.upper()}')" for status in STATUSES)
    + " FROM executions GROUP BY 1, 2 ORDER BY 1, 2"
)
KEPT = f"SELECT task_id, day, {', '.join(STATUSES)} FROM execution_days ORDER BY 1, 2"
TREND = "SELECT sum(success), sum(failed) FROM task_days WHERE task_id = %s"


@dataclass
class World:
    """A database and what looks after it."""

    database: Database
    url: str

    def sweep(
        self,
        days: int,
        *,
        busy: Collection[str] = (),
        sweeps: RetentionSweep | None = None,
        now: datetime = NOW,
    ) -> RetentionSweep:
        sweeps = sweeps or RetentionSweep(
            RetentionStore(self.database),
            default_days=days,
            busy=lambda: busy,
            now=lambda: now,
            pause_seconds=0,
            try_again_seconds=0,
        )
        asyncio.run(sweeps.sweep())
        return sweeps

    def record(self, *executions: Execution) -> None:
        ExecutionStore(self.database).record(executions)

    def rows(self, table: str = "executions") -> int:
        ((count,),) = execute(self.url, f"SELECT count(*) FROM {table}")
        assert isinstance(count, int)
        return count

    def tables(self) -> list[str]:
        return [str(name) for (name,) in execute(self.url, "SELECT relname FROM pg_class WHERE relkind = 'r'")]


@pytest.fixture
def world(database: Database, database_url: str) -> World:
    return World(database, database_url)


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def test_partitions_are_made_ahead(world: World) -> None:
    ahead = partition_name("log_chunks", shift(month_of(NOW), 2))
    # In the last days of a month it is not there yet: `NOW` is in the next one.
    execute(world.url, f'DROP TABLE IF EXISTS "{ahead}"')
    assert ahead not in world.tables()
    world.sweep(0)
    assert ahead in world.tables()


def test_a_retention_below_a_month_makes_no_month_to_drop_it(world: World) -> None:
    end_of_month = datetime(*shift(month_of(NOW), 1), 1, tzinfo=UTC) - timedelta(hours=1)
    month_before = partition_name("executions", shift(month_of(NOW), -1))
    sweeps = world.sweep(14, now=end_of_month)
    assert month_before not in world.tables()
    statements: list[str] = []
    event.listen(world.database._engine, "after_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    world.sweep(14, sweeps=sweeps)
    assert statements
    assert [text for text in statements if text.startswith(("CREATE", "ALTER", "DROP"))] == []


def test_a_month_goes_when_its_last_day_is_too_old_and_leaves_the_statistics(world: World) -> None:
    task_id = add_task(world.database)
    old, edge = ago(200), ago(100)
    month = month_of(edge)
    ends = datetime(*shift(month, 1), 1, tzinfo=UTC)
    world.record(*(make_execution(task_id, time) for time in (old, edge, ago(1))))
    days = (NOW - ends).days
    world.sweep(days + 1)
    assert world.rows() == 2, "the month ends a day too late"
    world.sweep(days)
    assert world.rows() == 1
    tables = world.tables()
    assert not [name for name in tables if name.startswith("retired") or name.endswith(partition_name("", month)[1:])]
    assert execute(world.url, KEPT) == execute(world.url, COUNTED)
    assert execute(world.url, TREND, task_id) == [(3, 0)]
    assert TaskStore(world.database).get(task_id, owner=None).stats.success_count == 3
    assert ExecutionStore(world.database).list(task_id, owner=None, page=1, size=9).total == 1
    with pytest.raises(NotFound):
        ExecutionStore(world.database).get(make_execution(task_id, old).execution_id, owner=None)


def test_zero_keeps_all(world: World) -> None:
    world.record(make_execution(add_task(world.database), ago(4000)))
    world.sweep(0)
    assert world.rows() == 1


def test_a_month_with_an_execution_that_has_not_ended_stays(world: World) -> None:
    task_id = add_task(world.database)
    # Both of one month, whatever day it is: of the 31st and the 1st the first alone would go.
    old = ago(100).replace(day=15)
    open_ = old + timedelta(days=1)
    world.record(make_execution(task_id, old), make_execution(task_id, open_, ExecutionStatus.RUNNING))
    sweeps = world.sweep(10)
    assert world.rows() == 2
    world.record(make_execution(task_id, open_))
    world.sweep(10, sweeps=sweeps)
    assert world.rows() == 0


def test_a_later_month_goes_with_its_counts_while_an_earlier_one_has_to_stay(world: World) -> None:
    task_id = add_task(world.database)
    world.record(
        make_execution(task_id, ago(200), ExecutionStatus.RUNNING),
        *(make_execution(task_id, ago(days)) for days in (140, 100, 1)),
    )
    world.sweep(60)
    assert world.rows() == 2
    assert execute(world.url, KEPT) == execute(world.url, COUNTED)
    page = ExecutionStore(world.database).list(task_id, owner=None, page=1, size=1)
    assert (page.total, len(page.items)) == (2, 1)
    assert execute(world.url, TREND, task_id) == [(3, 0)]


def test_who_reads_for_long_delays_the_drop_and_nothing_else(world: World) -> None:
    task_id = add_task(world.database)
    world.record(make_execution(task_id, ago(100)))
    reader = psycopg2.connect(make_url(world.url).set(drivername="postgresql").render_as_string(hide_password=False))
    with reader.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM executions")
    with ThreadPoolExecutor(1) as pool:
        sweeping = pool.submit(world.sweep, 10)
        for number in range(20):
            world.record(make_execution(task_id, NOW - timedelta(seconds=number)))
        sweeps = sweeping.result()
    assert world.rows() == 21
    reader.close()
    world.sweep(10, sweeps=sweeps)
    assert world.rows() == 20


def test_what_a_crash_left_detached_is_dropped_and_its_month_can_come_back(world: World) -> None:
    task_id = add_task(world.database)
    world.record(make_execution(task_id, ago(100)))
    assert RetentionStore(world.database).detach(month_of(ago(100)))
    world.record(make_execution(task_id, ago(99.9)))
    assert world.rows() == 1
    world.sweep(0)
    assert not [name for name in world.tables() if name.startswith("retired")]
    world.sweep(10)
    assert world.rows() == 0
    assert execute(world.url, KEPT) == []


def test_a_projects_shorter_retention_deletes_its_rows_alone(world: World) -> None:
    short, usual = add_project(world.database, "short", retention_days=10), add_project(world.database, "usual")
    ever = add_project(world.database, "ever", retention_days=0)
    tasks = {
        project: add_task(world.database, f"task {project}", project_id=project) for project in (short, usual, ever)
    }
    for project, task_id in tasks.items():
        for days in (5, 40, 95, 130):
            attempt = make_attempt(1, f"pod-{project}-{days}", ExecutionStatus.SUCCESS)
            run = make_execution(task_id, ago(days), project_id=project, attempts=(attempt,))
            world.record(run)
            LogStore(world.database).append([make_append(run.execution_id, b"x\n", run.key.time, at=NOW)])
    running = make_execution(tasks[short], ago(50), ExecutionStatus.RUNNING, project_id=short)
    world.record(running, make_execution(4711, ago(95)), make_execution(4711, ago(20)))
    sweeps = world.sweep(90)
    left = "SELECT project_id, count(*) FROM executions GROUP BY 1 ORDER BY 1"
    assert execute(world.url, left) == [(short, 2), (usual, 2), (ever, 4), (None, 1)]
    for table in ("attempts", "log_streams", "log_chunks"):
        assert world.rows(table) == 7, table
    assert execute(world.url, KEPT) == execute(world.url, COUNTED)
    assert execute(world.url, TREND, tasks[short]) == [(4, 0)]
    # Recorded late: the next full pass finds it.
    world.record(make_execution(tasks[short], ago(60), project_id=short))
    world.sweep(90, sweeps=sweeps)
    assert world.rows() == 10
    world.sweep(90)
    assert world.rows() == 9


def test_recorders_and_a_sweep_at_once_keep_the_counts(world: World) -> None:
    project = add_project(world.database, retention_days=10)
    tasks = [add_task(world.database, f"task {number}", project_id=project) for number in range(3)]
    old = [make_execution(task, ago(30 + number), project_id=project) for task in tasks for number in range(40)]
    world.record(*old)
    new = [make_execution(task, ago(number / 10), project_id=project) for task in tasks for number in range(60)]
    late = [make_execution(task, ago(30.5), project_id=project) for task in tasks]

    def record(seed: int) -> None:
        # What is deleted may be recorded again by nobody: that is what QUIET is for, and this clock is ahead of it.
        mine = new + late if seed == 0 else new
        order = random.Random(seed).sample(mine, len(mine))
        for start in range(0, len(order), 9):
            world.record(*order[start : start + 9])

    with ThreadPoolExecutor(4) as pool:
        recording = [pool.submit(record, seed) for seed in range(3)]
        pool.submit(world.sweep, 0).result()
        for future in recording:
            future.result()
    assert execute(world.url, KEPT) == execute(world.url, COUNTED)
    world.sweep(0)
    assert world.rows() == len(new)
    assert execute(world.url, "SELECT sum(success) FROM task_days") == [(len(old) + len(new) + len(late),)]


def test_deleted_tasks_and_projects_go_when_nothing_refers_to_them(world: World) -> None:
    project = add_project(world.database)
    tasks, stores = TaskStore(world.database), ProjectStore(world.database)
    used, unused, young, busy = (
        add_task(world.database, name, project_id=project) for name in ("used", "unused", "young", "busy")
    )
    world.record(make_execution(used, ago(60)), make_execution(unused, ago(300)))
    for name in ("used", "unused", "busy"):
        tasks.mark_deleted(f"uid-alice-{name}", ago(50))
    tasks.mark_deleted("uid-alice-young", ago(3))
    stores.mark_deleted("uid-project-data", ago(1000))
    world.sweep(100, busy=["uid-alice-busy"])
    assert execute(world.url, "SELECT id FROM tasks ORDER BY id") == [(used,), (young,), (busy,)]
    assert execute(world.url, "SELECT task_id FROM task_stats ORDER BY 1") == [(used,)]
    assert execute(world.url, "SELECT task_id FROM task_days ORDER BY 1") == [(used,)]
    assert world.rows("projects") == 1
    execute(world.url, "UPDATE tasks SET deleted_at = %s", ago(50))
    execute(world.url, "UPDATE executions SET project_id = %s", project)
    world.sweep(10)
    assert world.rows("tasks") == 0
    assert world.rows("projects") == 0


def test_small_things_do_not_grow(world: World) -> None:
    execute(
        world.url,
        "INSERT INTO idempotency_keys (caller, kind, key_hash, body_digest, row_id, created_at)"
        " SELECT 'a', 'task', n::text, 'd', 1, now() FROM generate_series(1, 250) AS n",
    )
    execute(world.url, "INSERT INTO execution_ends VALUES (%s, 3), (%s, 2)", ago(8), ago(1))
    world.sweep(0)
    assert world.rows("idempotency_keys") == 0
    assert world.rows("execution_ends") == 1
