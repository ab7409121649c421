"""Live logs over a real socket, from a real uvicorn, out of a real PostgreSQL."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from cronwright_api.app import create_app, live_logs
from cronwright_api.command import ApiServer
from cronwright_api.deps import Backends
from cronwright_api.live.streams import LiveLogs, StreamLimits
from cronwright_api.settings import BASE_PATH
from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.store.session import Database
from support.api import make_settings
from support.postgres import PostgresServer, migrate
from support.real_world import RealWorld
from support.sse import Event, iterate_events
from support.written_execution import WrittenExecution

DEADLINE_SECONDS = 20
# No polling within the deadline: what arrives was brought by a notification.
NOTIFIED = StreamLimits(heartbeat=60, poll=60, poll_unheard=60)


class Server(RealWorld):
    """The API as a server on a port of its own, in a thread."""

    url: str

    @contextmanager
    def serving(self, database_url: str, limits: StreamLimits) -> Iterator[Server]:
        self.database = Database(database_url, application_name="tests")
        settings = make_settings(DATABASE_URL=database_url)

        @asynccontextmanager
        async def open_backends() -> AsyncIterator[Backends]:
            self.live = live_logs(settings, self.database, limits)
            async with self.open() as backends:
                yield replace(backends, live=self.live)
            await self.live.close()

        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            config = uvicorn.Config(create_app(settings, open_backends), log_config=None, timeout_graceful_shutdown=60)
            self.server = ApiServer(config, end_streams=lambda: self.live.end_streams())
            self.thread = threading.Thread(target=lambda: asyncio.run(self.server.serve([listening])))
            self.thread.start()
            self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            try:
                until(lambda: self.server.started)
                yield self
            finally:
                self.server.should_exit = True
                self.thread.join(DEADLINE_SECONDS)
                self.database.dispose()
            assert not self.thread.is_alive()

    @contextmanager
    def follow(self, execution_id: str, query: str = "", **headers: str) -> Iterator[Iterator[Event]]:
        """The events of a stream, as they come."""
        headers |= {"Authorization": f"Bearer {self.token()}"}
        url = f"{self.url}{BASE_PATH}/executions/{execution_id}/logs/stream{query}"
        with (
            httpx.Client(trust_env=False, timeout=DEADLINE_SECONDS) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            assert response.status_code == 200, response.read()
            yield iterate_events(response.iter_lines())


def until(look: Callable[[], Any]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def next_line(events: Iterator[Event]) -> str:
    return next(str(event.json["content"]) for event in events if event.name == "message")


def contents(events: Iterator[Event]) -> list[str]:
    return [event.json["content"] for event in events if event.name == "message"]


@pytest.fixture
def server(tmp_path: Path, database_url: str) -> Iterator[Server]:
    with Server(tmp_path).serving(database_url, NOTIFIED) as serving:
        yield serving


@pytest.fixture
def run(database: Database) -> WrittenExecution:
    run = WrittenExecution(database)
    run.attempt(1)
    return run


def heard(live: LiveLogs) -> None:
    """Waits until the database would tell of what is stored from now on."""
    until(lambda: live.wakeups.listening)


def test_lines_come_as_they_are_stored_and_to_all_who_follow(server: Server, run: WrittenExecution) -> None:
    run.write("before\n")
    with (
        server.follow(run.id) as first,
        server.follow(run.id) as second,
        server.follow(run.id, "?log_type=error") as errors,
    ):
        assert (next_line(first), next_line(second)) == ("before", "before")
        heard(server.live)
        for number in range(3):
            run.write(f"line {number}\n")
            assert (next_line(first), next_line(second)) == (f"line {number}",) * 2
        run.write("oh no\n", stream="stderr")
        assert next_line(errors) == "oh no"
        run.finish()
        run.end()
        for events in (first, second, errors):
            (end,) = list(events)
            assert (end.name, end.json["status"]) == ("end", "SUCCESS")
    until(lambda: server.live.count == 0)


def test_a_client_that_was_cut_off_goes_on_without_loss_or_repeat(server: Server, run: WrittenExecution) -> None:
    run.write("".join(f"line {number}\n" for number in range(100)))
    seen: list[str] = []
    last: dict[str, str] = {}
    for more in (30, 30, 40):
        with server.follow(run.id, **last) as events:
            for _ in range(more):
                event = next(event for event in events if event.name == "message")
                seen.append(event.json["content"])
                last = {"Last-Event-ID": str(event.id)}
    run.write("line 100\n")
    run.attempt(1, ExecutionStatus.FAILED)
    run.finish()
    run.attempt(2)
    run.write("again\n", 2)
    run.end()
    with server.follow(run.id, **last) as events:
        assert [event.name for event in events] == ["message", "attempt", "message", "end"]
    with server.follow(run.id, **last) as events:
        seen += contents(events)
    with server.follow(run.id) as events:
        assert contents(events) == seen
    assert seen == [*(f"line {number}" for number in range(101)), "again"]


def test_a_client_that_leaves_frees_what_it_had(server: Server, run: WrittenExecution) -> None:
    run.write("one\n")
    with server.follow(run.id) as events:
        assert next_line(events) == "one"
        assert server.live.count == 1
    # Nothing is sent in the meantime that could fail: the server notices by itself.
    until(lambda: server.live.count == 0)
    assert server.live.wakeups._waiting == {}


def test_a_client_that_does_not_read_holds_up_nobody(server: Server, run: WrittenExecution) -> None:
    line = "x" * 1000
    for _ in range(12):
        run.write(f"{line}\n" * 1000)
    run.finish()
    run.end()
    with server.follow(run.id) as lazy:
        assert next_line(lazy) == line
        with server.follow(run.id) as busy:
            assert len(contents(busy)) == 12_000
        until(lambda: server.live.count < 2)  # the busy one gives its place back just after its last byte
        assert server.live.count == 1, "the lazy one still has its place"
        assert len(contents(lazy)) == 11_999, "and loses nothing"


def test_the_process_ends_at_once_and_the_stream_without_an_end(server: Server, run: WrittenExecution) -> None:
    run.write("one\n")
    with server.follow(run.id) as events:
        assert next_line(events) == "one"
        server.server.should_exit = True
        # The grace period of this server is 60 s; a stream that does not end by itself would take all of it.
        server.thread.join(DEADLINE_SECONDS)
        assert not server.thread.is_alive()
        assert list(events) == []


def test_a_database_that_goes_and_comes_back(tmp_path: Path, own_server: PostgresServer) -> None:
    migrate(own_server.url)
    database = Database(own_server.url, application_name="tests")
    run = WrittenExecution(database)
    run.attempt(1)
    run.write("before\n")
    limits = StreamLimits(heartbeat=0.2, poll=60, poll_unheard=0.2, patience=60)
    with Server(tmp_path).serving(own_server.url, limits) as server, server.follow(run.id) as events:
        assert next_line(events) == "before"
        heard(server.live)
        own_server.stop()
        until(lambda: not server.live.wakeups.listening)
        own_server.start()
        database.dispose()
        run.write("after\n")
        assert next_line(events) == "after"
        heard(server.live)
        run.write("and on\n")
        assert next_line(events) == "and on"
    database.dispose()
