"""Endpoints 4 to 7."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cronwright_api.services.edits import merge_difference
from cronwright_core.kube.errors import KubeConflict, KubeUnreachable
from cronwright_core.kube.resources import SCHEDULED_TASKS
from support.api import World
from support.fake_stores import AWAY


def put(world: World, task: dict[str, Any], **fields: Any) -> Any:
    return world.call("PUT", f"/tasks/{task['id']}", json=fields)


def patches(world: World) -> int:
    return sum(call.startswith("patch ") for call in world.objects.calls)


def test_absent_fields_stay_and_the_answer_is_the_whole_task(world: World) -> None:
    task = world.make_task(description="old", env={"A": "1"}, retry_count=3)
    world.now += timedelta(hours=1)
    response = put(world, task, name="更新的数据同步任务", schedule_config="0 */4 * * *")
    assert response.json()["message"] == "任务更新成功"
    data = response.json()["data"]
    expected = task | {
        "name": "更新的数据同步任务",
        "schedule_config": "0 */4 * * *",
        "next_run_time": "2026-03-04T16:00:00Z",
        "updated_at": "2026-03-04T13:30:15Z",
    }
    assert data == expected
    assert world.call("GET", f"/tasks/{task['id']}").json()["data"]["name"] == "更新的数据同步任务"
    spec = world.objects.only(SCHEDULED_TASKS)["spec"]
    assert (spec["displayName"], spec["schedule"], spec["backoffLimit"]) == ("更新的数据同步任务", "0 */4 * * *", 3)
    assert world.tasks.pending == {}


@pytest.mark.parametrize("whole", [False, True])
def test_what_changes_nothing_writes_nothing(world: World, whole: bool) -> None:
    task = world.make_task(env={"A": "1"}, resources={"limits": {"cpu": 1}}, args=["x"])
    world.now += timedelta(hours=1)
    body = world.call("GET", f"/tasks/{task['id']}").json()["data"] if whole else {}
    assert put(world, task, **body).json()["data"] == task
    assert patches(world) == 0


@pytest.mark.parametrize("name", ["数据同步任务", "new name"])
def test_the_same_request_after_a_lost_answer_shows_what_it_has_made(world: World, name: str) -> None:
    task = world.make_task()
    path, body = f"/tasks/{task['id']}", {"name": name, "timeout_seconds": 7200, "schedule_config": "0 */4 * * *"}
    world.objects.lose_next = KubeUnreachable("the answer was lost")
    assert world.call("PUT", path, json=body).status_code == 503
    again = world.call("PUT", path, json=body)
    assert again.status_code == 200
    wanted = task | body | {"next_run_time": "2026-03-04T16:00:00Z"}
    assert {key: again.json()["data"][key] for key in wanted} == wanted
    assert world.call("GET", path).json()["data"]["timeout_seconds"] == 7200
    assert patches(world) == 1
    tag = {"If-Match": again.headers["ETag"]}
    assert world.call("PUT", path, json={"priority": 1}, headers=tag).status_code == 200


def test_what_kubectl_has_changed_is_shown_by_a_request_that_says_the_same(world: World) -> None:
    task = world.make_task()
    stored = world.objects.only(SCHEDULED_TASKS)
    stored["spec"]["priority"] = 7
    stored["metadata"] |= {"resourceVersion": "50", "generation": 2}
    answer = put(world, task, priority=7)
    assert (answer.json()["data"]["priority"], answer.headers["ETag"][-3:]) == (7, '-2"')
    assert patches(world) == 0


def test_null_clears_what_may_be_null(world: World) -> None:
    task = world.make_task(
        description="old", starting_deadline_seconds=60, args=["x"], resources={"limits": {"cpu": 1}}
    )
    cleared = {"description": None, "starting_deadline_seconds": None, "args": None, "resources": None, "env": []}
    data = put(world, task, **cleared).json()["data"]
    assert {key: data[key] for key in cleared} == cleared
    spec = world.objects.only(SCHEDULED_TASKS)["spec"]
    assert not {"description", "startingDeadlineSeconds", "overrides"} & set(spec)
    assert put(world, task, name=None, is_active=None).status_code == 400


def test_all_errors_at_once_and_nothing_is_written(world: World) -> None:
    task = world.make_task()
    response = put(world, task, name="x", timeout_seconds="1", project_id=99, schedule_config="* *", image="other")
    assert response.status_code == 400
    fields = {error["field"] for error in response.json()["errors"]}
    assert {"name", "timeout_seconds", "project_id", "schedule_config"} <= fields
    assert patches(world) == 0


def test_a_type_changes_together_with_a_schedule_that_fits(world: World) -> None:
    task = world.make_task()
    alone = put(world, task, schedule_type="INTERVAL")
    assert [error["field"] for error in alone.json()["errors"]] == ["schedule_config"]
    both = put(world, task, schedule_type="INTERVAL", schedule_config="600").json()["data"]
    assert (both["schedule_type"], both["next_run_time"]) == ("INTERVAL", "2026-03-04T12:40:15Z")
    once = put(world, task, schedule_type="ONCE").json()["data"]
    assert (once["schedule_type"], once["schedule_config"]) == ("ONCE", "")


def test_a_past_date_matters_only_when_it_is_set(world: World) -> None:
    task = world.make_task(schedule_type="DATE", schedule_config="2026-03-04T13:00:00Z")
    world.now += timedelta(days=1)
    assert put(world, task, description="later").status_code == 200
    assert put(world, task, schedule_config="2026-03-04T14:00:00Z").status_code == 400


def test_a_taken_name_is_a_conflict_before_anything_is_patched(world: World) -> None:
    project = world.make_project()
    world.make_task(project_id=project, name="first")
    second = world.make_task(project_id=project, name="second")
    assert put(world, second, name="first").status_code == 409
    assert patches(world) == 0
    assert put(world, second, name=" second ").status_code == 200


def test_a_name_that_the_resource_has_stays_held_until_its_row_has_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = world.make_task()

    def away(*_: object, **__: object) -> int:
        raise AWAY

    monkeypatch.setattr(world.tasks, "register", away)
    assert put(world, task, name="new name").status_code == 503
    assert world.objects.only(SCHEDULED_TASKS)["spec"]["displayName"] == "new name"
    assert [draft.spec.display_name for draft in world.tasks.pending.values()] == ["new name"]


def test_moving_to_another_project(world: World) -> None:
    task = world.make_task()
    other, foreign = world.make_project(), world.make_project(members=["bob"])
    assert put(world, task, project_id=foreign).status_code == 400
    assert put(world, task, project_id=other).json()["data"]["project_id"] == other
    assert world.objects.only(SCHEDULED_TASKS)["spec"]["projectName"] == f"project-{other}"


def test_an_edit_by_kubectl_in_between_is_kept(world: World) -> None:
    task = world.make_task()
    stored = world.objects.only(SCHEDULED_TASKS)
    stored["spec"]["priority"] = 7
    stored["metadata"]["resourceVersion"] = "50"
    assert put(world, task, retry_count=2).json()["data"]["priority"] == 7
    world.objects.lose_next = KubeConflict(409, "Conflict", "modified")
    assert put(world, task, retry_count=3).status_code == 200


def test_pause_and_resume(world: World) -> None:
    task = world.make_task(schedule_type="INTERVAL", schedule_config="3600")
    path = f"/tasks/{task['id']}"
    assert world.call("POST", f"{path}/resume").status_code == 409
    paused = world.call("POST", f"{path}/pause")
    assert paused.json() == {"success": True, "code": 200, "message": "任务已暂停", "data": None}
    read = world.call("GET", path).json()["data"]
    assert (read["is_active"], read["next_run_time"]) == (False, None)
    assert world.call("POST", f"{path}/pause").status_code == 409
    world.now += timedelta(minutes=10)
    assert world.call("POST", f"{path}/resume").json()["message"] == "任务已恢复"
    assert world.call("GET", path).json()["data"]["next_run_time"] == "2026-03-04T13:40:15Z"


def test_a_task_whose_schedule_never_fires_can_be_paused_and_resumed(world: World) -> None:
    task = world.make_task()
    stored = world.objects.only(SCHEDULED_TASKS)
    stored["spec"]["schedule"] = "0 0 31 2 *"  # by kubectl: the CRD's schema cannot tell
    stored["metadata"] |= {"resourceVersion": "50", "generation": 2}
    for action, is_active in (("pause", False), ("resume", True)):
        assert world.call("POST", f"/tasks/{task['id']}/{action}").status_code == 200
        read = world.call("GET", f"/tasks/{task['id']}").json()["data"]
        assert (read["is_active"], read["next_run_time"]) == (is_active, None)


def test_a_finished_task_cannot_be_resumed(world: World) -> None:
    task = world.make_task(schedule_type="ONCE", schedule_config="", is_active=False)
    world.tasks.rows[task["id"]] = replace(world.tasks.rows[task["id"]], completed=True)
    assert world.call("POST", f"/tasks/{task['id']}/resume").status_code == 409


@pytest.mark.parametrize("is_active", [True, False])
def test_a_finished_task_that_is_given_another_time_has_a_run_to_come(world: World, is_active: bool) -> None:
    task = world.make_task(schedule_type="DATE", schedule_config="2026-03-04T13:00:00Z")
    row = world.tasks.rows[task["id"]]
    world.tasks.rows[task["id"]] = replace(row, completed=True, ready=False, next_run_time=None)
    world.now += timedelta(days=1)
    later = "2026-04-01T00:00:00Z"
    changed = put(world, task, schedule_config=later, is_active=is_active).json()["data"]
    assert (changed["next_run_time"], changed["ready"]) == (later if is_active else None, None)
    assert not world.tasks.rows[task["id"]].completed
    if not is_active:
        assert world.call("POST", f"/tasks/{task['id']}/resume").status_code == 200
        assert world.call("GET", f"/tasks/{task['id']}").json()["data"]["next_run_time"] == later


def test_a_finished_task_stays_so_by_any_other_change(world: World) -> None:
    task = world.make_task(schedule_type="DATE", schedule_config="2026-03-04T13:00:00Z")
    world.tasks.rows[task["id"]] = replace(world.tasks.rows[task["id"]], completed=True, next_run_time=None)
    world.now += timedelta(days=1)
    for change in ({"priority": 1}, {"is_active": False}, {"spread_seconds": 60}):
        assert put(world, task, **change).json()["data"]["next_run_time"] is None
        assert world.tasks.rows[task["id"]].completed
    assert world.call("POST", f"/tasks/{task['id']}/resume").status_code == 409


def test_the_zone_of_a_once_without_a_time_gives_it_no_second_run(world: World) -> None:
    """As the operator judges: `schedule_hash` leaves that zone out."""
    task = world.make_task(schedule_type="ONCE", schedule_config="")
    world.tasks.rows[task["id"]] = replace(world.tasks.rows[task["id"]], completed=True, next_run_time=None)
    changed = put(world, task, time_zone="Asia/Shanghai", is_active=False).json()["data"]
    assert (changed["time_zone"], changed["next_run_time"]) == ("Asia/Shanghai", None)
    assert world.call("POST", f"/tasks/{task['id']}/resume").status_code == 409
    assert put(world, task, time_zone="Europe/Paris", is_active=True).json()["data"]["next_run_time"] is None


def test_a_finished_task_is_resumed_once_kubectl_has_given_it_another_time(world: World) -> None:
    task = world.make_task(schedule_type="DATE", schedule_config="2026-03-04T13:00:00Z", is_active=False)
    world.tasks.rows[task["id"]] = replace(world.tasks.rows[task["id"]], completed=True)
    stored = world.objects.only(SCHEDULED_TASKS)
    stored["spec"]["schedule"] = "2026-04-01T00:00:00Z"
    stored["metadata"] |= {"resourceVersion": "50", "generation": 2}
    assert world.call("POST", f"/tasks/{task['id']}/resume").status_code == 200
    assert world.call("GET", f"/tasks/{task['id']}").json()["data"]["next_run_time"] == "2026-04-01T00:00:00Z"


def test_delete(world: World) -> None:
    task = world.make_task()
    path = f"/tasks/{task['id']}"
    assert world.call("DELETE", path, user="bob").status_code == 404
    assert world.call("DELETE", path).json() == {"success": True, "code": 200, "message": "任务删除成功", "data": None}
    assert world.objects.objects.keys() == {("projects", "default", "project-1")}
    assert world.call("GET", path).status_code == 404
    assert world.call("DELETE", path).status_code == 404


def test_deleting_what_is_gone_or_replaced_touches_nothing_else(world: World) -> None:
    task = world.make_task()
    world.objects.only(SCHEDULED_TASKS)["metadata"]["uid"] = "another"
    assert world.call("DELETE", f"/tasks/{task['id']}").status_code == 200
    assert world.objects.only(SCHEDULED_TASKS)


def test_with_the_api_server_away_the_task_stays(world: World) -> None:
    task = world.make_task()
    world.objects.fail_next = KubeUnreachable("away")
    assert world.call("DELETE", f"/tasks/{task['id']}").status_code == 503
    assert world.call("GET", f"/tasks/{task['id']}").status_code == 200


def test_a_merge_patch_takes_away_what_is_gone() -> None:
    before = {"a": 1, "b": {"c": 1, "d": [1]}, "e": 1}
    after = {"a": 1, "b": {"c": 2, "f": 3}}
    assert merge_difference(before, after) == {"b": {"c": 2, "d": None, "f": 3}, "e": None}
