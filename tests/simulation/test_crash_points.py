"""The operator ends before or after each single write of each of these scenes, and another one takes over: every
execution is what it would have been, and ran once. docs/crash-points.md is the table."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cronwright_core.kube.resources import JOBS
from support.builders import at
from support.launch_model.world import World

TABLE = Path(__file__).parents[2] / "docs" / "crash-points.md"
TICK = "1 10 * * *"
"""One minute after ten; the world begins at 10:00:20."""


def a_tick(world: World) -> None:
    world.create_task("task", scheduleType="Cron", schedule=TICK)


def an_interval(world: World) -> None:
    world.create_task("task", scheduleType="Interval", schedule="60")
    live(world, 65)
    world.edit("task", suspend=True)


def once(world: World) -> None:
    world.create_task("task", scheduleType="Once", schedule="")


def a_resumed_once(world: World) -> None:
    world.create_task("task", scheduleType="Once", schedule="", suspend=True)
    live(world, 2)
    world.edit("task", suspend=False)


def a_tick_that_waits(world: World) -> None:
    world.create_task("first", scheduleType="Once", schedule="", runs_for=50)
    world.create_task("task", scheduleType="Cron", schedule=TICK)


def a_tick_that_is_skipped(world: World) -> None:
    world.create_task("task", scheduleType="Cron", schedule=TICK, runs_for=50)
    live(world, 2)
    world.trigger("task", "k")


def a_tick_that_takes_a_place(world: World) -> None:
    world.create_task("task", scheduleType="Cron", schedule=TICK, runs_for=50, concurrencyPolicy="Replace")
    live(world, 2)
    world.trigger("task", "k")


def a_tick_that_starts_later(world: World) -> None:
    world.create_task("task", scheduleType="Cron", schedule=TICK, spreadSeconds=30)


def a_tick_of_an_absence(world: World) -> None:
    world.create_task("task", scheduleType="Cron", schedule=TICK)
    live(world, 2)
    world.end_operator()
    world.wait_until("10:01:05")
    world.start_operator()


def a_manual_run(world: World) -> None:
    world.create_task("task", scheduleType="Cron", schedule="0 12 * * *")
    world.trigger("task", "k")


def a_cancel(world: World) -> None:
    world.create_task("task", scheduleType="Once", schedule="", runs_for=50)
    live(world, 3)
    cancel_all(world)


def a_cancel_of_one_that_waits(world: World) -> None:
    world.create_task("first", scheduleType="Once", schedule="", runs_for=20)
    live(world, 2)
    world.create_task("task", scheduleType="Once", schedule="")
    live(world, 3)
    cancel_all(world)


def a_deleted_job(world: World) -> None:
    world.create_task("task", scheduleType="Once", schedule="", runs_for=50)
    live(world, 3)
    for job in world.jobs():
        world.delete(JOBS, job.name)


def a_pause_while_one_waits(world: World) -> None:
    world.create_task("first", scheduleType="Once", schedule="", runs_for=60)
    world.create_task("task", scheduleType="Cron", schedule=TICK)
    live(world, 42)
    world.edit("task", suspend=True)


def a_resume(world: World) -> None:
    world.create_task("task", scheduleType="Cron", schedule=TICK, suspend=True)
    live(world, 50)
    world.edit("task", suspend=False)
    live(world, 20)


def a_new_schedule(world: World) -> None:
    world.create_task("task", scheduleType="Cron", schedule="* * * * *")
    live(world, 33)
    world.edit("task", schedule="2 10 * * *")
    live(world, 75)


def cancel_all(world: World) -> None:
    for task in world.tasks():
        for active in task.status.active:
            world.cancel(task.name, active.execution_id)


SCENES: list[tuple[Callable[[World], None], int]] = [
    (a_tick, 0),
    (an_interval, 0),
    (once, 0),
    (a_resumed_once, 0),
    (a_tick_that_waits, 1),
    (a_tick_that_is_skipped, 0),
    (a_tick_that_takes_a_place, 0),
    (a_tick_that_starts_later, 0),
    (a_tick_of_an_absence, 0),
    (a_manual_run, 0),
    (a_cancel, 0),
    (a_cancel_of_one_that_waits, 1),
    (a_deleted_job, 0),
    (a_pause_while_one_waits, 1),
    (a_resume, 0),
    (a_new_schedule, 0),
]
"""With the limit on all runs."""


@dataclass(frozen=True)
class Outcome:
    """How each execution ended; which of them had a Pod; the first operator's writes, and whether it died."""

    rows: frozenset[tuple[str, str, str | None]]
    started: frozenset[str]
    writes: tuple[str, ...]
    died: bool


def live(world: World, seconds: float) -> None:
    """Time passes; when an operator has died, the next one begins after its time."""
    end = world.loop.time() + seconds
    while world.loop.time() < end:
        world.wait(min(0.5, end - world.loop.time()))
        if world.death.happened:
            world.wait(world.takeover_seconds)
            world.replace_dead_operator()


def play(
    scene: Callable[[World], None],
    total: int,
    *,
    dies_at: int | None = None,
    arrives: bool = False,
    takeover_seconds: float = 0.0,
) -> Outcome:
    world = World(total=total, keep_seconds=10)
    world.takeover_seconds = takeover_seconds
    try:
        world.death.at, world.death.arrives = dies_at, arrives
        death = world.death
        world.start_operator()
        scene(world)
        live(world, (at("10:01:15") - world.now()).total_seconds())
        for _ in range(30):
            if not world.jobs():
                break
            live(world, 5)
        world.check_settled()
        assert world.jobs() == [], "recorded and kept long enough, all of them go"
        rows = frozenset((id_, row.status, row.reason) for id_, row in world.database.rows.items())
        started = frozenset(id_ for id_, jobs in world.history.started.items() if jobs)
        return Outcome(rows, started, tuple(death.writes), death.happened)
    finally:
        world.close()


@pytest.mark.parametrize(("scene", "total"), SCENES, ids=[scene.__name__ for scene, _ in SCENES])
def test_whoever_takes_over_completes_it(scene: Callable[[World], None], total: int) -> None:
    wanted = play(scene, total)
    for write, name in enumerate(wanted.writes, start=1):
        for arrives in (False, True):
            found = play(scene, total, dies_at=write, arrives=arrives)
            what = f"{'after' if arrives else 'before'} write {write}, {name}"
            assert found.writes[:write] == wanted.writes[:write], "the same life up to that point"
            assert found.died, what
            assert (found.rows, found.started) == (wanted.rows, wanted.started), what


@pytest.mark.parametrize(("scene", "total"), SCENES, ids=[scene.__name__ for scene, _ in SCENES])
def test_whoever_comes_later_loses_none(scene: Callable[[World], None], total: int) -> None:
    """Meanwhile the CronJob controller is alone, and runs what it is not kept from: so there may be other runs and
    other ends. None runs twice (the world watches that), and none is lost. Every third write; the model tries the rest.
    """
    wanted = play(scene, total)
    for write in range(1, len(wanted.writes) + 1, 3):
        found = play(scene, total, dies_at=write, arrives=write % 2 == 0, takeover_seconds=13.0)
        assert found.died
        assert len(found.rows) >= len(wanted.rows), f"write {write}, {wanted.writes[write - 1]}"


def test_the_table_names_each_write() -> None:
    table = re.findall(r"^\| \*\*(.+?)\*\*", TABLE.read_text(), flags=re.MULTILINE)
    seen = {name for scene, total in SCENES for name in play(scene, total).writes}
    assert sorted(seen) == sorted(table)
