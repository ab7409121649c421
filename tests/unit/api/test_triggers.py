"""Endpoint 8: a manual run is a row and an annotation under one key."""

from __future__ import annotations

import json
from dataclasses import replace

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
    for _ in range(200):
        assert world.call("POST", path).status_code == 200
    assert world.call("POST", path).status_code == 409
    row = world.tasks.rows[task["id"]]
    world.tasks.rows[task["id"]] = replace(row, ready=False, ready_reason="NameTaken", ready_message="name taken")
    refused = world.call("POST", path)
    assert (refused.status_code, "name taken" in refused.json()["message"]) == (409, True)
