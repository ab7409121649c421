"""A task that is deleted and stays, or goes without what it owns: nothing fires any more, and all is recorded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cronwright_core.kube.resources import CRON_JOBS, JOBS, SCHEDULED_TASKS
from support.launch_model.world import World


@pytest.fixture
def world() -> Iterator[World]:
    world = World(total=1, keep_seconds=600)
    yield world
    world.close()


def busy(world: World) -> str:
    """One run goes on, one of the same task waits, and one of another task; the first task's uid."""
    uid = world.create_task("goes", scheduleType="Cron", schedule="* * * * *", maxInstances=2, runs_for=300)
    world.create_task("stays", scheduleType="Cron", schedule="0 12 * * *", runs_for=2)
    world.start_operator()
    world.wait_until("10:01:10")
    world.trigger("goes", "a")
    world.wait(5)
    world.trigger("stays", "b")
    world.wait(5)
    assert [job.suspended for job in world.jobs()] == [False, True, True]
    return uid


def check(world: World, uid: str) -> None:
    world.wait(120)
    jobs = [job for job in world.jobs() if job.task_uid == uid]
    assert all(job.finished for job in jobs)
    assert [cronjob["spec"]["suspend"] for cronjob in world.server.all(CRON_JOBS)].count(True) == 1
    rows = {row.job_uid: (row.status, row.reason) for row in world.database.rows.values()}
    assert len(jobs) == 2, "no tick has fired since"
    assert {rows[job.uid] for job in jobs} == {("CANCELLED", "TaskDeleted")}
    assert [rows[job.uid][0] for job in world.jobs() if job.task_uid != uid] == ["SUCCESS"], "it had to wait for them"


def test_a_foreign_finalizer_keeps_no_run_alive(world: World) -> None:
    uid = busy(world)
    world.patch(SCHEDULED_TASKS, "goes", {"metadata": {"finalizers": ["example.com/audit"]}})
    world.delete(SCHEDULED_TASKS, "goes")
    check(world, uid)
    world.patch(SCHEDULED_TASKS, "goes", {"metadata": {"finalizers": []}})
    world.settle()


@pytest.mark.parametrize("away", [False, True], ids=["the operator is there", "it is away"])
def test_what_is_orphaned_ends(world: World, away: bool) -> None:
    uid = busy(world)
    if away:
        world.end_operator()
    for resource in (CRON_JOBS, JOBS):
        for body in list(world.server.all(resource)):
            if body["metadata"]["labels"]["cronwright.dev/task-uid"] == uid:
                owners = [owner for owner in body["metadata"]["ownerReferences"] if owner["uid"] != uid]
                world.patch(resource, body["metadata"]["name"], {"metadata": {"ownerReferences": owners}})
    world.delete(SCHEDULED_TASKS, "goes")
    world.start_operator()
    check(world, uid)
    world.settle()
