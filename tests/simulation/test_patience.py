"""How long a run waits for its turn does not count against how long its Pod may take to start."""

from __future__ import annotations

import pytest

from support.launch_model.world import World

NEVER = "0 12 * * *"


@pytest.mark.parametrize(("first_takes", "patience"), [(60.0, 30), (1000.0, 900)])
def test_a_run_that_waited_longer_than_its_patience_runs_when_it_is_let_go(first_takes: float, patience: int) -> None:
    world = World()
    try:
        uid = world.create_task(
            "task", scheduleType="Cron", schedule=NEVER, runs_for=first_takes, pendingDeadlineSeconds=patience
        )
        world.start_operator()
        world.wait(2)
        world.trigger("task", "first")
        world.wait(2)
        world.runs_for[uid] = 5.0
        world.trigger("task", "waits")
        world.wait(first_takes + 10)
        world.settle()
        assert [row.status for row in world.database.rows.values()] == ["SUCCESS", "SUCCESS"]
    finally:
        world.close()


def test_one_that_can_never_get_a_pod_ends_when_its_patience_is_over_after_it_was_let_go() -> None:
    world = World()
    try:
        world.create_task("task", scheduleType="Cron", schedule=NEVER, runs_for=60.0, pendingDeadlineSeconds=30)
        world.start_operator()
        world.wait(2)
        world.trigger("task", "first")
        world.wait(2)
        world.trigger("task", "waits")
        world.wait(40)
        world.job_controller.quota = True
        world.wait(90)
        ends = [(row.status, row.reason) for row in world.database.rows.values()]
        assert ends == [("SUCCESS", None), ("FAILED", "CannotStart")]
    finally:
        world.close()
