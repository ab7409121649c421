"""The queue: each key once, one worker a key, failures again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from cronwright_operator import workqueue
from cronwright_operator.workqueue import Priority, WorkQueue


class Trouble(Exception):
    """Expected trouble."""


@asynccontextmanager
async def running(queue: WorkQueue[Any]) -> AsyncIterator[None]:
    runner = asyncio.create_task(queue.run())
    try:
        yield
    finally:
        runner.cancel()
        await asyncio.gather(runner, return_exceptions=True)


async def settled(queue: WorkQueue[str]) -> None:
    async with asyncio.timeout(5):
        while True:
            await asyncio.sleep(0.01)
            if queue.depth() == 0 and not queue._timers:
                break


async def drained(queue: WorkQueue[str]) -> None:
    async with running(queue):
        await settled(queue)


def test_a_key_that_waits_is_not_added_twice() -> None:
    async def scenario() -> list[str]:
        seen: list[str] = []

        async def work(key: str) -> None:
            seen.append(key)

        queue = WorkQueue("test", work, workers=2)
        for key in "aabab":
            queue.add(key)
        await drained(queue)
        return seen

    assert asyncio.run(scenario()) == ["a", "b"]


def test_a_key_added_during_its_work_is_done_again_and_never_twice_at_once() -> None:
    async def scenario() -> tuple[int, int]:
        running = most = calls = 0

        async def work(key: str) -> None:
            nonlocal running, most, calls
            calls += 1
            running += 1
            most = max(most, running)
            if calls == 1:
                queue.add(key)
            await asyncio.sleep(0.02)
            running -= 1

        queue = WorkQueue("test", work, workers=4)
        queue.add("a")
        await drained(queue)
        return calls, most

    assert asyncio.run(scenario()) == (2, 1)


def test_failures_are_tried_again_and_do_not_end_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workqueue, "_FIRST_BACKOFF_SECONDS", 0.01)

    async def scenario() -> list[str]:
        done: list[str] = []
        failures = {"trouble": 2, "bug": 1}

        async def work(key: str) -> None:
            if failures.get(key, 0) > 0:
                failures[key] -= 1
                raise Trouble if key == "trouble" else KeyError(key)
            done.append(key)

        queue = WorkQueue("test", work, workers=1, expected=(Trouble,))
        for key in ("trouble", "bug", "fine"):
            queue.add(key)
        await drained(queue)
        return done

    assert sorted(asyncio.run(scenario())) == ["bug", "fine", "trouble"]


def test_the_earliest_wish_counts() -> None:
    async def scenario() -> int:
        calls = 0

        async def work(key: str) -> None:
            nonlocal calls
            calls += 1

        queue = WorkQueue("test", work, workers=1)
        queue.add_after("a", 3600)
        queue.add_after("a", 0.01)
        queue.add_after("a", 3600)
        await drained(queue)
        return calls

    assert asyncio.run(scenario()) == 1


def test_a_key_that_fails_for_a_day_does_not_end_the_queue() -> None:
    async def scenario() -> float:
        async def work(key: str) -> None:
            raise Trouble

        queue = WorkQueue("test", work, workers=1, expected=(Trouble,))
        queue._failures["a"] = 5000
        queue._retry("a", Trouble())
        return queue._timers["a"].when() - asyncio.get_running_loop().time()

    assert 25 < asyncio.run(scenario()) <= 30


def test_a_long_queue_of_work_that_never_waits_lets_others_run() -> None:
    async def run() -> int:
        done: list[int] = []

        async def work(key: int) -> None:
            done.append(key)

        queue: WorkQueue[int] = WorkQueue("test", work, workers=2)
        for key in range(1000):
            queue.add(key)
        async with running(queue):
            await asyncio.sleep(0)  # the workers begin
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return len(done)

    assert 0 < asyncio.run(run()) < 100


def test_a_queue_behind_another_begins_when_nothing_urgent_waits_there() -> None:
    async def scenario() -> list[str]:
        seen: list[str] = []

        async def work(key: str) -> None:
            seen.append(key)
            await asyncio.sleep(0)

        first = WorkQueue("first", work, workers=1)
        second = WorkQueue("second", work, workers=1, behind=(first,))
        second.add("later")
        for key in ("due-1", "due-2", "due-3"):
            first.add(key, Priority.URGENT)
        async with running(second):
            await asyncio.sleep(0.02)
            assert seen == [], "the queue in front has not begun yet"
            await drained(first)
            await settled(second)
        return seen

    assert asyncio.run(scenario()) == ["due-1", "due-2", "due-3", "later"]


def test_a_queue_behind_another_is_not_starved() -> None:
    async def scenario() -> list[str]:
        seen: list[str] = []

        async def work(key: str) -> None:
            seen.append(key)

        # Nobody works in front, as if urgent keys came faster than they are served.
        first = WorkQueue("first", work, workers=1)
        first.add("due", Priority.URGENT)
        first._hurried_at -= 4.95
        second = WorkQueue("second", work, workers=1, behind=(first,))
        second.add("later")
        await drained(second)
        return seen

    assert asyncio.run(scenario()) == ["later"]


class Crew:
    """A queue whose work ends when it is told to, under a ceiling that moves."""

    def __init__(self, *, workers: int, ceiling: int) -> None:
        self.ceiling = ceiling
        self.begun: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}
        self.queue: WorkQueue[str] = WorkQueue("test", self._work, workers=workers, at_once=lambda: self.ceiling)

    @asynccontextmanager
    async def given(self, keys: str) -> AsyncIterator[None]:
        """The queue runs, and has begun what it may of these keys."""
        async with running(self.queue):
            for key in keys:
                self.queue.add(key)
            await self.rest()
            yield

    async def _work(self, key: str) -> None:
        self.begun.append(key)
        await self.ends.setdefault(key, asyncio.Event()).wait()

    async def end(self, key: str) -> None:
        self.ends[key].set()
        await self.rest()

    async def rest(self) -> None:
        """Lets everything begin that can."""
        for _ in range(50):
            await asyncio.sleep(0)


def test_no_more_are_worked_on_than_the_ceiling_allows() -> None:
    async def scenario() -> None:
        crew = Crew(workers=5, ceiling=2)
        async with crew.given("abcdef"):
            assert crew.begun == ["a", "b"]
            await crew.end("a")
            assert crew.begun == ["a", "b", "c"]
            crew.ceiling = 4
            await crew.end("b")
            assert crew.begun == ["a", "b", "c", "d", "e", "f"]

    asyncio.run(scenario())


def test_what_is_urgent_begins_beyond_the_ceiling_although_all_workers_are_held_back() -> None:
    async def scenario() -> None:
        crew = Crew(workers=3, ceiling=1)
        async with crew.given("abcde"):
            crew.queue.add("now", Priority.URGENT)
            crew.queue.add("d", Priority.URGENT)
            await crew.rest()
            assert crew.begun == ["a", "now", "d"]
            for key in ("now", "d", "a"):
                await crew.end(key)
            assert crew.begun == ["a", "now", "d", "b"], "one at a time again"
            for key in ("b", "c", "e"):
                await crew.end(key)
            assert crew.begun == ["a", "now", "d", "b", "c", "e"]
            assert crew.queue.depth() == 0

    asyncio.run(scenario())


def test_what_somebody_asks_for_overtakes_what_has_come_about_and_what_is_urgent_both() -> None:
    async def scenario() -> None:
        crew = Crew(workers=3, ceiling=1)
        async with crew.given("abc"):
            crew.queue.add("c", Priority.ASKED)
            crew.queue.add("a", Priority.ASKED)  # while it is worked on
            await crew.rest()
            assert crew.begun == ["a"], "it waits for a place as others do"
            await crew.end("a")
            assert crew.begun == ["a", "c"]
            crew.queue.add("d", Priority.ASKED)
            crew.queue.add("due", Priority.URGENT)
            await crew.rest()
            for key in ("due", "c"):
                await crew.end(key)
            assert crew.begun == ["a", "c", "due", "a", "d"], "`a` was asked for again"
            for key in ("d", "b"):
                await crew.end(key)
            assert crew.begun == ["a", "c", "due", "a", "d", "b"]
            assert crew.queue.depth() == 0, "none twice that stood in two lines"

    asyncio.run(scenario())


def test_a_ceiling_of_nothing_starves_nobody() -> None:
    async def scenario() -> list[str]:
        crew = Crew(workers=2, ceiling=0)
        async with crew.given("a"):
            return crew.begun

    assert asyncio.run(scenario()) == ["a"]


def test_a_queue_ends_while_workers_are_held_back() -> None:
    async def scenario() -> None:
        crew = Crew(workers=3, ceiling=1)
        runner = asyncio.create_task(crew.queue.run())
        for key in "abc":
            crew.queue.add(key)
        await crew.rest()
        runner.cancel()
        with pytest.raises(asyncio.CancelledError):
            await runner

    asyncio.run(scenario())
