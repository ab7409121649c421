"""Endpoint 8: a manual run is a row and an annotation under one key."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from cronwright_api.services.triggers import ROOM_BYTES, has_room
from cronwright_core.domain import naming
from cronwright_core.kube.errors import Cause, KubeForbidden, KubeInvalid, KubeUnreachable
from cronwright_core.kube.resources import SCHEDULED_TASKS
from support.api import World


def test_row_annotation_and_location_agree(world: World) -> None:
    task = world.make_task(is_active=False)
    response = world.call("POST", f"/tasks/{task['id']}/trigger")
    assert response.json() == {"success": True, "code": 200, "message": "任务已触发", "data": None}
    (draft,) = world.executions.requested.values()
    assert response.headers["Location"] == f"/api/v1/scheduler/executions/{draft.execution_id}"
    stored = world.objects.only(SCHEDULED_TASKS)
    uid = stored["metadata"]["uid"]
    ((key, value),) = stored["metadata"]["annotations"].items()
    assert key == f"trigger.cronwright.dev/{draft.key.request_key}"
    assert json.loads(value) == {"time": "2026-03-04T12:30:15Z", "by": "alice"}
    assert draft.execution_id == naming.execution_id(uid, "Adhoc", draft.key.time, draft.key.request_key)
    assert draft.job_name == naming.request_job_name(naming.cronjob_name("task-1", uid), uid, draft.key.request_key)
    assert (draft.owner, draft.requested_by, draft.task_name) == ("alice", "alice", "数据同步任务")


def test_an_administrators_trigger_leaves_the_owner(world: World) -> None:
    task = world.make_task()
    assert world.call("POST", f"/tasks/{task['id']}/trigger", user="root", admin=True).status_code == 200
    (draft,) = world.executions.requested.values()
    assert (draft.owner, draft.requested_by) == ("alice", "root")


def test_two_triggers_are_two_runs_but_one_key_is_one(world: World) -> None:
    task = world.make_task()
    path, key = f"/tasks/{task['id']}/trigger", {"Idempotency-Key": "order 66"}
    first, second = (world.call("POST", path, headers=key).headers["Location"] for _ in range(2))
    assert first == second
    world.call("POST", path)
    world.call("POST", path)
    assert len(world.executions.requested) == 3
    assert len(world.objects.only(SCHEDULED_TASKS)["metadata"]["annotations"]) == 3


def test_a_request_that_has_run_is_not_put_again(world: World) -> None:
    task = world.make_task()
    path, key = f"/tasks/{task['id']}/trigger", {"Idempotency-Key": "k"}
    first = world.call("POST", path, headers=key)
    world.executions.finish_all()
    world.objects.only(SCHEDULED_TASKS)["metadata"]["annotations"].clear()
    again = world.call("POST", path, headers=key)
    assert again.headers["Location"] == first.headers["Location"]
    assert world.objects.only(SCHEDULED_TASKS)["metadata"]["annotations"] == {}


def test_a_retry_with_the_key_repairs_a_lost_request(world: World) -> None:
    task = world.make_task()
    path, key = f"/tasks/{task['id']}/trigger", {"Idempotency-Key": "k"}
    world.objects.fail_next = KubeUnreachable("away")
    assert world.call("POST", path, headers=key).status_code == 503
    assert len(world.executions.requested) == 1
    world.now = world.now.replace(minute=45)
    assert world.call("POST", path, headers=key).status_code == 200
    (value,) = world.objects.only(SCHEDULED_TASKS)["metadata"]["annotations"].values()
    assert json.loads(value)["time"] == "2026-03-04T12:30:15Z"  # the row's, so that the execution id agrees


def test_a_deleted_or_replaced_resource_is_404_and_leaves_no_row(world: World) -> None:
    task = world.make_task()
    path = f"/tasks/{task['id']}/trigger"
    stored = world.objects.only(SCHEDULED_TASKS)
    stored["metadata"]["uid"] = "of another task of the same name"
    assert world.call("POST", path).status_code == 404
    world.objects.fail_next = KubeInvalid(422, "Invalid", "immutable", (Cause("metadata.uid", "immutable"),))
    assert world.call("POST", path).status_code == 404
    world.objects.objects.clear()
    assert world.call("POST", path).status_code == 404
    assert len(world.executions.withdrawn) == 3
    assert world.executions.requested == {}


def test_missing_rights_are_our_failure(world: World) -> None:
    task = world.make_task()
    world.objects.fail_next = KubeForbidden(403, "Forbidden", "no")
    assert world.call("POST", f"/tasks/{task['id']}/trigger").status_code == 500
    assert world.executions.requested == {}


def test_refusals(world: World) -> None:
    task = world.make_task()
    path = f"/tasks/{task['id']}/trigger"
    assert world.call("POST", path, user="bob").status_code == 404
    assert world.call("POST", "/tasks/99/trigger").status_code == 404
    assert world.call("POST", path, headers={"Idempotency-Key": "x" * 256}).status_code == 400
    assert world.call("POST", path).status_code == 200
    (draft,) = world.executions.requested.values()
    world.executions.requested |= {("another", f"{number}"): draft for number in range(198)}
    assert world.call("POST", path).status_code == 200
    assert world.call("POST", path).status_code == 409
    row = world.tasks.rows[task["id"]]
    world.tasks.rows[task["id"]] = replace(row, ready=False, ready_reason="NameTaken", ready_message="name taken")
    refused = world.call("POST", path)
    assert (refused.status_code, "name taken" in refused.json()["message"]) == (409, True)


def test_parameters_of_one_run(world: World) -> None:
    task = world.make_task()
    path, key = f"/tasks/{task['id']}/trigger", {"Idempotency-Key": "k"}
    body = {"env": {"DAY": "2024-01-01", "TOKEN": "s3cret"}}
    first = world.call("POST", path, json=body, headers=key)
    assert first.status_code == 200, first.text
    (value,) = world.objects.only(SCHEDULED_TASKS)["metadata"]["annotations"].values()
    assert json.loads(value)["env"] == body["env"]
    (draft,) = world.executions.requested.values()
    assert draft.parameters == ("DAY", "TOKEN")
    assert "s3cret" not in repr((draft, world.executions.digests)), "only names reach the store"
    listed = {"env": [{"name": "TOKEN", "value": "s3cret"}, {"name": "DAY", "value": "2024-01-01"}]}
    assert world.call("POST", path, json=listed, headers=key).headers["Location"] == first.headers["Location"]
    for other in ({}, {"env": {}}, {"env": {"DAY": "2024-01-02", "TOKEN": "s3cret"}}):
        assert world.call("POST", path, json=other, headers=key).status_code == 409


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"env": {}}', b'{"env": [], "comment": 1}'])
def test_without_parameters_it_is_as_ever(world: World, content: bytes | None) -> None:
    task = world.make_task()
    response = world.call(
        "POST", f"/tasks/{task['id']}/trigger", content=content, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 200, response.text
    (value,) = world.objects.only(SCHEDULED_TASKS)["metadata"]["annotations"].values()
    assert set(json.loads(value)) == {"time", "by"}


@pytest.mark.parametrize(
    "env",
    [
        None,
        "A=1",
        1,
        {"A": 1},
        {"A": None},
        {"": "x"},
        {"1A": "x"},
        {"A B": "x"},
        {"A" * 257: "x"},
        {"CRONWRIGHT_JOB_NAME": "x"},
        {"A": "x" * 4097},
        {"A": "\x00"},
        {f"A{n}": "" for n in range(33)},
        {f"A{n}": "x" * 4000 for n in range(3)},
        ["A"],
        [{"value": "x"}],
        [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
        [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
    ],
)
def test_wrong_parameters_are_named_and_run_nothing(world: World, env: object) -> None:
    task = world.make_task()
    response = world.call("POST", f"/tasks/{task['id']}/trigger", json={"env": env}, admin=True)
    assert response.status_code == 400, response.text
    assert {error["field"] for error in response.json()["errors"]} == {"env"}
    assert world.executions.requested == {}


def test_too_much_of_them_waiting_is_a_conflict(world: World) -> None:
    task = world.make_task()
    world.objects.fail_next = KubeInvalid(422, "Invalid", "", (Cause("metadata.annotations", "Too long"),))
    assert world.call("POST", f"/tasks/{task['id']}/trigger").status_code == 409
    assert world.executions.requested == {}


def test_triggers_with_parameters_leave_room_for_cancels(world: World) -> None:
    task = world.make_task(project_id=world.make_project(allow_overrides=True))
    path, body = f"/tasks/{task['id']}/trigger", {"env": {"A": "x" * 4000, "B": "y" * 4000}}
    keys = {f"key {number}": {"Idempotency-Key": f"key {number}"} for number in range(40)}
    codes = {key: world.call("POST", path, json=body, headers=headers).status_code for key, headers in keys.items()}
    taken = [key for key, code in codes.items() if code == 200]
    assert (len(taken), set(codes.values())) == (24, {200, 409})
    annotations = world.objects.only(SCHEDULED_TASKS)["metadata"]["annotations"]
    assert len(annotations) == len(world.executions.requested) == len(taken), "what is refused leaves no row"
    size = sum(len(key) + len(value) for key, value in annotations.items())
    assert ROOM_BYTES - 9_000 < size <= ROOM_BYTES
    assert world.call("POST", path, json=body, headers=keys[taken[0]]).status_code == 200, "it stands there already"
    assert world.call("POST", path).status_code == 200, "one without parameters is small"


def test_the_size_is_counted_in_bytes() -> None:
    assert has_room({}, "k", "x" * (ROOM_BYTES - 1))
    assert not has_room({}, "k", "x" * ROOM_BYTES)
    assert not has_room({"a": "任" * (ROOM_BYTES // 3)}, "k", "v")
