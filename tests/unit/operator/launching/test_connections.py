"""Connections that stand before a burst, with both clocks as arguments."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from cronwright_operator.launching import connections
from cronwright_operator.launching.burst import MANY
from cronwright_operator.launching.clock import Clock
from cronwright_operator.launching.connections import AHEAD, Connections
from support.builders import at

NOW = at("10:00:00")


class Opened:
    """Notes how many connections were asked for, and moves the time by hand."""

    def __init__(self, due: int, *, most: int = 96) -> None:
        self.asked: list[int] = []
        self.now, self.seconds = NOW, 1000.0
        self.clock = Clock(lambda _: None, lambda: self.now)
        self.add(due)
        self.connections = Connections(
            self.clock, self._open, most=most, keep_seconds=75.0, now=lambda: self.now, monotonic=lambda: self.seconds
        )

    def add(self, due: int) -> None:
        for number in range(len(self.clock), len(self.clock) + due):
            self.clock.set(f"task-{number}", NOW + timedelta(minutes=1))

    def look(self, at_seconds: float) -> None:
        """Looks so many seconds after the beginning; the tasks are due after sixty."""
        self.now, self.seconds = NOW + timedelta(seconds=at_seconds), 1000.0 + at_seconds
        asyncio.run(self.connections.look())

    async def _open(self, count: int) -> None:
        self.asked.append(count)


def test_as_many_as_are_due_within_seconds_once() -> None:
    opened = Opened(due=40)
    for second in range(60):
        opened.look(second)
    assert opened.asked == [40]
    assert timedelta(seconds=2) <= AHEAD, "it looks once a second"


def test_not_more_than_work_at_once() -> None:
    opened = Opened(due=1000, most=96)
    opened.look(58)
    assert opened.asked == [96]


def test_a_few_are_left_to_the_requests_themselves() -> None:
    opened = Opened(due=MANY - 1)
    opened.look(58)
    assert opened.asked == []


def test_more_are_opened_when_more_become_due() -> None:
    opened = Opened(due=20)
    opened.look(57)
    opened.add(due=30)
    opened.look(58)
    assert opened.asked == [20, 50]


def test_they_are_opened_anew_when_idle_ones_may_be_closed() -> None:
    opened = Opened(due=20)
    opened.look(58)
    for key in range(20):
        opened.clock.set(f"task-{key}", NOW + timedelta(minutes=3))
    opened.look(119)
    opened.look(178)
    assert opened.asked == [20, 20]


@pytest.mark.parametrize(("next_due", "asked"), [(131, [20]), (132, [20, 20])])
def test_they_last_until_the_tick_that_they_are_for(next_due: int, asked: list[int]) -> None:
    # Opened at 58 and kept for 75 seconds: what is used at 133 has to be looked for a second and the lead before.
    opened = Opened(due=20)
    opened.look(58)
    for key in range(20):
        opened.clock.set(f"task-{key}", NOW + timedelta(seconds=next_due))
    opened.look(next_due - AHEAD.total_seconds())
    assert opened.asked == asked


def test_an_api_server_that_does_not_answer_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_: int) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(connections, "_OPEN_SECONDS", 0.01)
    clock = Clock(lambda _: None, lambda: NOW)
    for number in range(20):
        clock.set(f"task-{number}", NOW)
    waiting = Connections(clock, never, most=96, keep_seconds=75.0, now=lambda: NOW)
    asyncio.run(asyncio.wait_for(waiting.look(), timeout=10))
