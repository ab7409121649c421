"""`Idempotency-Key` on creations: the same request again is answered with what the first one made."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cronwright_api import messages
from cronwright_api.idempotency import digest, parse_key
from cronwright_core.domain.errors import InvalidInput
from cronwright_core.kube.errors import KubeInvalid, KubeUnreachable
from support.api import World

KEY = {"Idempotency-Key": "5f0c-1"}


def create(world: World, project: int, *, name: str = "nightly copy", user: str = "alice", **fields: Any) -> Any:
    body = {"name": name, "project_id": project, "schedule_type": "CRON", "schedule_config": "0 2 * * *", **fields}
    return world.call("POST", "/tasks", user=user, json=body, headers=KEY)


def test_a_repeat_is_the_same_task_and_makes_nothing(world: World) -> None:
    project = world.make_project()
    first = create(world, project)
    again = create(world, project)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["data"] == again.json()["data"]
    assert first.headers["ETag"] == again.headers["ETag"]
    assert len(world.tasks.rows) == 1


def test_another_body_is_a_conflict_and_another_caller_another_key(world: World) -> None:
    project = world.make_project(members=["alice", "bob"])
    assert create(world, project).status_code == 200
    assert create(world, project, priority=1).status_code == 409
    assert create(world, project, user="bob").status_code == 200
    assert len(world.tasks.rows) == 2


def test_a_repeat_completes_what_broke_off(world: World) -> None:
    project = world.make_project()
    world.objects.lose_next = KubeUnreachable("the answer was lost")
    assert create(world, project).status_code == 503
    (pending,) = world.tasks.pending
    done = create(world, project)
    assert (done.status_code, done.json()["data"]["id"]) == (200, pending)


def test_a_date_that_has_passed_since_does_not_spoil_the_repeat(world: World) -> None:
    project = world.make_project()
    soon = (world.now + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    fields = {"schedule_type": "DATE", "schedule_config": soon}
    first = create(world, project, **fields)
    world.now += timedelta(hours=1)
    assert create(world, project, **fields).json()["data"]["id"] == first.json()["data"]["id"]


def test_after_a_refusal_the_key_is_good_again(world: World) -> None:
    project = world.make_project()
    world.objects.fail_next = KubeInvalid(422, "Invalid", "no", ())
    assert create(world, project).status_code == 400
    assert create(world, project, priority=2).status_code == 200


def test_projects_too(world: World) -> None:
    body = {"name": "etl", "image": "busybox"}

    def post(**fields: Any) -> Any:
        return world.call("POST", "/projects", user="root", admin=True, json=body | fields, headers=KEY)

    assert post().json()["data"]["id"] == post().json()["data"]["id"]
    assert post(image="alpine").status_code == 409
    assert len(world.projects.rows) == 1


@pytest.mark.parametrize("value", ["", "x" * 256, "tab\there", "\xe9", "a\x7f"])
@pytest.mark.parametrize("path", ["/tasks", "/projects", "/tasks/{task}/trigger"])
def test_a_key_that_is_none_is_named(world: World, path: str, value: str) -> None:
    path = path.format(task=world.make_task()["id"])
    response = world.call("POST", path, admin=True, json={}, headers={"Idempotency-Key": value.encode("latin-1")})
    assert response.status_code == 400, response.text
    assert [error["field"] for error in response.json()["errors"]] == ["Idempotency-Key"]


def test_the_digest_knows_values_not_spelling() -> None:
    assert digest("k", {"a": 1, "b": [True]}) == digest("k", {"b": [True], "a": 1})
    assert len({digest("k", {"a": 1}), digest("k", {"a": "1"}), digest("k", {"a": True}), digest("l", {"a": 1})}) == 4


def test_a_body_that_is_nested_too_deep_has_none() -> None:
    tower: Any = 1
    for _ in range(10_000):
        tower = [tower]
    with pytest.raises(InvalidInput) as refused:
        digest("k", {"x": tower})
    assert refused.value.message == messages.MALFORMED_JSON


def test_however_deep_a_body_is_nested_it_is_no_failure_of_ours(world: World) -> None:
    project = world.make_project()
    head = f'{{"name": "deep", "project_id": {project}, "schedule_type": "ONCE", "x": '.encode()
    answers = set()
    for depth in range(900, 1000):  # from where it is read and written to where it is not even read
        answer = world.call(
            "POST",
            "/tasks",
            content=head + b"[" * depth + b"]" * depth + b"}",
            headers={"Content-Type": "application/json", "Idempotency-Key": f"k{depth}"},
        )
        answers.add(answer.status_code)
    assert answers <= {200, 400, 409}
    assert 400 in answers


def test_a_key_is_given_once_and_has_up_to_255_characters() -> None:
    assert parse_key([]) is None
    assert parse_key(["k" * 255]) == "k" * 255
    for lines in (["k" * 256], ["a", "a"], [""]):
        with pytest.raises(InvalidInput) as refused:
            parse_key(lines)
        assert [error.field for error in refused.value.errors] == ["Idempotency-Key"]
