"""The heap of due times, with the wall clock as an argument."""

from __future__ import annotations

from datetime import datetime, timedelta

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


def test_replaced_times_do_not_pile_up() -> None:
    clock = Clock(lambda _: None, Wall(at("10:00:00")))
    for second in range(10_000):
        clock.set("a", at("12:00:00") + timedelta(seconds=second))
    assert len(clock) == 1
    assert len(clock._heap) < 2000


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
