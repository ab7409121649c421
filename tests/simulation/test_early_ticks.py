"""The controller's Job of a tick that would start later by our clock: it is that tick's run, whoever deletes it."""

from __future__ import annotations

import pytest

from cronwright_core.kube.resources import JOBS
from support.launch_model.world import World

SPREAD_TO_59_SECONDS = 90
"""What the share of the first task's uid comes to in the simulation."""


@pytest.mark.parametrize("clock", [0.0, -30.0], ids=["clocks agree", "ours is behind"])
def test_a_tick_that_the_controller_made_early_does_not_run_again(clock: float) -> None:
    world = World(seed=0, total=0, step_in=True)
    try:
        world.create_task("task-0", scheduleType="Cron", schedule="* * * * *", maxInstances=1)
        world.start_operator()
        world.wait_until("10:01:20")
        # Too late to claim the tick of 10:02, which the controller therefore makes at its own time.
        world.set_clock(clock)
        world.wait_until("10:01:59")
        world.end_operator()
        world.edit("task-0", spreadSeconds=SPREAD_TO_59_SECONDS)
        world.wait_until("10:02:01")
        world.start_operator()
        for minute in ("10:02", "10:03"):
            world.wait_until(f"{minute}:20")
            for job in world.jobs():
                if job.finished:
                    world.delete(JOBS, job.name)
        world.wait_until("10:05:00")  # `check` tells of an execution that ran twice
        world.settle()
    finally:
        world.close()
