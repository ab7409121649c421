"""Who may do what: every route of the application for an owner, a project member, a stranger and an administrator.

A route that is not in the table fails the test, so nobody can add one without saying whose it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cronwright_api.app import create_app
from cronwright_api.settings import BASE_PATH
from cronwright_core.domain.execution import Execution, ExecutionKey, ExecutionState, ExecutionStatus
from cronwright_core.kube.codec import to_task
from cronwright_core.kube.resources import SCHEDULED_TASKS
from cronwright_core.store.executions import ExecutionStore
from cronwright_core.store.logs import LogStore
from cronwright_core.store.records.tasks import TaskProjection
from cronwright_core.store.session import Database
from cronwright_core.store.tasks import TaskStore
from support.api import make_settings, running
from support.real_world import RealWorld, make_world

ROLES = {"owner": "alice", "member": "bob", "stranger": "eve", "admin": "root"}
"""`member` may create tasks in the project, in which the task is the owner's."""


def answers(owner: int, member: int, stranger: int, admin: int) -> dict[str, int]:
    return {"owner": owner, "member": member, "stranger": stranger, "admin": admin}


OWN = answers(200, 404, 404, 200)
ENDED = answers(409, 404, 404, 409)
"""Allowed, but the execution has ended already; to others it does not exist all the same."""
USED = answers(200, 200, 404, 200)
ADMIN = answers(403, 403, 403, 200)
EVERYBODY = answers(200, 200, 200, 200)
CREATES = {"schedule_type": "INTERVAL", "schedule_config": "3600"}

TABLE: dict[tuple[str, str], tuple[dict[str, int], dict[str, Any] | None]] = {
    ("POST", "/tasks"): (answers(200, 200, 400, 200), CREATES | {"name": "new task", "project_id": "{project}"}),
    ("GET", "/tasks"): (EVERYBODY, None),
    ("GET", "/tasks/{task_id}"): (OWN, None),
    ("PUT", "/tasks/{task_id}"): (OWN, {"priority": 1}),
    ("DELETE", "/tasks/{task_id}"): (OWN, None),
    ("POST", "/tasks/{task_id}/pause"): (OWN, None),
    ("POST", "/tasks/{task_id}/resume"): (ENDED, None),
    ("POST", "/tasks/{task_id}/trigger"): (OWN, {"env": {"A": "1"}}),
    ("GET", "/tasks/{task_id}/executions"): (OWN, None),
    ("GET", "/tasks/{task_id}/stats"): (OWN, None),
    ("GET", "/tasks/{task_id}/next-runs"): (OWN, None),
    ("POST", "/schedules/preview"): (EVERYBODY, {"schedule_type": "CRON", "schedule_config": "0 2 * * *"}),
    ("GET", "/executions/{execution_id}"): (OWN, None),
    ("GET", "/executions/{execution_id}/attempts"): (OWN, None),
    ("POST", "/executions/{execution_id}/cancel"): (ENDED, None),
    ("GET", "/executions/{execution_id}/logs/file"): (OWN, None),
    ("GET", "/executions/{execution_id}/logs/stream"): (OWN, None),
    ("GET", "/running"): (EVERYBODY, None),
    ("GET", "/metrics"): (EVERYBODY, None),
    ("POST", "/cleanup-workspaces"): (ADMIN, None),
    ("POST", "/projects"): (ADMIN, {"name": "new project", "image": "busybox"}),
    ("GET", "/projects"): (EVERYBODY, None),
    ("GET", "/projects/{project_id}"): (USED, None),
    ("PUT", "/projects/{project_id}"): (answers(403, 403, 404, 200), {"image": "alpine"}),
    ("DELETE", "/projects/{project_id}"): (answers(403, 403, 403, 409), None),
}
WITHOUT_TOKEN = {"/healthz", "/readyz", "/docs", "/docs/{name}", "/openapi.json"}
LISTS = {"/tasks": answers(1, 0, 0, 1), "/projects": answers(1, 1, 0, 1)}
numbers = count()


@pytest.fixture
def world(tmp_path: Path, database: Database) -> Iterator[RealWorld]:
    world = make_world(tmp_path / "keys", database)
    with running(create_app(make_settings(), world.open)) as world.client:
        yield world


def routes(world: RealWorld) -> set[tuple[str, str]]:
    paths = world.client.app.openapi()["paths"]
    return {(method.upper(), path) for path, operations in paths.items() for method in operations}


