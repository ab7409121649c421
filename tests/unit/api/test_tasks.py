"""Endpoints 1, 2 and 3."""

from __future__ import annotations

from typing import Any

import pytest

from cronwright_core.kube.errors import Cause, KubeForbidden, KubeInvalid, KubeUnreachable
from cronwright_core.kube.resources import SCHEDULED_TASKS
from support.api import World

DOCUMENTED = {
    "name": "数据同步任务",
    "description": None,
    "project_id": 1,
    "schedule_type": "CRON",
    "schedule_config": "0 */2 * * *",
    "is_active": True,
    "status": "PENDING",
    "timeout_seconds": 3600,
    "max_instances": 1,
    "retry_count": 0,
    "priority": 0,
}


def errors_of(response: Any) -> dict[str, str]:
    assert response.status_code == 400, response.text
    body = response.json()
    assert set(body) == {"success", "code", "message", "errors", "timestamp"}
    assert body["success"] is False
    assert body["code"] == 400
    return {error["field"]: error["message"] for error in body["errors"]}


def create(world: World, **fields: Any) -> Any:
    body = {"name": "a task", "schedule_type": "CRON", "schedule_config": "0 2 * * *", "project_id": 1, **fields}
    return world.call("POST", "/tasks", json={key: value for key, value in body.items() if value is not ...})


def test_the_documents_own_example(world: World) -> None:
    world.make_project()
    body = {key: DOCUMENTED[key] for key in ("name", "project_id", "schedule_type", "schedule_config", "is_active")}
    response = world.call("POST", "/tasks", json=body)
    answer = response.json()
    assert response.status_code == 200
    assert (answer["success"], answer["code"], answer["message"]) == (True, 200, "任务创建成功")
    assert {key: answer["data"][key] for key in DOCUMENTED} == DOCUMENTED
    assert answer["data"]["id"] == 1
    assert answer["data"]["next_run_time"] == "2026-03-04T14:00:00Z"
    assert answer["data"]["created_at"] == "2026-03-04T12:30:15Z"

    stored = world.objects.only(SCHEDULED_TASKS)
    assert stored["metadata"]["name"] == "task-1"
    assert stored["metadata"]["labels"] == {"cronwright.dev/task-id": "1"}
    assert stored["spec"]["owner"] == "alice"
    assert stored["spec"]["projectName"] == "project-1"
    assert world.call("GET", "/tasks/1").json()["data"]["name"] == "数据同步任务"


@pytest.mark.parametrize(
    ("kind", "config", "first"),
    [
        ("INTERVAL", "3600", "2026-03-04T13:30:15Z"),
        ("DATE", "2026-03-05T08:00:00+08:00", "2026-03-05T00:00:00Z"),
        ("ONCE", "2026-03-05T08:00:00Z", "2026-03-05T08:00:00Z"),
        ("ONCE", "", "2026-03-04T12:30:15Z"),
        ("ONCE", ..., "2026-03-04T12:30:15Z"),
    ],
)
def test_first_run_of_each_type(world: World, kind: str, config: str, first: str) -> None:
    world.make_project()
    response = create(world, schedule_type=kind, schedule_config=config)
    assert response.json()["data"]["next_run_time"] == first


