"""Simultaneous writes through the API on a real API server and a real PostgreSQL: exactly one of them wins."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cronwright_api.app import create_app
from cronwright_core.store.session import Database
from support.api import make_settings, running
from support.cluster import OWN_CONTEXTS, kubectl
from support.postgres import database, database_url
from support.real_world import ClusterWorld

__all__ = ["database", "database_url"]


@pytest.fixture
def world(tmp_path: Path, database: Database) -> Iterator[ClusterWorld]:
    context = kubectl("config", "current-context").strip()
    allowed = OWN_CONTEXTS | {os.environ.get("CRONWRIGHT_ALLOW_CONTEXT", "")}
    assert context in allowed, f"the context {context!r} is not one that `make up` made"
    keys = tmp_path / "keys"
    keys.mkdir()
    world = ClusterWorld(keys)
    world.database, world.namespace = database, f"writes-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", world.namespace)
    try:
        with running(create_app(make_settings(), world.open)) as world.client:
            yield world
    finally:
        kubectl("delete", "namespace", world.namespace, "--wait=false")


def create(world: ClusterWorld, project: int, name: str, user: str = "alice", **headers: str) -> Any:
    # A date far away: an operator of the same cluster may look at it, and runs nothing.
    schedule = {"schedule_type": "DATE", "schedule_config": "2099-01-01T00:00:00Z"}
    body = {"name": name, "project_id": project, **schedule}
    return world.call("POST", "/tasks", user=user, json=body, headers=headers)


def together(count: int, work: Callable[[int], Any]) -> list[Any]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


def tasks_in_cluster(world: ClusterWorld) -> list[str]:
    return kubectl("get", "-n", world.namespace, "scheduledtasks", "-o", "name").split()


def test_of_fifty_creations_of_one_name_exactly_one_wins(world: ClusterWorld) -> None:
    project = world.make_project(name="p", members=["alice", "bob"])
    codes = [answer.status_code for answer in together(50, lambda _: create(world, project, "one name"))]
    assert sorted(codes) == [200] + [409] * 49
    assert len(tasks_in_cluster(world)) == 1
    assert create(world, project, "one name", user="bob").status_code == 200, "names are an owner's"
    other = create(world, project, "other name").json()["data"]
    assert world.call("PUT", f"/tasks/{other['id']}", json={"name": "one name"}).status_code == 409
    assert world.call("GET", f"/tasks/{other['id']}").json()["data"]["name"] == "other name"
    assert world.call("DELETE", f"/tasks/{other['id']}").status_code == 200
    assert create(world, project, "other name").json()["data"]["id"] > other["id"]


def test_of_many_repeats_with_one_key_all_get_the_one_task(world: ClusterWorld) -> None:
    project = world.make_project(name="p")
    answers = together(20, lambda _: create(world, project, "one name", **{"Idempotency-Key": "k"}))
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    (task_id,) = {answer.json()["data"]["id"] for answer in answers}
    assert tasks_in_cluster(world) == [f"scheduledtask.cronwright.dev/task-{task_id}"]


def test_changes_meet_one_version(world: ClusterWorld) -> None:
    task = create(world, world.make_project(name="p"), "one name")
    path, tag = f"/tasks/{task.json()['data']['id']}", {"If-Match": task.headers["ETag"]}
    codes = [
        a.status_code for a in together(8, lambda n: world.call("PUT", path, json={"priority": n + 1}, headers=tag))
    ]
    assert sorted(codes) == [200] + [412] * 7
    fields: list[dict[str, Any]] = [
        {"description": "d"},
        {"retry_count": 3},
        {"timeout_seconds": 77},
        {"max_instances": 2},
    ]
    answers = together(4, lambda n: world.call("PUT", path, json=fields[n]))
    assert [answer.status_code for answer in answers] == [200] * 4, [answer.text for answer in answers]
    read = world.call("GET", path)
    assert {key: read.json()["data"][key] for field in fields for key in field} == {
        key: value for field in fields for key, value in field.items()
    }
    assert world.call("DELETE", path, headers=tag).status_code == 412
    assert world.call("DELETE", path, headers={"If-Match": read.headers["ETag"]}).status_code == 200
    assert tasks_in_cluster(world) == []


def test_a_project_changed_by_kubectl_has_another_tag(world: ClusterWorld) -> None:
    root: dict[str, Any] = {"user": "root", "admin": True}
    path = f"/projects/{world.make_project(name='p')}"
    read = world.call("GET", path, **root)
    name = read.json()["data"]["resource_name"]
    kubectl(
        "patch", "-n", world.namespace, "project.cronwright.dev", name, "--type=merge", "-p", '{"spec":{"image":"a"}}'
    )
    tag = {"If-Match": read.headers["ETag"]}
    assert world.call("PUT", path, json={"members": ["bob"]}, headers=tag, **root).status_code == 412
    refused = world.call("PUT", path, json={"workspace": {"claim_name": "c", "mount_path": "relative"}}, **root)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "workspace")
    changed = world.call("PUT", path, json={"members": ["bob"]}, **root)
    assert (changed.status_code, changed.json()["data"]["image"]) == (200, "a"), "kubectl's change stays"
    assert world.call("DELETE", path, **root).status_code == 200
    assert kubectl("get", "-n", world.namespace, "projects.cronwright.dev", "-o", "name") == ""
