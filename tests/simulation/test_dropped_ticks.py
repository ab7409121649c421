"""A pause drops ticks that are due and have no Job: each of them stands in the history, with its reason."""

from __future__ import annotations

from typing import Any

import pytest

from cronwright_core.domain.ticks import spread_offset
from support.builders import MINUTE
from support.launch_model.world import World


@pytest.mark.parametrize("dies_at", [None, 1, 2])
def test_several_that_wait_for_their_share_of_the_spread(dies_at: int | None) -> None:
    world = World()
    try:
        uid = world.create_task("task-0", scheduleType="Cron", schedule="* * * * *", suspend=True)
        spread = next(n for n in range(200, 4000) if 3 * MINUTE < spread_offset(uid, n) < 3.5 * MINUTE)
        world.edit("task-0", suspend=False, spreadSeconds=spread)
        world.start_operator()
        world.wait_until("10:03:05")
        if dies_at is not None:
            world.let_operator_die(dies_at, arrives=True)
        world.edit("task-0", suspend=True)
        world.wait(5)
        world.replace_dead_operator()
        world.wait(40)
        reasons = [row.reason for row in world.database.rows.values()]
        assert reasons == ["Suspended"] * 3, "10:01, 10:02 and 10:03"
        world.settle()
    finally:
        world.close()


def test_one_that_the_late_controller_has_not_made_yet() -> None:
    world = World(step_in=False)
    try:
        world.create_task("task-0", scheduleType="Cron", schedule="* * * * *")
        world.start_operator()
        world.wait_until("10:00:59")
        world.away_controller()
        world.wait_until("10:01:20")
        world.edit("task-0", suspend=True)
        world.wait(10)
        assert [row.reason for row in world.database.rows.values()] == ["Suspended"]
        world.back_controller()
        world.settle()
    finally:
        world.close()


@pytest.mark.parametrize("edit", [{"suspend": True}, {"schedule": "30 * * * *"}], ids=["pause", "reschedule"])
def test_one_whose_job_the_controller_makes_from_what_it_read_before(edit: dict[str, Any]) -> None:
    world = World(step_in=False)
    try:
        world.create_task("task-0", scheduleType="Cron", schedule="* * * * *")
        world.start_operator()
        world.wait_until("10:00:59")
        # From its look at the CronJob, a tenth of a second after the tick, to the Job.
        world.cron.slow_seconds = 1.0
        world.wait_until("10:01:00")
        world.wait(0.3)
        world.edit("task-0", **edit)
        world.wait(20)
        assert [job.name.rsplit("-", 1)[0] for job in world.jobs()], "the controller has made it"
        assert [row.status for row in world.database.rows.values()] == ["SUCCESS"], "it ran, and nothing else is said"
        world.settle()
    finally:
        world.close()
