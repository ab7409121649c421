"""The API over the real stores: what is written is there at the next read, ids and names are the database's."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cronwright_api.app import create_app
from cronwright_core.domain.execution import Attempt, Execution, ExecutionKey, ExecutionState, ExecutionStatus
from cronwright_core.domain.times import whole_seconds
from cronwright_core.kube.errors import KubeUnreachable
from cronwright_core.kube.resources import SCHEDULED_TASKS
from cronwright_core.store.executions import ExecutionStore
from cronwright_core.store.logs import LogStore
from cronwright_core.store.records.executions import ExecutionRecord
from cronwright_core.store.session import Database
from cronwright_core.store.tasks import TaskStore
from support.api import make_settings, running
from support.postgres import PostgresServer, migrate
from support.real_world import RealWorld, make_world
from support.store_rows import make_append


@pytest.fixture
def world(tmp_path: Path, database: Database) -> Iterator[RealWorld]:
    world = make_world(tmp_path / "keys", database)
    with running(create_app(make_settings(), world.open)) as world.client:
        yield world


def new_task(world: RealWorld, project: int, name: str, **fields: Any) -> Any:
    body = {"name": name, "project_id": project, "schedule_type": "INTERVAL", "schedule_config": "3600", **fields}
    return world.call("POST", "/tasks", json=body)


def test_from_project_to_log(world: RealWorld) -> None:
    project = world.call(
        "POST", "/projects", user="root", admin=True, json={"name": "p", "image": "busybox", "members": ["alice"]}
    ).json()["data"]
    body = {"env": {"A": "1"}, "resources": {"limits": {"cpu": 1}}, "starting_deadline_seconds": 60, "args": []}
    created = new_task(world, project["id"], "数据同步任务", **body).json()["data"]
    read = world.call("GET", f"/tasks/{created['id']}").json()["data"]
    assert {key: read[key] for key in created} == created
    assert read["project_name"] == "p"
    assert (read["status"], read["is_active"], read["args"]) == ("PENDING", True, [])

    triggered = world.call("POST", f"/tasks/{created['id']}/trigger", headers={"Idempotency-Key": "k"})
    assert triggered.status_code == 200, triggered.text
    execution_id = triggered.headers["Location"].rsplit("/", 1)[1]
    pending = world.call("GET", f"/executions/{execution_id}").json()["data"]
    assert (pending["status"], pending["start_time"], pending["requested_by"]) == ("PENDING", None, "alice")
    again = world.call("POST", f"/tasks/{created['id']}/trigger", headers={"Idempotency-Key": "k"})
    assert again.headers["Location"] == triggered.headers["Location"]

    record_success(world, execution_id)
    assert len(world.objects.only(SCHEDULED_TASKS)["metadata"]["annotations"]) == 1
    page = world.call("GET", f"/tasks/{created['id']}/executions?status=SUCCESS").json()
    assert (page["total"], page["items"][0]["duration_seconds"]) == (1, 45)
    listed = world.call("GET", "/tasks").json()["items"][0]
    assert listed["last_execution"]["execution_id"] == execution_id
    assert listed["last_execution"]["status"] == "SUCCESS"
    detail = world.call("GET", f"/executions/{execution_id}").json()["data"]
    assert [item["exit_code"] for item in detail["attempts"]] == [0]
    log = world.call("GET", f"/executions/{execution_id}/logs/file?lines=1").json()["data"]
    assert (log["content"], log["lines_count"], log["file_size"]) == (["二"], 2, 8)
    assert world.call("GET", f"/executions/{execution_id}", user="bob").status_code == 404


def record_success(world: RealWorld, execution_id: str) -> None:
    """What the operator does once the Job has ended."""
    store = ExecutionStore(world.database)
    row = store.get(execution_id, owner=None)
    start = whole_seconds(world.now)
    attempt = Attempt(1, "pod", "pod-uid", ExecutionStatus.SUCCESS, start, start_time=start, exit_code=0)
    draft = execution_from(row)
    state = replace(
        draft.state,
        status=ExecutionStatus.SUCCESS,
        start_time=start,
        end_time=start + timedelta(seconds=45),
        exit_code=0,
        attempts=(attempt,),
    )
    store.record([replace(draft, state=state, job_uid="job-uid")])
    LogStore(world.database).append([make_append(execution_id, "一\n二\n".encode(), row.time, at=start)])


def execution_from(row: ExecutionRecord) -> Execution:
    return Execution(
        execution_id=row.execution_id,
        key=ExecutionKey(row.task_uid, row.kind, row.time, row.request_key),
        task_id=row.task_id,
        task_name=row.task_name,
        owner=row.owner,
        project_id=row.project_id,
        namespace=row.namespace,
        job_name=row.job_name,
        job_uid=row.job_uid,
        created_time=row.created_at,
        state=ExecutionState(row.status),
        requested_by=row.requested_by,
    )


def test_of_many_creations_of_one_name_one_wins(world: RealWorld) -> None:
    project = world.make_project(name="the project")
    with ThreadPoolExecutor(12) as pool:
        codes = list(pool.map(lambda _: new_task(world, project, "one name").status_code, range(24)))
    assert sorted(set(codes)) == [200, 409]
    assert codes.count(200) == 1
    assert world.call("GET", "/tasks").json()["total"] == 1


def test_filters_and_pages(world: RealWorld) -> None:
    project = world.make_project(name="the project")
    for number in range(5):
        assert new_task(world, project, f"task {number}", is_active=number % 2 == 0).status_code == 200
    names = [item["name"] for item in world.call("GET", "/tasks?is_active=true&size=2&page=2").json()["items"]]
    assert names == ["task 0"]
    assert world.call("GET", "/tasks?status=RUNNING").json()["total"] == 0
    assert world.call("GET", "/tasks?status=PENDING&is_active=false").json()["total"] == 2
    assert world.call("GET", "/tasks?page=2147483647&size=100").json() == {
        "total": 5,
        "page": 2147483647,
        "size": 100,
        "items": [],
    }
    assert world.call("GET", "/tasks/" + "9" * 30).status_code == 404
    assert world.call("GET", "/tasks/" + "9" * 30 + "/executions").status_code == 404
    assert world.call("GET", "/projects/" + "9" * 30).status_code == 404


def test_an_unknown_outcome_is_not_shown_and_keeps_the_name_for_a_minute(world: RealWorld) -> None:
    project = world.make_project(name="the project")
    world.objects.fail_next = KubeUnreachable("away")
    assert new_task(world, project, "half made").status_code == 503
    assert world.call("GET", "/tasks").json()["total"] == 0
    assert new_task(world, project, "half made").status_code == 409
    world.now += timedelta(seconds=61)
    assert new_task(world, project, "half made").status_code == 200


def test_edit_pause_resume_delete(world: RealWorld) -> None:
    project = world.make_project(name="the project")
    task = new_task(world, project, "first name").json()["data"]
    other = new_task(world, project, "other name").json()["data"]
    path = f"/tasks/{task['id']}"
    assert world.call("PUT", path, json={"name": "other name"}).status_code == 409
    world.now += timedelta(seconds=5)
    edited = world.call("PUT", path, json={"name": "new name", "description": "d", "args": ["x"]})
    assert edited.status_code == 200, edited.text
    read = world.call("GET", path).json()["data"]
    assert (read["name"], read["description"], read["args"]) == ("new name", "d", ["x"])
    assert read["updated_at"] > task["updated_at"]
    assert read["next_run_time"] == task["next_run_time"]
    assert world.call("PUT", path, json={}).json()["data"]["updated_at"] == read["updated_at"]
    assert world.call("POST", f"{path}/pause").status_code == 200
    paused = world.call("GET", path).json()["data"]
    assert (paused["is_active"], paused["status"], paused["next_run_time"]) == (False, "PENDING", None)
    assert world.call("POST", f"{path}/resume").status_code == 200
    assert world.call("GET", path).json()["data"]["next_run_time"] is not None
    assert new_task(world, project, "first name").status_code == 200, "the old name is free again"
    assert world.call("DELETE", path).status_code == 200
    assert world.call("GET", path).status_code == 404
    assert world.call("GET", f"{path}/executions").status_code == 404
    assert new_task(world, project, "new name").status_code == 200, "so is a deleted task's"
    assert world.call("GET", f"/tasks/{other['id']}").status_code == 200


@pytest.mark.parametrize("is_active", [True, False])
def test_a_finished_task_with_another_time_waits_for_it_before_the_operator_has_looked(
    world: RealWorld, is_active: bool
) -> None:
    date = "2099-01-01T00:00:00Z"
    fields = {"schedule_type": "DATE", "schedule_config": date}
    task = new_task(world, world.make_project(), "once only", **fields).json()["data"]
    path = f"/tasks/{task['id']}"
    record_success(world, world.call("POST", f"{path}/trigger").headers["Location"].rsplit("/", 1)[1])
    TaskStore(world.database).set_observed(
        world.objects.only(SCHEDULED_TASKS)["metadata"]["uid"],
        generation=1,
        next_run_time=None,
        ready=False,
        reason="InvalidSpec",
        message="of the old definition",
        completed=True,
    )
    read = world.call("GET", path).json()["data"]
    assert (read["status"], read["next_run_time"], read["ready"]) == ("SUCCESS", None, False)
    later = "2099-06-01T00:00:00Z"
    changed = world.call("PUT", path, json={"schedule_config": later, "is_active": is_active}).json()["data"]
    assert (changed["status"], changed["ready"], changed["ready_message"]) == ("PENDING", None, None)
    assert changed["next_run_time"] == (later if is_active else None)
    if not is_active:
        assert world.call("POST", f"{path}/resume").status_code == 200
    (item,) = world.call("GET", "/tasks?status=PENDING").json()["items"]
    assert item["next_run_time"] == later
    assert world.call("GET", f"{path}/next-runs").json()["data"]["next_run_times"] == [later]
    assert world.call("POST", f"{path}/trigger").status_code == 200


def test_a_trigger_without_a_resource_leaves_nothing(world: RealWorld) -> None:
    project = world.make_project(name="the project")
    task = new_task(world, project, "to be deleted").json()["data"]
    world.objects.objects.clear()
    assert world.call("POST", f"/tasks/{task['id']}/trigger").status_code == 404
    assert world.call("GET", f"/tasks/{task['id']}/executions").json()["total"] == 0


def test_the_database_goes_and_comes_back(tmp_path: Path, own_server: PostgresServer) -> None:
    migrate(own_server.url)
    database = Database(own_server.url, application_name="tests")
    world = make_world(tmp_path / "keys", database)
    with running(create_app(make_settings(), world.open)) as world.client:
        assert world.call("GET", "/tasks").status_code == 200
        assert world.client.request("GET", "/readyz").json()["status"] == "ok"
        own_server.stop()
        away = world.call("GET", "/tasks")
        assert (away.status_code, away.json()["message"]) == (503, "数据库暂时不可用，请稍后重试")
        # Said, but the replica stays in service: otherwise clients met a refused connection instead of the 503 above.
        ready = world.client.request("GET", "/readyz")
        assert ready.status_code == 200
        assert "not available" in ready.json()["database"]
        assert world.client.request("GET", "/healthz").status_code == 200
        own_server.start()
        assert world.call("GET", "/tasks").status_code == 200
        assert world.client.request("GET", "/readyz").status_code == 200
    database.dispose()
