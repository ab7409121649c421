"""When a running Pod's log is read again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cronwright_operator.recording import following
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


def test_a_pod_that_is_being_deleted_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "FIRST_SECONDS", 0.0)

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


class Rests:
    """Notes for how long is slept, and sleeps for no time; after so many rests the follower is ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds: list[float] = []
        self._sleep = asyncio.sleep
        monkeypatch.setattr(following.asyncio, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await self._sleep(0)

    def of(self, follower: LogFollower, count: int, *, urgent: bool = False) -> list[float]:
        async def scenario() -> None:
            as_log: Any = Log()
            follower.follow("pod", as_log, urgent=urgent)
            while len(self.seconds) < count:
                await self._sleep(0)
            follower.close()

        asyncio.run(scenario())
        return self.seconds[:count]


def test_a_pod_is_read_after_a_second_and_ever_more_rarely_while_it_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Rests(monkeypatch).of(LogFollower(poll_seconds=2.0), 7) == [1.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_beside_a_crowd_it_is_read_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    rests = Rests(monkeypatch).of(LogFollower(poll_seconds=2.0, crowded=lambda: True), 5)
    assert rests == [10.0, 10.0, 10.0, 16.0, 30.0]


def test_what_is_about_to_go_is_read_at_once_beside_a_crowd_too(monkeypatch: pytest.MonkeyPatch) -> None:
    rests = Rests(monkeypatch).of(LogFollower(poll_seconds=2.0, crowded=lambda: True), 3, urgent=True)
    assert rests == [2.0, 2.0, 2.0]