def test_a_paused_task_has_no_next_run(world: World) -> None:
    data = world.make_task(is_active=False)
    assert (data["is_active"], data["next_run_time"]) == (False, None)


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("name", 5, "字符串"),
        ("name", None, "字符串"),
        ("name", ..., "缺少"),
        ("name", "ab", "3-50"),
        ("name", "x" * 51, "3-50"),
        ("name", "a\x00bc", "空字符"),
        ("name", "a\nb c", "控制字符"),
        ("description", 5, "字符串"),
        ("description", "a\x00b", "空字符"),
        ("description", "x" * 2001, "2000"),
        ("project_id", "1", "整数"),
        ("project_id", 1.0, "整数"),
        ("project_id", True, "整数"),
        ("project_id", None, "整数"),
        ("project_id", ..., "缺少"),
        ("project_id", 999, "项目不存在"),
        ("project_id", -1, "项目不存在"),
        ("project_id", 10**30, "项目不存在"),
        ("schedule_type", "cron", "CRON"),
        ("schedule_type", ..., "缺少"),
        ("schedule_config", 3600, "字符串"),
        ("schedule_config", None, "字符串"),
        ("schedule_config", ..., "缺少"),
        ("schedule_config", "0 25 * * *", "'0 25 * * *' 小时部分超出范围"),
        ("is_active", "true", "布尔"),
        ("is_active", 1, "布尔"),
        ("is_active", None, "布尔"),
        ("timeout_seconds", "60", "整数"),
        ("timeout_seconds", 0, "2592000"),
        ("timeout_seconds", 10**30, "2592000"),
        ("max_instances", 1001, "1000"),
        ("retry_count", -1, "100"),
        ("priority", 1001, "1000"),
        ("time_zone", "Mars/Base", "时区"),
        ("time_zone", None, "字符串"),
        ("concurrency_policy", "forbid", "Forbid"),
        ("env", {"A": 1}, "字符串"),
        ("env", "A=1", "数组"),
        ("resources.requests.cpu", {"requests": {"cpu": 0.5}}, "数量"),
        ("command", "run", "数组"),
        ("command", ["run"], "不允许"),
        ("image", "other", "不允许"),
    ],
)
def test_one_wrong_field_is_named(world: World, field: str, value: object, word: str) -> None:
    world.make_project()
    errors = errors_of(create(world, **{field.split(".")[0]: value}))
    assert list(errors) == [field]
    assert word in errors[field]
    assert world.tasks.pending == {}
    assert world.tasks.rows == {}


def test_a_wrong_schedule_has_the_documents_message(world: World) -> None:
    world.make_project()
    body = create(world, schedule_config="0 25 * * *").json()
    assert body["message"] == "调度配置无效"
    assert body["errors"][0] == {
        "field": "schedule_config",
        "message": "CRON表达式格式错误：'0 25 * * *' 小时部分超出范围",
    }


def test_all_errors_come_at_once_form_and_rules_together(world: World) -> None:
    response = create(world, name=" x ", is_active="yes", project_id=7, schedule_config="* * *", max_instances=0)
    assert set(errors_of(response)) == {"name", "is_active", "project_id", "schedule_config", "max_instances"}
    assert response.json()["message"] == "请求参数错误"


def test_a_wrong_type_of_schedule_does_not_blame_the_schedule(world: World) -> None:
    world.make_project()
    assert set(errors_of(create(world, schedule_type="HOURLY", schedule_config="0 2 * * *"))) == {"schedule_type"}


def test_a_date_in_the_past_is_refused(world: World) -> None:
    world.make_project()
    errors = errors_of(create(world, schedule_type="DATE", schedule_config="2026-03-04T12:30:14Z"))
    assert "已过去" in errors["schedule_config"]


def test_unknown_and_read_only_keys_are_ignored(world: World) -> None:
    world.make_project()
    data = create(world, id=77, status="FAILED", owner="mallory", created_at="x", nonsense=[1]).json()["data"]
    assert (data["id"], data["status"], data["owner"]) == (1, "PENDING", "alice")


def test_what_was_read_can_be_sent_back_under_another_name(world: World) -> None:
    task = world.make_task(env={"REGION": "eu"}, resources={"limits": {"memory": "64Mi"}}, args=["--fast"])
    copied = world.call("POST", "/tasks", json={**task, "name": "the copy"})
    assert copied.status_code == 200, copied.text
    again = copied.json()["data"]
    assert {**again, "id": task["id"], "name": task["name"]} == task


def test_the_name_is_trimmed_and_composed(world: World) -> None:
    assert world.make_task(name="  cafe\u0301 job ")["name"] == "café job"


