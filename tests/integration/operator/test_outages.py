"""PostgreSQL stopped, killed in mid-transaction, read-only, failed over, full and slow: what was to be recorded is,
once each, when it is back - and nobody who is in a hurry waits for it meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence

import psycopg2
import pytest
from sqlalchemy import make_url

from cronwright_core.domain.errors import Unavailable
from cronwright_core.domain.execution import Execution, ExecutionStatus
from cronwright_core.store import session
from cronwright_core.store.executions import ExecutionStore
from cronwright_core.store.records.executions import RecordResult
from cronwright_core.store.session import Database
from cronwright_operator.recording.batching import SOON_SECONDS, RecordBatcher
from cronwright_operator.workqueue import WorkQueue
from support.postgres import PostgresServer, execute, make_database
from support.store_rows import NOW, add_task, later, make_attempt, make_execution

COUNT = 160
STRIKES_AFTER = 40
"""So many are recorded before the trouble begins."""
WORKERS = 8
Trouble = Callable[["World"], contextlib.AbstractContextManager[None]]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    server = PostgresServer(in_memory=True)
    try:
        # What a server that is killed has confirmed must be there afterwards.
        server.start("synchronous_commit=on")
        make_database(server, "migrated")
        yield server
    finally:
        server.remove()


def copy(server: PostgresServer, name: str, tablespace: str = "pg_default") -> str:
    """The URL of a migrated database."""
    execute(server.url, f'CREATE DATABASE "{name}" TEMPLATE migrated TABLESPACE "{tablespace}"')
    return make_url(server.url).set(database=name).render_as_string(hide_password=False)


class World:
    """Executions that are over, recorded by the operator's own queue and batcher; each as RUNNING first."""

    def __init__(self, server: PostgresServer, url: str) -> None:
        self.server = server
        self.url = url
        self.database = Database(url, application_name="tests")
        self.task_id = add_task(self.database)
        self.store = ExecutionStore(self.database)
        self.done: set[int] = set()
        self.failures: list[str] = []
        self.batcher = RecordBatcher(self.record)
        self.queue: WorkQueue[int] = WorkQueue("record", self.work, workers=WORKERS, expected=(Unavailable,))

    def record(self, batch: Sequence[Execution]) -> RecordResult:
        try:
            return self.store.record(batch)
        except Unavailable as error:
            self.failures.append(str(error))
            raise

    async def work(self, number: int) -> None:
        for status in (ExecutionStatus.RUNNING, ExecutionStatus.SUCCESS):
            await self.batcher.record(self.execution(number, status))
        self.done.add(number)

    def execution(self, number: int, status: ExecutionStatus) -> Execution:
        attempt = make_attempt(1, f"pod-{number}", status)
        return make_execution(self.task_id, later(60 * number), status, attempts=(attempt,))

    async def run(self, trouble: Trouble) -> None:
        work = [asyncio.create_task(self.batcher.run()), asyncio.create_task(self.queue.run())]
        async with asyncio.timeout(90):
            for number in range(STRIKES_AFTER):
                self.queue.add(number)
            await self.until(lambda: len(self.done) == STRIKES_AFTER)
            stack, before = contextlib.ExitStack(), len(self.failures)
            feeding = asyncio.create_task(self.feed(before))
            await asyncio.to_thread(stack.enter_context, trouble(self))
            try:
                # The trouble is felt.
                await self.until(lambda: len(self.failures) > before)
                await self.hurry()
            finally:
                await asyncio.to_thread(stack.close)
            await feeding
            await self.until(lambda: len(self.done) == COUNT)
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)

    async def feed(self, before: int) -> None:
        """All that is left, and once more what is done: a few at a time until the trouble is felt, as a quick machine
        would be done with all of them before."""
        numbers = [*range(STRIKES_AFTER, COUNT), *range(STRIKES_AFTER)]
        for first in range(0, COUNT, WORKERS):
            for number in numbers[first : first + WORKERS]:
                self.queue.add(number)
            if len(self.failures) == before:
                await asyncio.sleep(0.3)

    async def hurry(self) -> None:
        begin = time.monotonic()
        with contextlib.suppress(Unavailable):
            await self.batcher.record_soon([make_execution(self.task_id, later(-60), ExecutionStatus.CANCELLED)])
        assert time.monotonic() - begin < SOON_SECONDS + 5, "launching waited for PostgreSQL"

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await asyncio.sleep(0.01)

    def check(self) -> None:
        """Each once, and all that is counted says the same."""
        own = "SELECT status, count(*) FROM executions WHERE execution_time >= %s GROUP BY 1"
        assert execute(self.url, own, NOW) == [("SUCCESS", COUNT)]
        assert execute(self.url, "SELECT count(*), count(DISTINCT pod_uid) FROM attempts") == [(COUNT, COUNT)]
        for table, column in (("task_stats", "success_count"), ("execution_days", "success"), ("task_days", "success")):
            assert execute(self.url, f"SELECT sum({column}) FROM {table}") == [(COUNT,)], table
        assert execute(self.url, "SELECT sum(running + pending) FROM execution_days") == [(0,)]


