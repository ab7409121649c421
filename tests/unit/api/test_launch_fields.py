"""What REST offers of launching beside the document's fields: the CRD's own, with its types and bounds."""

from __future__ import annotations

from typing import Any

import pytest

from cronwright_core.domain.validation import BOUNDS
from cronwright_core.kube.resources import SCHEDULED_TASKS
from support.api import World

FIELDS: dict[str, Any] = {
    "concurrency_policy": "Queue",
    "max_queued": 3,
    "starting_deadline_seconds": 120,
    "pending_deadline_seconds": 60,
    "spread_seconds": 600,
}
KUBE = {
    "concurrency_policy": "concurrencyPolicy",
    **{field: kube for field, (_, _, kube) in BOUNDS.items() if field in FIELDS},
}


def refused(world: World, task: dict[str, Any], **fields: Any) -> list[str]:
    response = world.call("PUT", f"/tasks/{task['id']}", json=fields)
    assert response.status_code == 400, response.text
    return [error["field"] for error in response.json()["errors"]]


def test_each_is_stored_in_the_resource_and_shown(world: World) -> None:
    task = world.make_task(**FIELDS)
    shown = world.call("GET", f"/tasks/{task['id']}").json()["data"]
    spec = world.objects.only(SCHEDULED_TASKS)["spec"]
    for field, value in FIELDS.items():
        assert (task[field], shown[field], spec[KUBE[field]]) == (value, value, value), field


@pytest.mark.parametrize("field", FIELDS)
def test_each_stays_when_another_is_changed_and_changes_alone(world: World, field: str) -> None:
    task = world.make_task()
    changed = world.call("PUT", f"/tasks/{task['id']}", json={field: FIELDS[field]}).json()["data"]
    moving = {field, "updated_at", "next_run_time"}
    assert changed[field] == FIELDS[field]
    assert {k: v for k, v in changed.items() if k not in moving} == {k: v for k, v in task.items() if k not in moving}
    renamed = world.call("PUT", f"/tasks/{task['id']}", json={"name": "another name"}).json()["data"]
    assert renamed[field] == FIELDS[field]


@pytest.mark.parametrize("field", [field for field in FIELDS if field in BOUNDS])
def test_types_are_strict_and_bounds_are_those_of_the_crd(world: World, field: str) -> None:
    task = world.make_task()
    low, high, _ = BOUNDS[field]
    for wrong in ("60", 60.5, True, low - 1, high + 1):
        assert refused(world, task, **{field: wrong}) == [field], wrong
    for right in (low, high):
        assert world.call("PUT", f"/tasks/{task['id']}", json={field: right}).status_code == 200


@pytest.mark.parametrize("value", ["queue", "QUEUE", "Allow", "", None, 1])
def test_a_policy_is_one_of_three_as_the_crd_writes_them(world: World, value: Any) -> None:
    assert refused(world, world.make_task(), concurrency_policy=value) == ["concurrency_policy"]
