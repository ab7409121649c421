"""POST /executions/{id}/cancel: a request on the ScheduledTask, or an honest no."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.kube.errors import (
    Cause,
    KubeConflict,
    KubeError,
    KubeForbidden,
    KubeInvalid,
    KubeNotFound,
    KubeUnreachable,
)
from cronwright_core.kube.resources import SCHEDULED_TASKS
from support.api import World
from support.records import ID, make_execution

PATH = f"/executions/{ID}/cancel"


def running(world: World, status: ExecutionStatus = ExecutionStatus.RUNNING) -> None:
    world.make_task()
    task = world.objects.only(SCHEDULED_TASKS)
    uid, namespace = task["metadata"]["uid"], task["metadata"]["namespace"]
    world.executions.rows[ID] = make_execution(status=status, task_uid=uid, namespace=namespace, end_time=None)


def cancels(world: World) -> dict[str, Any]:
    annotations = world.objects.only(SCHEDULED_TASKS)["metadata"].get("annotations") or {}
    return {key: json.loads(value) for key, value in annotations.items() if key.startswith("cancel.")}


@pytest.mark.parametrize("status", [ExecutionStatus.RUNNING, ExecutionStatus.PENDING])
def test_is_written_on_the_task(world: World, status: ExecutionStatus) -> None:
    running(world, status)
    response = world.call("POST", PATH)
    assert (response.status_code, response.json()["message"], response.json()["data"]) == (200, "已请求取消执行", None)
    assert cancels(world) == {f"cancel.cronwright.dev/{ID}": {"by": "alice", "at": "2026-03-04T12:30:15Z"}}


def test_asked_twice_it_is_the_same_request(world: World) -> None:
    running(world)
    assert [world.call("POST", PATH).status_code for _ in range(2)] == [200, 200]
    assert len(cancels(world)) == 1


def test_in_english(world: World) -> None:
    running(world)
    assert world.call("POST", PATH, headers={"Accept-Language": "en"}).json()["message"] == (
        "the execution is being cancelled"
    )


@pytest.mark.parametrize("status", [status for status in ExecutionStatus if status.ended])
def test_what_has_ended_is_a_conflict(world: World, status: ExecutionStatus) -> None:
    running(world, status)
    response = world.call("POST", PATH)
    assert (response.status_code, response.json()["message"]) == (409, f"执行已结束（{status}），无法取消")
    assert cancels(world) == {}


def test_others_see_nothing_and_an_administrator_may(world: World) -> None:
    running(world)
    assert world.call("POST", PATH, user="bob").status_code == 404
    assert world.call("POST", "/executions/nonsense/cancel").status_code == 404
    assert cancels(world) == {}
    assert world.call("POST", PATH, user="root", admin=True).status_code == 200
    assert cancels(world)[f"cancel.cronwright.dev/{ID}"]["by"] == "root"


def test_of_a_deleted_task_is_on_its_way_already(world: World) -> None:
    running(world)
    del world.tasks.rows[1]
    assert world.call("POST", PATH).status_code == 200
    assert cancels(world) == {}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KubeNotFound(404, "NotFound", "gone"), 200),
        (KubeConflict(409, "Conflict", "another uid"), 200),
        (KubeUnreachable("no answer"), 503),
        (KubeForbidden(403, "Forbidden", "no right"), 500),
        (KubeInvalid(422, "Invalid", "", (Cause("metadata.annotations", "Too long"),)), 409),
        (KubeInvalid(422, "Invalid", "", (Cause("metadata.uid", "field is immutable"),)), 200),
    ],
)
def test_what_the_cluster_says(world: World, error: KubeError, status: int) -> None:
    running(world)
    world.objects.fail_next = error
    assert world.call("POST", PATH).status_code == status


def test_without_room_for_the_request_it_says_why(world: World) -> None:
    running(world)
    world.objects.fail_next = KubeInvalid(422, "Invalid", "", (Cause("metadata.annotations", "Too long"),))
    answer = world.call("POST", PATH, headers={"Accept-Language": "en"})
    assert (
        answer.json()["message"] == "too many requests wait on the task of this execution; try to cancel it again later"
    )