def test_a_taken_name_is_a_conflict_but_not_for_another_owner(world: World) -> None:
    project = world.make_project(members=["alice", "bob"])
    world.make_task(project_id=project)
    body = {"name": "数据同步任务", "project_id": project, "schedule_type": "ONCE"}
    refused = world.call("POST", "/tasks", json=body)
    assert refused.status_code == 409
    assert [error["field"] for error in refused.json()["errors"]] == ["name"]
    assert world.call("POST", "/tasks", user="bob", json=body).status_code == 200


def test_a_strangers_project_looks_like_none(world: World) -> None:
    project = world.make_project(members=["bob"])
    mine = create(world, project_id=project).json()
    none = create(world, project_id=project + 1).json()
    assert mine["errors"][0]["message"].replace(str(project), "N") == none["errors"][0]["message"].replace(
        str(project + 1), "N"
    )


def test_the_default_time_zone_comes_from_the_settings_not_the_body(world: World) -> None:
    assert world.make_task()["time_zone"] == "UTC"
    data = world.make_task(name="zoned", time_zone="Asia/Shanghai", schedule_config="0 9 * * *")
    assert (data["time_zone"], data["next_run_time"]) == ("Asia/Shanghai", "2026-03-05T01:00:00Z")


def test_env_from_secrets_is_for_administrators(world: World) -> None:
    """Otherwise whoever may create a task could read every Secret of the namespace, the JWT keys included."""
    project = world.make_project()
    env = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "cronwright-jwt", "key": "k1"}}}]
    body = {"name": "a task", "project_id": project, "schedule_type": "ONCE", "env": env}
    assert set(errors_of(world.call("POST", "/tasks", json=body))) == {"env"}
    accepted = world.call("POST", "/tasks", user="root", admin=True, json=body)
    assert accepted.json()["data"]["env"] == env


# What the API server answers


def test_refused_by_the_crd_is_a_400_in_rest_names(world: World) -> None:
    world.make_project()
    causes = (
        Cause("spec.schedule", "is wrong"),
        Cause("spec.overrides.env[0].name", "must match"),
        Cause("spec.backoffLimit", "too large"),
        Cause("spec.pendingDeadlineSeconds", "too small"),
        Cause("<nil>", "some validation rules were not checked"),
    )
    world.objects.fail_next = KubeInvalid(422, "Invalid", "invalid", causes)
    errors = errors_of(create(world))
    assert set(errors) == {"schedule_config", "env", "retry_count", "pending_deadline_seconds"}
    assert world.tasks.pending == {}


def test_an_unknown_outcome_leaves_the_row_pending_and_says_503(world: World) -> None:
    world.make_project()
    world.objects.lose_next = KubeUnreachable("the answer broke off")
    response = create(world)
    assert response.status_code == 503
    assert response.headers["Retry-After"]
    assert list(world.tasks.pending) == [1]
    assert world.call("GET", "/tasks").json()["total"] == 0


def test_missing_rights_of_ours_are_a_500_without_internals(world: World) -> None:
    world.make_project()
    world.objects.fail_next = KubeForbidden(403, "Forbidden", "serviceaccount x may not")
    response = create(world)
    assert response.status_code == 500
    assert "serviceaccount" not in response.text
    assert world.tasks.pending == {}


def test_an_object_of_ours_that_is_there_already_counts_as_created(world: World) -> None:
    world.make_project()
    world.objects.lose_next = KubeUnreachable("lost")
    assert create(world).status_code == 503
    world.tasks.pending.clear()
    world.tasks.last_id = 0
    assert create(world).json()["data"]["id"] == 1


def test_a_foreign_object_of_our_name_moves_us_to_the_next_id(world: World) -> None:
    world.make_task()
    world.tasks.rows.clear()
    world.tasks.last_id = 0  # the database was restored from before the task
    response = create(world, name="another")
    assert response.json()["data"]["id"] == 2
    assert world.tasks.pending == {}


# Reading


