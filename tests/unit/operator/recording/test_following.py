"""When a running Pod's log is read again."""

from __future__ import annotations

import asyncio
from typing import Any

from cronwright_operator.recording.following import LogFollower

LONG = 3600.0
"""A pause that no test waits for."""


class Log:
    """Silent; counts how often it was asked."""

    def __init__(self) -> None:
        self.reads = 0
        self.read = asyncio.Event()

    async def poll(self, *, final: bool) -> bool:
        self.reads += 1
        self.read.set()
        return False

    async def next_read(self) -> None:
        async with asyncio.timeout(10):
            await self.read.wait()
        self.read.clear()


def test_a_pod_that_is_being_deleted_is_read_at_once() -> None:
    async def scenario() -> int:
        follower, log = LogFollower(poll_seconds=LONG), Log()
        as_log: Any = log
        follower.follow("pod", as_log)
        await log.next_read()
        follower.follow("pod", as_log)
        follower.follow("pod", as_log, urgent=True)
        await log.next_read()
        follower.follow("pod", as_log, urgent=True)
        await asyncio.sleep(0)
        follower.close()
        return log.reads

    assert asyncio.run(scenario()) == 2, "once at first, once when it became urgent; a repeated event changes nothing"


def test_a_silent_pod_that_is_being_deleted_is_read_without_longer_pauses() -> None:
    async def scenario() -> None:
        follower, log = LogFollower(poll_seconds=0.001), Log()
        as_log: Any = log
        follower.follow("pod", as_log, urgent=True)
        for _ in range(30):  # with doubling pauses the thirtieth read would come after 30 s each
            await log.next_read()
        follower.close()

    asyncio.run(scenario())
