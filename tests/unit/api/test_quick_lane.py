"""The lane keeps the order, and lets nobody wait for what hangs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from cronwright_api.quick_lane import QuickLane

WORD: ContextVar[str] = ContextVar("word", default="none")


@pytest.fixture
def lane() -> Iterator[QuickLane]:
    lane = QuickLane(threads=2, patience_seconds=0.05)
    yield lane
    lane.close()


def fail() -> None:
    raise KeyError("of the work")


def test_what_the_work_returns_and_raises(lane: QuickLane) -> None:
    async def scenario() -> None:
        WORD.set("mine")
        assert await lane.run(WORD.get) == "mine"
        for _ in range(3):
            with pytest.raises(KeyError, match="of the work"):
                await lane.run(fail)
        assert await lane.run(lambda: 42) == 42

    asyncio.run(scenario())


def test_the_order_is_that_of_the_requests() -> None:
    async def scenario() -> list[int]:
        one, done = QuickLane(threads=1, patience_seconds=60), list[int]()
        await asyncio.gather(*(one.run(lambda number=number: done.append(number)) for number in range(50)))
        one.close()
        return done

    assert asyncio.run(scenario()) == list(range(50))


def test_what_hangs_holds_up_nobody(lane: QuickLane) -> None:
    let_go = threading.Event()

    async def scenario() -> None:
        hanging = [asyncio.create_task(lane.run(lambda: let_go.wait(60))) for _ in range(2)]
        await asyncio.sleep(0)
        try:
            assert await asyncio.gather(*(lane.run(threading.get_ident) for _ in range(5)))
        finally:
            let_go.set()
        assert await asyncio.gather(*hanging) == [True, True]
        assert await lane.run(lambda: threading.current_thread().name.startswith("quick-lane"))

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_who_goes_away_while_waiting_is_not_worked_for(lane: QuickLane) -> None:
    let_go, worked = threading.Event(), list[int]()

    async def scenario() -> None:
        hanging = [asyncio.create_task(lane.run(lambda: let_go.wait(60))) for _ in range(2)]
        await asyncio.sleep(0)
        leaving = asyncio.create_task(lane.run(lambda: worked.append(1)))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        let_go.set()
        await asyncio.gather(*hanging)
        await lane.run(lambda: None)

    asyncio.run(asyncio.wait_for(scenario(), 30))
    assert worked == []
