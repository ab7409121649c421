"""Logs as server-sent events: what is said, where a client goes on, and who is let in."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest

from cronwright_api.live.events import END_ID, HEARTBEAT, OPENING, portion_events
from cronwright_api.live.log_stream import LogRequest, LogStream, follow_log
from cronwright_api.live.streams import LiveLogs, StreamLimits
from cronwright_api.live.wakeups import Wakeups
from cronwright_api.tokens import LEEWAY_SECONDS, User
from cronwright_core.domain.errors import NotFound, Unavailable
from cronwright_core.domain.execution import Attempt, ExecutionStatus
from cronwright_core.domain.log_position import LogPosition
from cronwright_core.store.records.logs import LogEnd, LogPortion
from support.api import World
from support.fake_stores import AWAY, FakeLogReader, Switch
from support.records import ID, START, make_execution
from support.sse import Event, parse_events

DONE = LogEnd(ExecutionStatus.FAILED, 3, "Error", False)
ALICE = User("alice")
STREAM = f"/executions/{ID}/logs/stream"


def ended(world: World, *attempts: list[str]) -> None:
    world.executions.rows[ID] = make_execution()
    world.executions.pods[ID] = [
        Attempt(number, f"pod-{number}", f"u{number}", ExecutionStatus.FAILED, START)
        for number in range(1, len(attempts) + 1)
    ]
    world.log_reader.attempts = {number: list(lines) for number, lines in enumerate(attempts, 1)}
    world.log_reader.end = DONE


def events_of(response: Any) -> list[Event]:
    assert response.status_code == 200, response.text
    return parse_events(response.text)


def lines_of(events: list[Event]) -> list[tuple[int, int, str]]:
    return [(e.json["attempt"], e.json["line"], e.json["content"]) for e in events if e.name == "message"]


class TestWhatIsSaid:
    def test_every_line_of_every_attempt_and_the_end(self, world: World) -> None:
        ended(world, ["one", "two", "three"], ["数据\rprogress", ""])
        response = world.call("GET", STREAM)
        assert response.headers["content-type"].startswith("text/event-stream")
        assert (response.headers["cache-control"], response.headers["x-accel-buffering"]) == ("no-store", "no")
        events = events_of(response)
        assert [(event.name, event.id) for event in events] == [
            ("attempt", "1-stdout-0"),
            ("message", "1-stdout-1"),
            ("message", "1-stdout-2"),
            ("message", "1-stdout-3"),
            ("attempt", "2-stdout-0"),
            ("message", "2-stdout-1"),
            ("message", "2-stdout-2"),
            ("end", "end"),
        ]
        assert lines_of(events) == [
            (1, 1, "one"),
            (1, 2, "two"),
            (1, 3, "three"),
            (2, 1, "数据\rprogress"),
            (2, 2, ""),
        ]
        assert events[-1].json == {
            "execution_id": ID,
            "status": "FAILED",
            "exit_code": 3,
            "reason": "Error",
            "log_incomplete": False,
        }
        assert "retry: 2000" in response.text.splitlines()[0]

    def test_from_any_event_on_nothing_is_lost_or_repeated(self, world: World) -> None:
        ended(world, ["one", "two", "three"], ["four"])
        whole = events_of(world.call("GET", STREAM))
        for number, event in enumerate(whole[:-1]):
            rest = events_of(world.call("GET", STREAM, headers={"Last-Event-ID": event.id}))
            assert rest == whole[number + 1 :]

    def test_after_the_end_a_client_is_told_not_to_come_back(self, world: World) -> None:
        ended(world, ["one"])
        response = world.call("GET", STREAM, headers={"Last-Event-ID": END_ID})
        assert (response.status_code, response.text) == (204, "")

    def test_one_attempt_alone(self, world: World) -> None:
        ended(world, ["one"], ["two"])
        assert lines_of(events_of(world.call("GET", f"{STREAM}?attempt=2"))) == [(2, 1, "two")]

    def test_an_execution_without_output_only_ends(self, world: World) -> None:
        ended(world)
        assert [event.name for event in events_of(world.call("GET", STREAM))] == ["end"]

    def test_a_portion_that_goes_on_within_an_attempt_has_no_separator(self) -> None:
        portion = LogPortion(lines=("x",), position=LogPosition(1, "stdout", 6))
        (event,) = parse_events(portion_events(portion, LogPosition(1, "stdout", 5)).decode())
        assert (event.name, event.id, event.json["line"]) == ("message", "1-stdout-6", 6)


class TestWhoIsLetIn:
    def test_nobody_but_the_owner(self, world: World) -> None:
        ended(world, ["one"])
        assert world.call("GET", STREAM, user="bob").status_code == 404
        assert world.call("GET", STREAM, user="bob", headers={"Last-Event-ID": END_ID}).status_code == 404
        assert world.call("GET", STREAM, user="root", admin=True).status_code == 200
        assert world.client.request("GET", f"/api/v1/scheduler{STREAM}").status_code == 401

    def test_an_attempt_that_is_not_there(self, world: World) -> None:
        ended(world, ["one"])
        assert world.call("GET", f"{STREAM}?attempt=2").status_code == 404

    @pytest.mark.parametrize(
        ("query", "id_"),
        [("", "nonsense"), ("", "1-stderr-1"), ("?log_type=error", "1-stdout-1"), ("?attempt=1", "2-stdout-1")],
    )
    def test_an_id_that_is_not_of_this_stream(self, world: World, query: str, id_: str) -> None:
        ended(world, ["one"], ["two"])
        response = world.call("GET", STREAM + query, headers={"Last-Event-ID": id_})
        assert response.status_code == 400
        assert [error["field"] for error in response.json()["errors"]] == ["Last-Event-ID"]

    @pytest.mark.parametrize("query", ["log_type=all", "attempt=0", "attempt=x"])
    def test_wrong_queries(self, world: World, query: str) -> None:
        ended(world, ["one"])
        response = world.call("GET", f"{STREAM}?{query}")
        assert [error["field"] for error in response.json()["errors"]] == [query.split("=")[0]]

    def test_only_so_many_at_a_time(self, world: World) -> None:
        ended(world, ["one"])
        live = world.live
        live.limits = StreamLimits(total=3, per_user=2)
        with live.opened("alice"), live.opened("alice"):
            refused = world.call("GET", STREAM)
            assert (refused.status_code, refused.json()["code"]) == (503, 503)
            assert refused.json()["message"] == "实时日志连接过多，请稍后重试"
            assert refused.headers["retry-after"] == "5"
            assert world.call("GET", STREAM, user="root", admin=True).status_code == 200
            with live.opened("bob"):
                assert world.call("GET", STREAM, user="root", admin=True).status_code == 503
        assert world.call("GET", STREAM).status_code == 200
        assert live.count == 0

    def test_nobody_while_the_process_ends(self, world: World) -> None:
        ended(world, ["one"])
        world.live.end_streams()
        assert world.call("GET", STREAM).status_code == 503


@pytest.fixture
def reader() -> FakeLogReader:
    return FakeLogReader(Switch())


FAST = StreamLimits(heartbeat=0.02, poll=0.01, poll_unheard=0.01, patience=0.05, send_timeout=0.05)
SLOW = StreamLimits(heartbeat=60, poll=60, poll_unheard=60)


def following(
    reader: FakeLogReader,
    limits: StreamLimits,
    steps: Callable[[LiveLogs, AsyncGenerator[bytes, None]], Any],
    **more: Any,
) -> Any:
    """Runs `steps` on the events of a stream, with a deadline."""

    async def run() -> Any:
        live = LiveLogs(reader, Wakeups(), limits)
        events = follow_log(live, more.get("user", ALICE), LogRequest(ID, "output", None, None))
        async with asyncio.timeout(10):
            assert await anext(events) == OPENING
            return await steps(live, events)

    return asyncio.run(run())


async def rest(events: AsyncGenerator[bytes, None]) -> list[bytes]:
    return [event async for event in events]


class TestWhileItRuns:
    def test_a_wake_up_brings_what_was_stored(self, reader: FakeLogReader) -> None:
        async def steps(live: LiveLogs, events: AsyncGenerator[bytes, None]) -> None:
            following = asyncio.ensure_future(anext(events))
            while not reader.reads:
                await asyncio.sleep(0)
            reader.attempts = {1: ["one"]}
            live.wakeups.wake_all()
            assert b"one" in await following

        following(reader, SLOW, steps)

    def test_without_a_wake_up_it_looks_by_itself(self, reader: FakeLogReader) -> None:
        async def steps(live: LiveLogs, events: AsyncGenerator[bytes, None]) -> None:
            assert await anext(events) == HEARTBEAT
            reader.attempts = {1: ["one"]}
            while (event := await anext(events)) == HEARTBEAT:
                pass
            assert b"one" in event

        following(reader, FAST, steps)

    def test_a_database_that_comes_back_is_not_noticed(self, reader: FakeLogReader) -> None:
        async def steps(live: LiveLogs, events: AsyncGenerator[bytes, None]) -> None:
            reader._switch.error = AWAY
            assert await anext(events) == HEARTBEAT
            reader._switch.error, reader.attempts, reader.end = None, {1: ["one"]}, DONE
            said = b"".join(await rest(events))
            assert (b"one" in said, b"event: end" in said) == (True, True)

        following(reader, StreamLimits(heartbeat=0.01, poll_unheard=0.01, patience=60), steps)

    @pytest.mark.parametrize("error", [AWAY, NotFound(AWAY.message)])
    def test_a_log_that_stays_away_ends_without_an_end(self, reader: FakeLogReader, error: Exception) -> None:
        async def steps(live: LiveLogs, events: AsyncGenerator[bytes, None]) -> None:
            reader._switch.error = error
            assert set(await rest(events)) <= {HEARTBEAT}

        following(reader, FAST, steps)

    def test_the_end_of_the_process_ends_it_without_an_end(self, reader: FakeLogReader) -> None:
        async def steps(live: LiveLogs, events: AsyncGenerator[bytes, None]) -> None:
            waiting = asyncio.ensure_future(rest(events))
            while not reader.reads:
                await asyncio.sleep(0)
            live.end_streams()
            assert await waiting == []
            assert live.wakeups._waiting == {}

        following(reader, SLOW, steps)

    @pytest.mark.parametrize(("user", "owner"), [(ALICE, "alice"), (User("root", is_admin=True), None)])
    def test_each_portion_is_read_as_the_user(self, reader: FakeLogReader, user: User, owner: str | None) -> None:
        reader.attempts, reader.end = {1: ["one", "two", "three"]}, DONE

        async def steps(live: LiveLogs, events: AsyncGenerator[bytes, None]) -> None:
            await rest(events)
            assert reader.owners == [owner] * 3

        following(reader, SLOW, steps, user=user)

    def test_a_token_that_expires_ends_it_with_a_word(self, reader: FakeLogReader) -> None:
        async def steps(live: LiveLogs, events: AsyncGenerator[bytes, None]) -> None:
            (event,) = parse_events((await rest(events))[-1].decode())
            assert (event.name, event.id, json.loads(event.data)) == ("expired", None, {"message": "token已过期"})

        following(reader, SLOW, steps, user=User("alice", expires=time.time() + 0.05))

    def test_the_verifier_says_when_a_token_expires(self, world: World) -> None:
        expires = world.verifier.verify(world.token()).expires
        assert expires == pytest.approx(time.time() + 300 + LEEWAY_SECONDS, abs=5)


class TestTheAnswer:
    def test_a_client_that_takes_nothing_is_let_go(self, reader: FakeLogReader) -> None:
        reader.attempts = {1: ["one"]}

        async def run() -> tuple[list[str], int]:
            live = LiveLogs(reader, Wakeups(), FAST)
            sent: list[str] = []

            async def send(message: Any) -> None:
                sent.append(message["type"])
                if len(sent) > 2:
                    await asyncio.Event().wait()

            async def receive() -> Any:
                return await asyncio.Event().wait()

            stream = LogStream(live, ALICE, LogRequest(ID, "output", None, None))
            async with asyncio.timeout(10):
                await stream({"type": "http"}, receive, send)
            return sent, live.count

        sent, still_open = asyncio.run(run())
        assert sent == ["http.response.start", "http.response.body", "http.response.body"]
        assert still_open == 0

    def test_a_client_that_leaves_gives_its_place_back(self, reader: FakeLogReader) -> None:
        async def run() -> tuple[int, int, Any]:
            live = LiveLogs(reader, Wakeups(), SLOW)
            left = asyncio.Event()

            async def send(message: Any) -> None:
                pass

            async def receive() -> Any:
                await left.wait()
                return {"type": "http.disconnect"}

            stream = LogStream(live, ALICE, LogRequest(ID, "output", None, None))
            serving = asyncio.ensure_future(stream({"type": "http"}, receive, send))
            async with asyncio.timeout(10):
                while not reader.reads:
                    await asyncio.sleep(0)
                meanwhile = live.count
                left.set()
                await serving
            return meanwhile, live.count, live.wakeups._waiting

        assert asyncio.run(run()) == (1, 0, {})


def test_a_refusal_is_no_trouble_of_the_stream(tmp_path: Path) -> None:
    live = LiveLogs(FakeLogReader(Switch()), Wakeups(), StreamLimits(total=1))
    with live.opened("alice"), pytest.raises(Unavailable), live.opened("bob"):
        pass
    assert live.count == 0
