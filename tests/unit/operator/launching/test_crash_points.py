"""The operator ends before and after each kind of write that it makes, and a successor carries on: exactly once.

The kinds are those of docs/crash-points.md; a kind that the scenario does not reach, or the page does not name, fails.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.launch_model.world import World

PAGE = Path(__file__).resolve().parents[4] / "docs" / "crash-points.md"
_ROW = re.compile(r"^\| \*\*(?P<kind>[^*]+)\*\* \|", re.M)
KINDS = _ROW.findall(PAGE.read_text())


def live(world: World) -> None:
    """Two minutes in which every kind of write is made; whoever has died is replaced after a second."""
    world.create_task("claimed", runs_for=25.0, scheduleType="Cron", schedule="* * * * *", concurrencyPolicy="Queue")
    world.create_task("skipped", runs_for=100.0, scheduleType="Cron", schedule="* * * * *")
    world.create_task("interval", runs_for=3.0, scheduleType="Interval", schedule="60")
    world.start_operator()
    for step in range(45):
        if step == 1:
            world.trigger("skipped", "long")
            world.trigger("interval", "asked")
        if step == 12:
            world.trigger("claimed", "again")
        if step == 25:
            active = world.task("skipped").status.active
            if active:
                world.cancel("skipped", active[0].execution_id)
        if step == 30:
            world.edit("interval", scheduleType="Cron", schedule="*/2 * * * *")
        if step == 34:
            world.edit("interval", schedule="* * * * *")
        if step == 36:
            # Nobody is there at the next tick: the controller makes the Jobs, and they are accepted afterwards.
            world.end_operator()
            world.wait(62)
            world.start_operator()
        world.wait(3)
        if world.death.happened:
            world.wait(1)
            world.replace_dead_operator()


def new_world() -> World:
    return World(seed=7, total=2, keep_seconds=20)


@pytest.fixture
def world() -> Iterator[World]:
    made = new_world()
    yield made
    made.close()


@functools.cache
def first_of_each() -> dict[str, int]:
    """At which write of a life without a crash, counted from 1, each kind comes for the first time."""
    world = new_world()
    try:
        live(world)
        world.settle()
        found: dict[str, int] = {}
        for number, what in enumerate(world.death.writes, 1):
            found.setdefault(what, number)
        return found
    finally:
        world.close()


def test_the_page_names_every_kind_of_write() -> None:
    assert set(first_of_each()) == set(KINDS)


@pytest.mark.parametrize("arrives", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_successor_carries_on(world: World, kind: str, arrives: bool) -> None:
    at = first_of_each()[kind]
    death = world.death
    death.at, death.arrives = at, arrives
    live(world)
    assert death.happened
    assert death.writes[at - 1] == kind, "the two lives are the same up to here"
    world.settle()
