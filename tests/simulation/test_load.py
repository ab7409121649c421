"""Bursts in the simulated cluster: the limits hold, the order is kept, nothing starves. The world watches all three;
these tests bring the load."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cronwright_core.domain.execution import ExecutionKind
from cronwright_core.domain.naming import execution_id
from support.builders import at
from support.launch_model.world import World


@pytest.fixture
def world() -> Iterator[World]:
    world = World(total=3, keep_seconds=600)
    yield world
    world.close()


def succeeded(world: World) -> int:
    return sum(1 for row in world.database.rows.values() if row.status == "SUCCESS")


def test_a_burst_with_a_restart_in_between(world: World) -> None:
    names = ("low", "middle", "high")
    for priority, name in enumerate(names):
        world.create_task(f"task-{name}", scheduleType="Cron", schedule="0 12 * * *", priority=priority, maxInstances=5)
    world.start_operator()
    world.wait(60)
    for number in range(12):
        for name in names:
            world.trigger(f"task-{name}", f"k{number}")
    world.wait(20)
    let_go = [job for job in world.jobs() if not job.suspended]
    assert len([job for job in let_go if not job.finished]) == 3
    high = world.task("task-high").uid
    assert sum(1 for job in let_go if job.task_uid == high) >= len(let_go) - 3, "the first three found room at once"
    world.end_operator()
    world.wait(3)
    world.start_operator()
    world.wait(120)
    world.check_settled()
    assert succeeded(world) == 36


def test_the_limit_of_a_project_holds_up_nobody_else(world: World) -> None:
    world.edit_project("p", 1)
    world.create_task("in-p", scheduleType="Cron", schedule="0 12 * * *", maxInstances=5, runs_for=20)
    world.create_task("in-q", scheduleType="Cron", schedule="0 12 * * *", maxInstances=5, projectName="q", runs_for=1)
    world.start_operator()
    world.wait(60)
    for number in range(5):
        world.trigger("in-p", f"k{number}")
    world.wait(1)
    for number in range(10):
        world.trigger("in-q", f"k{number}")
    world.wait(19)
    in_q = world.task("in-q").uid
    assert all(job.finished for job in world.jobs() if job.task_uid == in_q)
    world.wait(100)
    world.check_settled()
    assert succeeded(world) == 15


def test_two_triggers_at_once_and_a_tick_of_one_that_may_run_once_at_a_time(world: World) -> None:
    world.create_task("task", scheduleType="Cron", schedule="* * * * *", concurrencyPolicy="Queue", runs_for=10)
    world.start_operator()
    world.wait_until("10:00:57")
    for key in ("a", "b"):
        world.trigger("task", key)
    world.wait_until("10:01:45")
    uid = world.task("task").uid
    tick = execution_id(uid, ExecutionKind.SCHEDULED, at("10:01:00"), "")
    assert world.database.rows[tick].status == "SUCCESS"
    assert succeeded(world) == 3
    first = min(world.jobs(), key=lambda job: job.start_time or job.creation_time)
    assert first.tick == at("10:01:00"), "its slot was reserved before the triggers came"


def test_more_ticks_at_once_than_may_run(world: World) -> None:
    for number in range(12):
        name = f"task-{number}"
        world.create_task(name, scheduleType="Cron", schedule="2 10 * * *", priority=number % 3, runs_for=8)
    world.start_operator()
    world.wait_until("10:01:59")
    world.wait_until("10:03:00")
    world.check_settled()
    assert succeeded(world) == 12


def test_jobs_that_are_made_while_everything_is_listed_anew_keep_their_slots(world: World) -> None:
    names = [f"task-{number}" for number in range(8)]
    for name in names:
        world.create_task(name, scheduleType="Cron", schedule="0 12 * * *", runs_for=2)
    world.start_operator()
    world.wait(60)
    world.change_weather(0.02, 0.4)
    for number in range(12):
        for name in names:
            world.trigger(name, f"k{number}")
        # The list is a snapshot of some moment while the Jobs are made, and comes later. Three of them run: who forgets
        # one of these, as the list lacks it, lets a fourth go.
        world.wait(number * 0.03)
        world.expire_watches()
        world.wait(20)
    world.settle()
    assert succeeded(world) == 96
