"""Repeated, conditional and simultaneous writes over PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from cronwright_api.app import create_app
from cronwright_core.kube.errors import KubeUnreachable
from cronwright_core.kube.resources import PROJECTS, SCHEDULED_TASKS
from cronwright_core.store.projects import ProjectStore
from cronwright_core.store.session import Database
from cronwright_core.store.tasks import TaskStore
from support.api import make_settings, running
from support.real_api import assert_whole
from support.real_world import RealWorld, make_world


@pytest.fixture
def world(tmp_path: Path, database: Database) -> Iterator[RealWorld]:
    world = make_world(tmp_path / "keys", database)
    with running(create_app(make_settings(), world.open)) as world.client:
        yield world


def create(world: RealWorld, project: int, name: str = "one name", *, key: str | None = None, **fields: Any) -> Any:
    body = {"name": name, "project_id": project, "schedule_type": "INTERVAL", "schedule_config": "3600", **fields}
    return world.call("POST", "/tasks", json=body, headers={} if key is None else {"Idempotency-Key": key})


def together(count: int, work: Callable[[int], Any]) -> list[Any]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


def test_of_many_repeats_at_once_all_get_the_one_task(world: RealWorld) -> None:
    project = world.make_project(name="p")
    answers = together(12, lambda _: create(world, project, key="k"))
    assert {answer.status_code for answer in answers} == {200}, [a.text for a in answers]
    assert len({answer.json()["data"]["id"] for answer in answers}) == 1
    created = [call for call in world.objects.objects if call[0] == SCHEDULED_TASKS.plural]
    assert len(created) == 1
    assert world.call("GET", "/tasks").json()["total"] == 1


def test_a_repeat_goes_on_where_a_crash_broke_off(world: RealWorld) -> None:
    project = world.make_project(name="p")
    world.objects.fail_next = KubeUnreachable("before it was done")
    assert create(world, project, key="k").status_code == 503
    world.objects.lose_next = KubeUnreachable("after it was done")
    assert create(world, project, key="k").status_code == 503
    # Past the minute after which a pending row may be dropped: the repeat makes it young again.
    world.now += timedelta(seconds=90)
    first = create(world, project, key="k")
    assert first.status_code == 200, first.text
    assert create(world, project, key="k").json()["data"]["id"] == first.json()["data"]["id"]
    assert [key[2] for key in world.objects.objects if key[0] == "scheduledtasks"] == [
        f"task-{first.json()['data']['id']}"
    ]


def test_a_key_is_kept_for_a_day_and_for_its_task(world: RealWorld) -> None:
    project = world.make_project(name="p")
    task = create(world, project, key="k").json()["data"]
    assert create(world, project, key="k", priority=1).status_code == 409
    world.call("PUT", f"/tasks/{task['id']}", json={"name": "renamed"})
    assert create(world, project, key="k").json()["data"]["name"] == "renamed"
    world.call("DELETE", f"/tasks/{task['id']}")
    gone = create(world, project, key="k")
    assert (gone.status_code, "删除" in gone.json()["message"]) == (409, True)
    world.now += timedelta(days=1, seconds=1)
    anew = create(world, project, key="k")
    assert (anew.status_code, anew.json()["data"]["id"] != task["id"]) == (200, True)
    world.now += timedelta(days=1, seconds=1)
    assert create(world, project, "other name", key="l").status_code == 200
    with world.database.transaction() as connection:
        rows = connection.execute(text("SELECT * FROM idempotency_keys")).all()
    assert len(rows) == 1, "older ones are forgotten"
    assert "'k'" not in str(rows)


def test_projects_are_repeated_too(world: RealWorld) -> None:
    place = {"node_selector": {"disk": "ssd"}, "tolerations": [{"operator": "Exists", "effect": "NoExecute"}]}
    body = {"name": "p", "image": "busybox", **place, "pod_annotations": {"team": "data"}}
    key = {"Idempotency-Key": "k"}
    answers = together(6, lambda _: world.call("POST", "/projects", user="root", admin=True, json=body, headers=key))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["data"]["id"] for answer in answers}) == 1
    assert {name: answers[0].json()["data"][name] for name in body} == body
    spec = world.objects.only(PROJECTS)["spec"]
    assert (spec["displayName"], spec["nodeSelector"], spec["podAnnotations"]) == (
        "p",
        {"disk": "ssd"},
        {"team": "data"},
    )


def test_changes_of_different_fields_at_once_all_survive(world: RealWorld) -> None:
    task = create(world, world.make_project(name="p")).json()["data"]
    path = f"/tasks/{task['id']}"
    changes: list[dict[str, Any]] = [
        {"priority": 7},
        {"description": "d"},
        {"retry_count": 3},
        {"timeout_seconds": 77},
        {"args": ["x"]},
        {"env": {"A": "1"}},
    ]
    answers = together(len(changes), lambda n: world.call("PUT", path, json=changes[n]))
    assert [answer.status_code for answer in answers] == [200] * len(changes), [a.text for a in answers]
    read = world.call("GET", path).json()["data"]
    assert (read["priority"], read["description"], read["retry_count"], read["timeout_seconds"]) == (7, "d", 3, 77)
    assert (read["args"], read["env"]) == (["x"], [{"name": "A", "value": "1"}])


def test_of_many_changes_of_one_version_one_wins(world: RealWorld) -> None:
    task = create(world, world.make_project(name="p"))
    path, tag = f"/tasks/{task.json()['data']['id']}", {"If-Match": task.headers["ETag"]}
    codes = [
        a.status_code for a in together(8, lambda n: world.call("PUT", path, json={"priority": n + 1}, headers=tag))
    ]
    assert sorted(codes) == [200] + [412] * 7


def test_a_project_in_use_stays_and_an_unused_one_goes(world: RealWorld) -> None:
    project = world.make_project(name="p")
    root: dict[str, Any] = {"user": "root", "admin": True}
    first = create(world, project).json()["data"]
    create(world, project, "second task")
    refused = world.call("DELETE", f"/projects/{project}", **root)
    assert (refused.status_code, "2" in refused.json()["message"]) == (409, True)
    for item in world.call("GET", "/tasks").json()["items"]:
        world.call("DELETE", f"/tasks/{item['id']}")
    world.objects.fail_next = KubeUnreachable("away")
    assert world.call("DELETE", f"/projects/{project}", **root).status_code == 503
    assert world.call("GET", f"/projects/{project}").status_code == 200
    assert world.call("DELETE", f"/projects/{project}", **root).status_code == 200
    assert world.call("GET", "/projects").json()["total"] == 0
    assert create(world, project).status_code == 400
    assert first["project_id"] == project
    assert world.make_project(name="p") != project, "the name is free again"


def test_deleting_a_project_and_creating_in_it_at_once(world: RealWorld) -> None:
    """Whichever is first, no task is left without its project."""
    root: dict[str, Any] = {"user": "root", "admin": True}
    for number in range(6):
        project = world.make_project(name=f"p{number}")

        def race(n: int, project: int = project, number: int = number) -> int:
            if n == 0:
                return int(world.call("DELETE", f"/projects/{project}", **root).status_code)
            return int(create(world, project, f"task {number}").status_code)

        deleted, created = together(2, race)
        assert (deleted, created) in {(200, 400), (409, 200)}


def test_parameters_are_recorded_by_name(world: RealWorld) -> None:
    task = create(world, world.make_project(name="p")).json()["data"]
    path, key = f"/tasks/{task['id']}/trigger", {"Idempotency-Key": "k"}
    body = {"env": {"TOKEN": "hunter2hunter2", "DAY": "2024-01-01"}}
    answer = world.call("POST", path, json=body, headers=key)
    execution = world.call("GET", answer.headers["Location"].removeprefix("/api/v1/scheduler")).json()["data"]
    assert execution["parameters"] == ["TOKEN", "DAY"]
    assert world.call("POST", path, json=body, headers=key).headers["Location"] == answer.headers["Location"]
    assert world.call("POST", path, json={"env": {"DAY": "2024-01-01"}}, headers=key).status_code == 409
    assert world.call("POST", path, headers=key).status_code == 409
    with world.database.transaction() as connection:
        stored = str(connection.execute(text("SELECT * FROM executions")).all())
    assert "TOKEN" in stored
    assert "hunter2" not in stored


def asked_between(monkeypatch: pytest.MonkeyPatch, ask: Callable[[], int]) -> list[int]:
    """Asks after each step that writes take in the stores from now on, and returns the codes of the answers."""
    codes: list[int] = []
    busy = False

    def then_ask(step: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal busy
            result = step(*args, **kwargs)
            if not busy:  # what is asked takes the same steps
                busy = True
                codes.append(ask())
                busy = False
            return result

        return wrapped

    for store in (TaskStore, ProjectStore):
        for name in ("reserve", "register", "discard"):
            monkeypatch.setattr(store, name, then_ask(getattr(store, name)))
    return codes


class TestRenaming:
    @pytest.fixture
    def task(self, world: RealWorld) -> Any:
        return create(world, world.make_project(name="p"), "old name").json()["data"]

    def test_the_name_of_a_task_is_never_let_go_until_its_row_has_it(
        self, world: RealWorld, task: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        codes = asked_between(monkeypatch, lambda: int(create(world, task["project_id"], "wanted").status_code))
        assert world.call("PUT", f"/tasks/{task['id']}", json={"name": "wanted"}).status_code == 200
        assert len(codes) >= 2
        assert set(codes) == {409}
        assert_whole(world)

    def test_nor_is_that_of_a_project(self, world: RealWorld, monkeypatch: pytest.MonkeyPatch) -> None:
        root: dict[str, Any] = {"user": "root", "admin": True}
        project, wanted = world.make_project(name="p"), {"name": "wanted", "image": "busybox"}
        codes = asked_between(
            monkeypatch, lambda: int(world.call("POST", "/projects", **root, json=wanted).status_code)
        )
        assert world.call("PUT", f"/projects/{project}", **root, json={"name": "wanted"}).status_code == 200
        assert len(codes) >= 2
        assert set(codes) == {409}
        assert_whole(world)

    @pytest.mark.parametrize("done", [True, False])
    def test_a_lost_answer_leaves_the_name_to_the_same_request(
        self, world: RealWorld, task: Any, monkeypatch: pytest.MonkeyPatch, done: bool
    ) -> None:
        patch = world.objects.patch

        async def lost(*args: Any, **kwargs: Any) -> Any:
            if done:
                await patch(*args, **kwargs)
            raise KubeUnreachable("no answer")

        with monkeypatch.context() as patched:
            patched.setattr(world.objects, "patch", lost)
            assert world.call("PUT", f"/tasks/{task['id']}", json={"name": "wanted"}).status_code == 503
        assert create(world, task["project_id"], "wanted").status_code == 409
        again = world.call("PUT", f"/tasks/{task['id']}", json={"name": "wanted"})
        assert (again.status_code, again.json()["data"]["name"]) == (200, "wanted")
        assert create(world, task["project_id"], "wanted").status_code == 409
        assert_whole(world)

    def test_beside_creations_of_the_name_there_is_one_of_it(self, world: RealWorld, task: Any) -> None:
        path = f"/tasks/{task['id']}"
        for number in range(12):
            name = f"wanted {number}"

            def race(n: int, name: str = name) -> int:
                if n == 0:
                    return int(world.call("PUT", path, json={"name": name}).status_code)
                return int(create(world, task["project_id"], name).status_code)

            codes = together(4, race)
            named = [
                body
                for body in world.objects.objects.values()
                if body["spec"]["displayName"] == name and body["metadata"]["name"].startswith("task-")
            ]
            assert len(named) == 1
            assert sorted(codes) == [200, 409, 409, 409]
        assert_whole(world)