def test_the_list_is_a_bare_page_of_the_callers_own(world: World) -> None:
    project = world.make_project(members=["alice", "bob"])
    for number in range(3):
        world.make_task(name=f"task {number}", project_id=project, is_active=number != 1)
    world.make_task(name="bobs", project_id=project, user="bob")
    page = world.call("GET", "/tasks?page=1&size=2").json()
    assert set(page) == {"total", "page", "size", "items"}
    assert (page["total"], page["page"], page["size"]) == (3, 1, 2)
    assert [item["name"] for item in page["items"]] == ["task 2", "task 1"]
    assert page["items"][0]["last_execution"] is None
    assert [item["name"] for item in world.call("GET", "/tasks?is_active=false").json()["items"]] == ["task 1"]
    past = world.call("GET", "/tasks?page=99").json()
    assert (past["total"], past["items"]) == (3, [])
    assert world.call("GET", "/tasks", admin=True, user="root").json()["total"] == 4


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=0", "page"),
        ("page=x", "page"),
        ("page=1.0", "page"),
        ("page=" + "9" * 30, "page"),
        ("size=101", "size"),
        ("size=0", "size"),
        ("status=pending", "status"),
        ("status=", "status"),
        ("is_active=maybe", "is_active"),
        ("sort=owner", "sort"),
        ("sort=", "sort"),
        ("sort=--name", "sort"),
        ("schedule_type=cron", "schedule_type"),
        ("project_id=one", "project_id"),
        ("search=%00", "search"),
        ("search=" + "x" * 101, "search"),
    ],
)
def test_wrong_queries(world: World, query: str, field: str) -> None:
    assert list(errors_of(world.call("GET", f"/tasks?{query}"))) == [field]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("page=-1", "不能小于1"),
        ("page=1.0", "必须是整数"),
        ("size=101", "不能大于100"),
        ("search=" + "x" * 101, "不能超过100个字符"),
    ],
)
def test_wrong_queries_are_told_what_is_wrong(world: World, query: str, message: str) -> None:
    (error,) = world.call("GET", f"/tasks?{query}").json()["errors"]
    assert error == {"field": query.split("=")[0], "message": message}


@pytest.mark.parametrize("task_id", ["0", "-1", "9" * 40, "-" + "9" * 40])
def test_ids_that_no_task_can_have_are_unknown(world: World, task_id: str) -> None:
    assert world.call("GET", f"/tasks/{task_id}").status_code == 404


def test_search_and_order_reach_the_store(world: World) -> None:
    plain = {"search": None, "project_id": None, "type": None, "sort": "-created_at"}
    world.call("GET", "/tasks")
    assert world.tasks.queries.pop() == plain
    decomposed = "cafe%CC%81"
    world.call("GET", f"/tasks?search={decomposed}&project_id=7&schedule_type=CRON&sort=next_run_time")
    assert world.tasks.queries.pop() == {"search": "café", "project_id": 7, "type": "CRON", "sort": "next_run_time"}


def test_another_users_task_does_not_exist(world: World) -> None:
    task = world.make_task()
    for response in (world.call("GET", f"/tasks/{task['id']}", user="bob"), world.call("GET", "/tasks/4711")):
        assert response.status_code == 404
        assert response.json()["message"] == "任务不存在"
    assert world.call("GET", f"/tasks/{task['id']}", user="root", admin=True).status_code == 200
    assert world.call("GET", "/tasks/" + "9" * 40).status_code == 404
    assert list(errors_of(world.call("GET", "/tasks/one"))) == ["task_id"]


def test_details_carry_project_and_summary(world: World) -> None:
    task = world.make_task()
    body = world.call("GET", f"/tasks/{task['id']}").json()
    assert body["message"] == "获取成功"
    assert body["data"]["project_name"] == "a project"
    assert body["data"]["execution_summary"] == {
        "total_executions": 0,
        "success_count": 0,
        "failed_count": 0,
        "last_success": None,
        "last_failure": None,
        "cancelled_count": 0,
    }