@contextlib.contextmanager
def stopped(world: World) -> Iterator[None]:
    world.server.stop()
    yield
    world.server.start("synchronous_commit=on")


@contextlib.contextmanager
def killed_in_mid_transaction(world: World) -> Iterator[None]:
    # A batch has written its executions and waits for the statistics.
    holder = connect(world.url)
    holder.cursor().execute("LOCK TABLE task_stats IN SHARE MODE")
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'task_stats'::regclass"
    wait(lambda: execute(world.url, waiting) != [(0,)])
    world.server.stop(immediate=True)
    world.server.start("synchronous_commit=on")
    yield


@contextlib.contextmanager
def read_only(world: World) -> Iterator[None]:
    execute(world.url, "ALTER SYSTEM SET default_transaction_read_only = on")
    execute(world.url, "SELECT pg_reload_conf()")
    yield
    execute(writable(world.url), "ALTER SYSTEM RESET default_transaction_read_only")
    execute(world.url, "SELECT pg_reload_conf()")


@contextlib.contextmanager
def failed_over(world: World) -> Iterator[None]:
    """The connections that are open lead to a server that takes no writes any more; new ones lead elsewhere."""
    execute(world.url, "ALTER ROLE cronwright SET default_transaction_read_only = on")
    execute(world.url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tests'")
    wait(lambda: any("25006" in failure for failure in world.failures))
    yield
    execute(writable(world.url), "ALTER ROLE cronwright RESET default_transaction_read_only")


@contextlib.contextmanager
def full(world: World) -> Iterator[None]:
    """The disk has room for what is there, and no more; until somebody makes some."""
    url = world.url
    size = "SELECT pg_tablespace_size('tiny')"
    ((used,),) = execute(url, size)
    execute(url, "CREATE TABLE junk (data text)")
    execute(url, "ALTER TABLE junk ALTER data SET STORAGE PLAIN")
    block = 2048
    while block:
        # Down to the last page: whatever grows now meets a full disk.
        try:
            execute(url, "INSERT INTO junk SELECT repeat('x', 4000) FROM generate_series(1, %s)", block)
        except psycopg2.errors.DiskFull:
            block //= 2
    assert execute(url, size) > [(used,)]
    yield
    execute(url, "DROP TABLE junk")


@contextlib.contextmanager
def slow(world: World) -> Iterator[None]:
    with contextlib.closing(connect(world.url)) as holder:
        holder.cursor().execute("LOCK TABLE executions IN ACCESS EXCLUSIVE MODE")
        yield


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def connect(url: str) -> psycopg2.extensions.connection:
    return psycopg2.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False))


def writable(url: str) -> str:
    return f"{url}?options=-cdefault_transaction_read_only%3Doff"


@pytest.mark.parametrize("trouble", [stopped, killed_in_mid_transaction, read_only, failed_over, slow])
def test_everything_is_recorded_once_when_it_is_back(
    server: PostgresServer, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "LOCK_TIMEOUT_SECONDS", 1)
    world = World(server, copy(server, trouble.__name__))
    asyncio.run(world.run(trouble))
    world.check()
    world.database.dispose()


@pytest.fixture
def tiny_disk(server: PostgresServer) -> Iterator[None]:
    folder = server.folder / "tiny"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can make a small disk")
    owner = f",uid={server.account.pw_uid},gid={server.account.pw_gid}" if server.account is not None else ""
    command = ["mount", "-t", "tmpfs", "-o", f"size=40m{owner}", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a file system")
    try:
        execute(server.url, f"CREATE TABLESPACE tiny LOCATION '{folder}'")
        yield
        execute(server.url, "DROP DATABASE full_disk WITH (FORCE)")
        execute(server.url, "DROP TABLESPACE tiny")
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.usefixtures("tiny_disk")
def test_a_full_disk_is_an_outage_that_ends_when_there_is_room(server: PostgresServer) -> None:
    world = World(server, copy(server, "full_disk", "tiny"))
    asyncio.run(world.run(full))
    world.check()
    world.database.dispose()


def test_a_deadlock_is_repeated_and_not_told(server: PostgresServer) -> None:
    database = Database(copy(server, "deadlock"), application_name="tests")
    calls = []

    def work(connection) -> int:
        calls.append(1)
        if len(calls) < 3:
            connection.exec_driver_sql("DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$")
        return 42

    assert database.write_partitioned([NOW], work) == 42
    assert len(calls) == 3
    database.dispose()
