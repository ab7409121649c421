"""The ten seconds before a tick, in which its slot is held and what is to be done stands prepared: whatever happens in
them counts at the tick."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cronwright_core.domain.execution import ExecutionKind
from cronwright_core.domain.naming import execution_id
from cronwright_core.kube.ports import Json
from cronwright_core.kube.resources import JOBS
from support.builders import at
from support.launch_model.world import World

TICK = at("10:01:00")


@pytest.fixture
def world() -> Iterator[World]:
    """A task whose next tick is five seconds away; a run takes twenty."""
    world = World()
    world.create_task("task", scheduleType="Cron", schedule="* * * * *", concurrencyPolicy="Forbid", runs_for=20)
    world.start_operator()
    world.wait_until("10:00:55")
    yield world
    world.close()


def _status_of_the_tick(world: World) -> str | None:
    row = world.database.rows.get(execution_id(world.task("task").uid, ExecutionKind.SCHEDULED, TICK, ""))
    return row.status if row is not None else None


def test_nothing_happens_and_it_runs(world: World) -> None:
    world.wait_until("10:01:30")
    assert _status_of_the_tick(world) == "SUCCESS"
    world.settle()


def test_it_is_paused_and_does_not_run(world: World) -> None:
    world.edit("task", suspend=True)
    world.wait_until("10:01:30")
    assert not world.jobs()
    world.settle()


def test_its_schedule_is_changed_and_it_does_not_run(world: World) -> None:
    world.edit("task", schedule="30 12 * * *")
    world.wait_until("10:01:30")
    assert not world.jobs()
    world.settle()


def test_its_program_is_changed_and_the_new_one_runs(world: World) -> None:
    world.edit("task", overrides={"args": ["new"]})
    world.wait_until("10:01:30")
    assert [_args(body) for body in world.server.all(JOBS)] == [["new"]]
    world.settle()


def test_its_only_place_is_taken_and_it_is_skipped(world: World) -> None:
    """By a run that does not ask the gate, as Kubernetes itself makes it."""
    world.run_from_cronjob("task", "by-hand")
    world.wait_until("10:01:30")
    assert _status_of_the_tick(world) == "CANCELLED"
    assert len(world.jobs()) == 1
    world.settle()


def _args(body: Json) -> object:
    return body["spec"]["template"]["spec"]["containers"][0].get("args")
