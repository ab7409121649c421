"""Events on tasks: the same again is counted, many of one task are bounded, nobody waits for them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from cronwright_core.kube.errors import KubeNotFound, KubeUnreachable
from cronwright_core.kube.ports import Json
from cronwright_operator.reconciling import events as events_module
from cronwright_operator.reconciling.actions import Event, RecordSkipped
from cronwright_operator.reconciling.events import BURST, WINDOW, EventPoster
from cronwright_operator.reconciling.skips import SkipReport
from support.builders import at, make_task
from support.fake_objects import FakeObjects

NOW = at("10:00:00")
TASK = make_task()
SKIPPED = Event("Warning", "MissedSchedule", "a run was skipped: nobody was there")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "COUNT_SECONDS", 0.0)
    monkeypatch.setattr(events_module, "_PACE_SECONDS", 0.0)


class World:
    def __init__(self) -> None:
        self.server = FakeObjects(NOW, namespaces=(TASK.namespace,))
        self.outcomes: Counter[str] = Counter()
        self.poster = EventPoster(self.server, "operator-1", lambda outcome: self.outcomes.update([outcome]))

    async def write(self) -> list[Json]:
        await self.poster.write_due()
        return self.stored()

    def stored(self) -> list[Json]:
        return [body for (plural, _, _), body in self.server.objects.items() if plural == "events"]


def run(scenario: Callable[[World], Any]) -> World:
    async def main() -> World:
        world = World()
        await scenario(world)
        return world

    return asyncio.run(main())


def test_the_same_again_counts_up_the_event_that_is_there() -> None:
    async def scenario(world: World) -> None:
        world.poster.add(TASK, SKIPPED, NOW)
        (event,) = await world.write()
        assert (event["count"], event["reason"], event["involvedObject"]["uid"]) == (1, "MissedSchedule", TASK.uid)
        for minute in (5, 10):
            world.poster.add(TASK, SKIPPED, NOW + timedelta(minutes=minute))
        (event,) = await world.write()
        assert event["count"] == 3
        assert (event["firstTimestamp"], event["lastTimestamp"]) == ("2026-03-02T10:00:00Z", "2026-03-02T10:10:00Z")

    assert run(scenario).outcomes == {"created": 1, "counted": 1}


def test_after_a_quiet_time_it_is_a_new_event() -> None:
    async def scenario(world: World) -> None:
        world.poster.add(TASK, SKIPPED, NOW)
        await world.write()
        world.poster.add(TASK, SKIPPED, NOW + WINDOW + timedelta(seconds=1))
        assert [event["count"] for event in await world.write()] == [1, 1]

    run(scenario)


def test_a_task_has_a_burst_and_then_one_a_minute() -> None:
    async def scenario(world: World) -> None:
        for number in range(BURST + 10):
            world.poster.add(TASK, replace(SKIPPED, message=f"number {number}"), NOW)
        assert len(await world.write()) == BURST
        other = make_task()
        world.poster.add(replace(other, uid="another"), SKIPPED, NOW)
        world.poster.add(TASK, replace(SKIPPED, message="later"), NOW + timedelta(minutes=1))
        world.poster.add(TASK, replace(SKIPPED, message="too many"), NOW + timedelta(minutes=1))
        assert len(await world.write()) == BURST + 2

    assert run(scenario).outcomes == {"created": BURST + 2, "dropped": 11}


def test_an_event_that_the_server_has_forgotten_is_made_again_with_its_count() -> None:
    async def scenario(world: World) -> None:
        world.poster.add(TASK, SKIPPED, NOW)
        await world.write()
        world.server.objects.clear()
        world.poster.add(TASK, SKIPPED, NOW)
        world.server.fail_next = KubeNotFound(404, "NotFound", "gone")
        assert [event["count"] for event in await world.write()] == [2]

    run(scenario)


def test_a_failure_is_forgotten_and_the_next_one_begins_anew() -> None:
    async def scenario(world: World) -> None:
        world.poster.add(TASK, SKIPPED, NOW)
        world.server.fail_next = KubeUnreachable("away")
        assert await world.write() == []
        world.poster.add(TASK, SKIPPED, NOW)
        assert [event["count"] for event in await world.write()] == [1]

    assert run(scenario).outcomes == {"failed": 1, "created": 1}


def test_a_long_text_is_cut_where_the_server_would_refuse_it() -> None:
    async def scenario(world: World) -> None:
        world.poster.add(TASK, replace(SKIPPED, message="x" * 5000), NOW)
        (event,) = await world.write()
        assert len(event["message"]) == 1024

    run(scenario)


def test_they_are_written_without_anybody_waiting() -> None:
    async def scenario(world: World) -> None:
        runner = asyncio.create_task(world.poster.run())
        world.poster.add(TASK, SKIPPED, NOW)
        async with asyncio.timeout(5):
            while not world.stored():
                await asyncio.sleep(0.005)
            world.poster.add(TASK, SKIPPED, NOW)
            while world.stored()[0]["count"] != 2:
                await asyncio.sleep(0.005)
        runner.cancel()
        await asyncio.gather(runner, return_exceptions=True)

    run(scenario)


def test_a_skipped_tick_is_told_once_in_each_place() -> None:
    told: list[tuple[str, str]] = []
    counted: Counter[str] = Counter()

    class Events:
        def add(self, task: object, event: Event, now: datetime) -> None:
            told.append((event.type, event.message))

    report = SkipReport(
        Events(),
        lambda reason, count: counted.update({reason: count}),
        lambda: NOW,
    )
    missed = RecordSkipped(at("09:00:00"), "MissedSchedule", "nobody was there", 40)
    running = RecordSkipped(at("09:30:00"), "AlreadyRunning", "the run before it goes on")
    for skipped in (missed, running, missed):
        report.add(TASK, skipped)
    assert counted == {"MissedSchedule": 40, "AlreadyRunning": 1}
    assert told == [
        ("Warning", "a run was skipped: nobody was there"),
        ("Normal", "a run was skipped: the run before it goes on"),
    ]