def make_things(world: RealWorld, state: ExecutionState | None = None) -> dict[str, Any]:
    """A project with a member, a task of its owner, and an execution of it, which has ended if nothing else is said."""
    number = next(numbers)
    project = world.make_project(name=f"project {number}", owner="olga", members=["alice", "bob"])
    task = world.make_task(name=f"task {number}", project_id=project)
    location = world.call("POST", f"/tasks/{task['id']}/trigger").headers["Location"]
    execution_id = location.rsplit("/", 1)[1]
    store = ExecutionStore(world.database)
    row = store.get(execution_id, owner=None)
    ended = ExecutionState(ExecutionStatus.SUCCESS, start_time=world.now, end_time=world.now, exit_code=0)
    execution = Execution(
        execution_id=execution_id,
        key=ExecutionKey(row.task_uid, row.kind, row.time, row.request_key),
        task_id=row.task_id,
        task_name=row.task_name,
        owner=row.owner,
        project_id=row.project_id,
        namespace=row.namespace,
        job_name=row.job_name,
        job_uid="job",
        created_time=row.created_at,
        state=state or ended,
    )
    store.record([execution])
    for stream in ("stdout", "stderr"):
        LogStore(world.database).finish(execution_id, 1, stream, complete=True, incomplete_reason=None)
    return {"task_id": task["id"], "execution_id": execution_id, "project_id": project}


def test_every_route_is_in_the_table(world: RealWorld) -> None:
    wanted = {(method, BASE_PATH + path) for method, path in TABLE}
    assert {route for route in routes(world) if route[1] not in WITHOUT_TOKEN} == wanted


@pytest.mark.parametrize(("method", "path"), TABLE)
def test_each_role_gets_its_answer(world: RealWorld, method: str, path: str) -> None:
    wanted, body = TABLE[(method, path)]
    got, totals = {}, {}
    for role, user in ROLES.items():
        for task in world.call("GET", "/tasks?size=100", user="root", admin=True).json()["items"]:
            world.call("DELETE", f"/tasks/{task['id']}", user="root", admin=True)
        for project in world.call("GET", "/projects?size=100", user="root", admin=True).json()["items"]:
            world.call("DELETE", f"/projects/{project['id']}", user="root", admin=True)
        things = make_things(world)
        sent = (
            None
            if body is None
            else {key: things["project_id"] if value == "{project}" else value for key, value in body.items()}
        )
        kwargs = {} if sent is None else {"json": sent}
        answer = world.call(method, path.format(**things), user=user, admin=role == "admin", **kwargs)
        got[role] = answer.status_code
        if path in LISTS and method == "GET":
            totals[role] = answer.json()["total"]
        if answer.status_code in (403, 404):
            assert answer.json()["success"] is False
            assert "alice" not in answer.text, "a refusal says nothing of whose it is"
    assert got == wanted
    assert totals == (LISTS[path] if path in LISTS and method == "GET" else {})


def test_a_task_that_is_handed_on_is_handed_on_with_its_executions(world: RealWorld) -> None:
    """As the operator does when the Project, which says whose the task is, gets another owner."""
    things = make_things(world, ExecutionState(ExecutionStatus.RUNNING, start_time=world.now))
    resource = world.objects.only(SCHEDULED_TASKS)
    handed_on = TaskProjection(
        cr_uid=resource["metadata"]["uid"],
        namespace=resource["metadata"]["namespace"],
        cr_name=resource["metadata"]["name"],
        generation=1,
        creation_time=world.now,
        owner="pia",
        project_id=things["project_id"],
        spec=to_task(resource).spec,
    )
    TaskStore(world.database).register(handed_on, world.now)
    got: dict[str, dict[str, int]] = {"alice": {}, "pia": {}}
    for user, codes in got.items():
        for method, path in TABLE:
            # The stream would be followed for as long as the execution runs; whose it is it asks as the details do.
            if "/executions" in path and not path.endswith("/stream"):
                codes[path] = world.call(method, path.format(**things), user=user).status_code
        codes["/running"] = len(world.call("GET", "/running", user=user).json()["data"])
    assert set(got["alice"].values()) == {404, 0}
    assert set(got["pia"].values()) == {200, 1}
    annotations = resource["metadata"]["annotations"]
    assert [json.loads(value)["by"] for key, value in annotations.items() if key.startswith("cancel.")] == ["pia"]
