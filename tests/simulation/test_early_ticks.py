"""Ticks that come earlier by one clock than by the other, ours and the CronJob controller's: each runs once, whoever
deletes what tells of it."""

from __future__ import annotations

import pytest

from cronwright_core.kube.resources import CRON_JOBS, JOBS
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


def test_a_tick_that_we_made_early_does_not_run_again_from_a_new_cronjob() -> None:
    world = World(seed=0, total=0, step_in=True)
    try:
        world.create_task("task-0", scheduleType="Cron", schedule="* * * * *", maxInstances=1)
        world.start_operator()
        world.wait_until("10:01:20")
        world.set_clock(30.0)
        world.wait_until("10:01:50")
        # The tick of 10:02 has run. Somebody deletes the CronJob and its Jobs with it, and the operator, which makes it
        # anew, comes no further.
        (cronjob,) = world.server.all(CRON_JOBS)
        world.delete(CRON_JOBS, cronjob["metadata"]["name"])
        world.wait(0.1)
        world.disturb_for(20)
        world.wait_until("10:04:00")
        world.settle()
    finally:
        world.close()


def test_a_tick_that_the_controller_made_early_does_not_run_again_from_a_new_cronjob() -> None:
    world = World(seed=0, total=0, step_in=True)
    try:
        world.create_task("task-0", scheduleType="Cron", schedule="* * * * *", maxInstances=1)
        world.start_operator()
        world.wait_until("10:01:20")
        world.set_clock(-40.0)
        world.wait_until("10:02:20")
        # The tick of 10:02 has run, and by our clock it has not come yet. A second Job of it would have a Pod before we
        # hear of it.
        world.change_weather(lag=1.0, slow=0.02)
        (cronjob,) = world.server.all(CRON_JOBS)
        world.delete(CRON_JOBS, cronjob["metadata"]["name"])
        world.wait_until("10:02:50")
        world.settle()
    finally:
        world.close()
