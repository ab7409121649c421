"""The heap of due times, with the wall clock as an argument."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from cronwright_operator.launching import clock as module
from cronwright_operator.launching.clock import Clock
from support.builders import at


class Wall:
    def __init__(self, time: datetime) -> None:
        self.time = time

    def __call__(self) -> datetime:
        return self.time


def test_keys_fire_in_their_order_and_once() -> None:
    wall, fired = Wall(at("10:00:00")), list[str]()
    clock = Clock(fired.append, wall)
    clock.set("late", at("10:02:00"))
    clock.set("soon", at("10:01:00"))
    assert clock.fire_due() <= 1.0, "the wall clock is read again within a second"
    assert fired == []
    wall.time = at("10:03:00")
    clock.fire_due()
    clock.fire_due()
    assert fired == ["soon", "late"]
    assert len(clock) == 0


def test_a_key_fires_at_its_time_and_not_a_look_later() -> None:
    wall, fired = Wall(at("10:00:00")), list[str]()
    clock = Clock(fired.append, wall)
    clock.set("a", at("10:00:00") + timedelta(milliseconds=250))
    assert clock.fire_due() == 0.25
    wall.time += timedelta(milliseconds=250)
    clock.fire_due()
    assert fired == ["a"]


def test_one_that_is_due_before_the_next_look_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_SLEEP_SECONDS", 600.0)

    async def scenario() -> list[str]:
        wall, fired = Wall(at("10:00:00")), list[str]()
        clock = Clock(fired.append, wall)
        clock.set("later", at("10:09:00"))
        running = asyncio.create_task(clock.run())
        await asyncio.sleep(0)
        clock.set("now", at("10:00:00"))
        for _ in range(9):
            await asyncio.sleep(0)
        running.cancel()
        return fired

    assert asyncio.run(scenario()) == ["now"]


def test_the_earliest_time_is_that_of_a_key_that_still_has_it() -> None:
    clock = Clock(lambda _: None, Wall(at("10:00:00")))
    assert clock.next_due() is None
    clock.set("a", at("10:01:00"))
    clock.set("b", at("10:02:00"))
    assert clock.next_due() == at("10:01:00")
    clock.set("a", at("10:03:00"))
    assert clock.next_due() == at("10:02:00")
    clock.set("b", None)
    assert clock.next_due() == at("10:03:00")


def test_a_new_time_replaces_the_old_one() -> None:
    wall, fired = Wall(at("10:05:00")), list[str]()
    clock = Clock(fired.append, wall)
    clock.set("a", at("10:01:00"))
    clock.set("a", at("10:10:00"))
    clock.set("b", at("10:02:00"))
    clock.set("b", None)
    clock.fire_due()
    assert fired == []


def test_a_wall_clock_that_jumps_back_fires_nothing_early() -> None:
    wall, fired = Wall(at("10:00:00")), list[str]()
    clock = Clock(fired.append, wall)
    clock.set("a", at("10:00:01"))
    wall.time = at("09:00:00")
    assert clock.fire_due() == 1.0
    assert fired == []


def test_replaced_times_do_not_pile_up_and_all_still_fire_in_order() -> None:
    wall, fired = Wall(at("10:00:00")), list[str]()
    clock = Clock(fired.append, wall)
    clock.set("last", at("16:00:00"))
    clock.set("first", at("11:00:00"))
    for second in range(10_000):
        clock.set("between", at("12:00:00") + timedelta(seconds=second))
    assert len(clock) == 3
    assert len(clock._heap) < 2000
    wall.time = at("17:00:00")
    clock.fire_due()
    assert fired == ["first", "between", "last"]


def test_counts_what_is_due_until_a_time() -> None:
    clock = Clock(lambda _: None, Wall(at("10:00:00")))
    for second in range(50):
        clock.set(f"task-{second}", at("10:00:01") + timedelta(seconds=second))
    assert clock.count_until(at("10:00:20"), most=100) == 20
    assert clock.count_until(at("10:00:20"), most=7) == 7
    assert clock.count_until(at("10:00:00"), most=100) == 0


def test_counts_no_time_that_was_replaced_or_removed() -> None:
    clock = Clock(lambda _: None, Wall(at("10:00:00")))
    clock.set("a", at("10:00:01"))
    clock.set("a", at("10:30:00"))
    clock.set("b", at("10:00:01"))
    clock.set("b", None)
    clock.set("c", at("10:00:02"))
    assert clock.count_until(at("10:00:05"), most=100) == 1
