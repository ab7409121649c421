"""/projects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cronwright_core.kube.errors import KubeUnreachable
from cronwright_core.kube.resources import PROJECTS
from support.api import World
from support.fake_stores import AWAY


def create(world: World, **fields: Any) -> Any:
    body = {"name": "数据处理项目", "image": "busybox", **fields}
    body = {key: value for key, value in body.items() if value is not ...}
    return world.call("POST", "/projects", user="root", admin=True, json=body)


def test_creating_makes_a_resource(world: World) -> None:
    response = create(
        world,
        command=["sh", "-c"],
        args=["echo 1"],
        env={"A": "1"},
        resources={"requests": {"cpu": "100m", "memory": "64Mi"}},
        members=["alice", "alice", "bob"],
        security_context={"runAsUser": 1000, "privileged": True},
        workspace={"claim_name": "data"},
        max_concurrent_executions=5,
        retention_days=0,
        allow_overrides=True,
    )
    assert response.status_code == 200, response.text
    data = response.json()["data"]
    assert (data["id"], data["name"], data["owner"], data["members"]) == (1, "数据处理项目", "root", ["alice", "bob"])
    stored = world.objects.only(PROJECTS)
    assert stored["metadata"]["name"] == "project-1"
    assert stored["spec"] == {
        "displayName": "数据处理项目",
        "owner": "root",
        "members": ["alice", "bob"],
        "image": "busybox",
        "command": ["sh", "-c"],
        "args": ["echo 1"],
        "env": [{"name": "A", "value": "1"}],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
        "securityContext": {"runAsUser": 1000},
        "workspace": {"claimName": "data", "mountPath": "/workspace"},
        "maxConcurrentExecutions": 5,
        "retentionDays": 0,
        "allowOverrides": True,
    }


def test_only_administrators_create(world: World) -> None:
    response = world.call("POST", "/projects", json={"name": "p", "image": "busybox"})
    assert (response.status_code, response.json()["code"]) == (403, 403)
    assert world.objects.objects == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image", ...),
        ("image", ""),
        ("image", "a b"),
        ("name", ""),
        ("name", "x" * 101),
        ("members", "alice"),
        ("allow_overrides", "yes"),
        ("max_concurrent_executions", 0),
        ("retention_days", -1),
        ("image_pull_policy", "Sometimes"),
        ("workspace.claim_name", {}),
        ("namespace", "Not A Namespace"),
        ("namespace", "elsewhere"),
        ("security_context.runAsUser", {"runAsUser": "0"}),
    ],
)
def test_one_wrong_field_is_named(world: World, field: str, value: object) -> None:
    response = create(world, **{field.split(".")[0]: value})
    assert response.status_code == 400, response.text
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert world.projects.pending == {}


def test_members_and_owner_see_it_strangers_do_not(world: World) -> None:
    create(world, members=["alice"], owner="olga")
    for user, total in (("alice", 1), ("olga", 1), ("bob", 0)):
        assert world.call("GET", "/projects", user=user).json()["total"] == total
        assert world.call("GET", "/projects/1", user=user).status_code == (200 if total else 404)
    assert world.call("GET", "/projects", user="root", admin=True).json()["total"] == 1


def test_a_taken_name_and_an_unknown_outcome(world: World) -> None:
    create(world)
    assert create(world).status_code == 409
    world.objects.lose_next = KubeUnreachable("lost")
    assert create(world, name="other").status_code == 503
    assert list(world.projects.pending) == [2]


def put(world: World, path: str, *, user: str = "root", **body: Any) -> Any:
    return world.call("PUT", path, user=user, admin=user == "root", json=body)


def test_a_change_leaves_absent_fields(world: World) -> None:
    create(world, args=["1"], env={"A": "1"}, members=["alice"], workspace={"claim_name": "data"})
    changed = put(world, "/projects/1", image="alpine", members=["bob", "bob"], workspace=None, id=9, namespace="x")
    assert changed.status_code == 200, changed.text
    data = changed.json()["data"]
    assert (data["id"], data["image"], data["members"], data["workspace"]) == (1, "alpine", ["bob"], None)
    assert (data["name"], data["args"], data["env"]) == ("数据处理项目", ["1"], [{"name": "A", "value": "1"}])
    stored = world.objects.only(PROJECTS)
    assert stored["metadata"]["generation"] == 2
    assert "workspace" not in stored["spec"]
    assert put(world, "/projects/1", **data).json()["data"] == data, "what was read may be sent back"
    assert world.objects.only(PROJECTS)["metadata"]["generation"] == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", None), ("name", "x" * 101), ("image", ""), ("owner", None), ("members", "alice"), ("env", {"A": 1})],
)
def test_a_wrong_field_of_a_change_is_named(world: World, field: str, value: object) -> None:
    create(world)
    refused = put(world, "/projects/1", **{field: value})
    assert refused.status_code == 400
    assert [error["field"] for error in refused.json()["errors"]] == [field]


def test_what_was_read_of_a_project_without_owner_may_be_sent_back(world: World) -> None:
    create(world)
    # As kubectl may apply it, and the operator projects it.
    del world.objects.only(PROJECTS)["spec"]["owner"]
    world.projects.rows[1] = replace(row := world.projects.rows[1], spec=replace(row.spec, owner=None))
    read = world.call("GET", "/projects/1", user="root", admin=True).json()["data"]
    assert read["owner"] is None
    sent = put(world, "/projects/1", **read)
    assert (sent.status_code, sent.json()["data"]) == (200, read)
    assert world.objects.only(PROJECTS)["metadata"]["generation"] == 1
    changed = put(world, "/projects/1", **read | {"description": "d"})
    assert (changed.status_code, changed.json()["data"]["description"]) == (200, "d")
    assert "owner" not in world.objects.only(PROJECTS)["spec"]
    assert put(world, "/projects/1", owner="olga").json()["data"]["owner"] == "olga"
    assert put(world, "/projects/1", owner=None).status_code == 400, "it has one now"


def test_a_taken_name_of_a_change(world: World) -> None:
    create(world)
    create(world, name="other")
    assert put(world, "/projects/2", name="数据处理项目").status_code == 409
    assert put(world, "/projects/2", name="third").status_code == 200
    assert world.projects.pending == {}


def test_an_owner_chooses_members_and_nothing_else(world: World) -> None:
    create(world, owner="olga", members=["alice"])
    assert put(world, "/projects/1", user="olga", members=["alice", "bob"], description="d").status_code == 200
    read = world.call("GET", "/projects/1", user="bob").json()["data"]
    assert put(world, "/projects/1", user="olga", **read | {"members": ["bob"]}).status_code == 200
    for body in (
        {"image": "alpine"},
        {"allow_overrides": True},
        {"owner": "bob"},
        {"service_account_name": "x"},
        {"node_selector": {"a": "b"}},
    ):
        assert put(world, "/projects/1", user="olga", **body).status_code == 403
    assert put(world, "/projects/1", user="bob", members=[]).status_code == 403, "a member"
    assert put(world, "/projects/1", user="alice", members=["alice"]).status_code == 404, "a stranger by now"


def test_deleting(world: World) -> None:
    create(world, members=["alice"])
    assert world.call("DELETE", "/projects/1").status_code == 403
    world.projects.used = {1}
    assert world.call("DELETE", "/projects/1", user="root", admin=True).status_code == 409
    world.projects.used = set()
    world.objects.fail_next = KubeUnreachable("away")
    assert world.call("DELETE", "/projects/1", user="root", admin=True).status_code == 503
    assert world.call("GET", "/projects/1").status_code == 200, "given back"
    assert world.call("DELETE", "/projects/1", user="root", admin=True).status_code == 200
    assert world.objects.objects == {}
    assert world.call("GET", "/projects/1").status_code == 404
    assert world.call("DELETE", "/projects/1", user="root", admin=True).status_code == 404


def test_a_name_that_the_resource_has_stays_held_until_its_row_has_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/projects/{create(world).json()['data']['id']}"

    def away(*_: object, **__: object) -> int:
        raise AWAY

    monkeypatch.setattr(world.projects, "register", away)
    assert put(world, path, name="renamed").status_code == 503
    assert world.objects.only(PROJECTS)["spec"]["displayName"] == "renamed"
    assert [spec.display_name for spec in world.projects.pending.values()] == ["renamed"]


def test_the_same_change_after_a_lost_answer_shows_what_it_has_made(world: World) -> None:
    made = create(world).json()["data"]
    path, root, body = (
        f"/projects/{made['id']}",
        {"user": "root", "admin": True},
        {"image": "alpine", "name": "renamed"},
    )
    world.objects.lose_next = KubeUnreachable("the answer was lost")
    assert world.call("PUT", path, **root, json=body).status_code == 503
    again = world.call("PUT", path, **root, json=body)
    assert (again.status_code, again.json()["data"] | body) == (200, again.json()["data"])
    tag = {"If-Match": again.headers["ETag"]}
    assert world.call("PUT", path, **root, json={"description": "d"}, headers=tag).status_code == 200
