"""A write arrives after its operator has ended and the successor has acted: no tick runs twice, and all comes to rest.
What nobody can hold back is told in docs/crash-points.md, "What is left", and excused by the model alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cronwright_core.kube.resources import CRON_JOBS, JOBS
from simulation.test_crash_points import SCENES, live
from support.builders import at
from support.launch_model.world import World


def nothing(world: World) -> None:
    pass


def a_pause(world: World) -> None:
    for task in list(world.tasks()):
        world.edit(task.name, suspend=True)


def a_reschedule(world: World) -> None:
    for task in list(world.tasks()):
        world.edit(task.name, scheduleType="Cron", schedule="3 10 * * *")


def jobs_deleted(world: World) -> None:
    for job in world.jobs():
        world.delete(JOBS, job.name)


def cronjobs_deleted(world: World) -> None:
    for body in list(world.server.all(CRON_JOBS)):
        world.delete(CRON_JOBS, body["metadata"]["name"])


ACTS = [nothing, a_pause, a_reschedule, jobs_deleted, cronjobs_deleted]


def play(scene: Callable[[World], None], total: int, write: int, act: Callable[[World], None], *, seen: bool) -> bool:
    """Whether the operator died, at that write; `seen`: the successor is there when people act."""
    world = World(total=total, keep_seconds=10)
    replace = world.replace_dead_operator
    try:
        death = world.death
        death.at, death.late_seconds = write, 6.0

        def take_over() -> None:
            acts = world.death.happened
            if acts and not seen:
                act(world)
            replace()
            if acts and seen:
                world.wait(0.5)
                act(world)

        world.replace_dead_operator = take_over  # type: ignore[method-assign]
        world.start_operator()
        scene(world)
        live(world, max(0.1, (at("10:01:15") - world.now()).total_seconds()))
        world.settle()
        return death.happened
    finally:
        world.close()


@pytest.mark.parametrize(("scene", "total"), SCENES, ids=[scene.__name__ for scene, _ in SCENES])
def test_a_late_write_repeats_nothing(scene: Callable[[World], None], total: int) -> None:
    """Every third write, with one of the acts in turn; the model tries the rest."""
    write = 1
    while play(scene, total, write, ACTS[write % len(ACTS)], seen=write % 2 == 0):
        write += 3
    assert write > 1


def test_a_run_of_a_once_that_was_suspended_before_it_was_noted_is_let_go_of() -> None:
    """Its operator ended after it had made the Job, and the successor finds it suspended."""
    world = World()
    try:
        world.death.at, world.death.arrives = 1, True
        world.create_task("task", scheduleType="Once", schedule="")
        world.start_operator()
        world.wait(1)
        assert world.death.writes == ["Job's creation"]
        a_pause(world)
        world.replace_dead_operator()
        world.wait(20)
        assert [job.has_finalizer for job in world.jobs()] == [False]
        world.edit("task", suspend=False)
        world.settle()
        assert len(world.database.rows) == 1, "it does not come again"
    finally:
        world.close()
