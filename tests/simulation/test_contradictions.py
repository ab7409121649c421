"""What the history says is what happened, also where the operator is not alone with a tick or a Job."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cronwright_core.domain.ticks import spread_offset
from cronwright_core.kube.resources import CRON_JOBS, JOBS, PODS
from support.launch_model.world import World


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def reasons(world: World) -> list[str | None]:
    return [row.reason for row in world.database.rows.values()]


def test_a_tick_that_is_too_late_is_taken_from_the_controller_before_it_is_said(world: World) -> None:
    world.create_task("task", scheduleType="Cron", schedule="1 10 * * *", startingDeadlineSeconds=30)
    world.start_operator()
    world.wait(5)
    world.end_operator()
    world.away_controller()  # the whole control plane was down, and we are back first
    world.wait_until("10:02:00")
    world.start_operator()
    world.wait(5)
    assert reasons(world) == ["StartingDeadlineExceeded"]
    world.change_weather(lag=1.0, slow=0.02)  # so that its Job would have a Pod before we hear of it
    world.back_controller()
    world.wait(5)
    assert world.jobs() == []
    world.settle()


def test_a_run_whose_job_and_pod_were_deleted_after_its_end_is_a_success(world: World) -> None:
    world.create_task("task", scheduleType="Cron", schedule="1 10 * * *", runs_for=20)
    world.start_operator()
    world.wait_until("10:01:05")
    world.end_operator()
    (job,) = world.jobs()
    world.delete(JOBS, job.name)  # our finalizer keeps it
    world.wait_until("10:01:30")
    for pod in list(world.server.all(PODS)):
        assert pod["status"]["phase"] == "Succeeded"
        world.delete(PODS, pod["metadata"]["name"])
    world.start_operator()
    world.wait(5)
    assert [row.status for row in world.database.rows.values()] == ["SUCCESS"]
    world.settle()


def test_what_a_cronjob_runs_that_somebody_let_go_by_hand_is_recorded_and_goes(world: World) -> None:
    """The task is suspended, and was when the operator ended."""
    world.create_task("task", scheduleType="Cron", schedule="* * * * *", suspend=True, runs_for=20)
    world.start_operator()
    world.wait(5)
    world.end_operator()
    world.edit_cronjob("task", suspend=False)
    world.wait_until("10:01:10")
    (job,) = world.jobs()
    world.start_operator()
    world.wait(0.5)
    world.end_operator()
    assert [job.has_finalizer for job in world.jobs()] == [True]
    world.delete(JOBS, job.name)
    world.start_operator()
    world.wait(60)
    assert reasons(world) == ["Deleted"]
    assert world.jobs() == [], "nothing keeps it"
    world.wait_until("10:03:00")
    assert len(world.database.rows) == 1, "the CronJob is suspended again"
    world.settle()


@pytest.mark.parametrize("controller_away", [False, True])
def test_ticks_of_a_cronjob_that_a_predecessor_let_go_are_not_called_not_ready(controller_away: bool) -> None:
    """It ended before it wrote that the task can run again; the next one comes just at a tick."""
    world = World()
    try:
        uid = world.create_task("task", scheduleType="Cron", schedule="* * * * *")
        spread = next(n for n in range(30, 400) if 15 < spread_offset(uid, n).total_seconds() < 20)
        world.edit("task", spreadSeconds=spread)
        world.start_operator()
        world.wait(5)
        world.remove_or_restore_project("p")
        world.wait_until("10:01:10")
        world.let_operator_die(2, arrives=True)  # the CronJob's time, and its spec
        world.remove_or_restore_project("p")
        world.wait(1)
        assert world.death.happened
        assert world.death.writes[-2:] == ["CronJob's watermark", "CronJob's spec"]
        if controller_away:
            world.away_controller()
        world.cron.slow_seconds = 0.3
        world.wait_until("10:02:00")
        world.replace_dead_operator()
        world.wait(10)
        world.change_weather(lag=1.0, slow=0.02)
        world.back_controller()
        world.wait_until("10:03:10")
        world.settle()  # each tick that is decided ran or has its reason, and none has both
    finally:
        world.close()


def test_manual_runs_and_cancels_do_not_wait_for_a_cronjob_that_is_refused(world: World) -> None:
    world.create_task("task", scheduleType="Cron", schedule="1 10 * * *", runs_for=200, maxInstances=2)
    world.start_operator()
    world.wait_until("10:01:05")
    (run,) = world.task("task").status.active
    world.weather.refuses_cronjobs = True
    world.edit("task", activeDeadlineSeconds=1000)
    world.wait(2)
    world.trigger("task", "k")
    world.cancel("task", run.execution_id)
    world.wait(40)
    task = world.task("task")
    assert (task.triggers, task.cancels) == ((), ())
    assert reasons(world) == ["Cancelled"]
    assert task.status.ready is not None
    assert (task.status.ready.status, task.status.ready.reason) == (False, "CronJobRefused")
    assert task.status.observed_generation == 1, "the edit does not count yet"
    world.settle()
    assert world.task("task").status.observed_generation == 2


def test_a_job_that_is_deleted_before_it_is_accepted_is_told() -> None:
    world = World(step_in=False)
    try:
        world.create_task("task", scheduleType="Cron", schedule="1-2 10 * * *")
        world.start_operator()
        world.wait(10)
        world.end_operator()
        for body in list(world.server.all(CRON_JOBS)):
            world.delete(CRON_JOBS, body["metadata"]["name"])
        world.wait_until("10:01:10")  # one is missed, so that no slot is held for the next
        world.change_weather(lag=2.0, slow=0.005)
        world.start_operator()
        world.wait_until("10:02:02")
        (job,) = world.jobs()
        world.delete(JOBS, job.name)  # the operator hears of the Job first, and then of this
        world.wait(320)  # the controller has five minutes for a tick without a Job
        assert "Deleted" in reasons(world)
        world.settle()
    finally:
        world.close()
