"""What the cluster's admission refuses, in the words and codes of the REST API."""

from __future__ import annotations

from typing import Any

import pytest

from cronwright_core.kube.errors import KubeError, error_for
from support.api import World

OVERRIDES = (
    "ValidatingAdmissionPolicy 'cronwright-overrides' with binding 'cronwright-overrides' denied request:"
    " spec.overrides.image: the project 'p' does not allow tasks to change image"
)
WEBHOOK = 'admission webhook "names.example.com" denied the request: names begin with the team'
QUOTA = "exceeded quota: tasks, requested: count/x=1, used: count/x=5, limited: count/x=5"
RIGHT = 'User "system:serviceaccount:cronwright:api" cannot create resource "scheduledtasks"'


def refusal(words: str, status: int = 403) -> KubeError:
    """As the API server words it; a policy without `reason` answers 422, a webhook without `code` 400."""
    reason = {400: "BadRequest", 403: "Forbidden", 422: "Invalid"}[status]
    text = f'scheduledtasks.cronwright.dev "task-1" is forbidden: {words}'
    details = {"causes": [{"message": words.rpartition("denied request: ")[2]}]} if status == 422 else {}
    return error_for(status, {"kind": "Status", "reason": reason, "message": text, "details": details})


def writes(world: World) -> dict[str, tuple[str, str, dict[str, Any] | None]]:
    """One request for each way of writing to the cluster."""
    task = world.make_task(project_id=world.make_project(allow_overrides=True))
    path = f"/tasks/{task['id']}"
    new = {"name": "another", "project_id": task["project_id"], "schedule_type": "ONCE", "image": "x"}
    return {
        "create": ("POST", "/tasks", new),
        "change": ("PUT", path, {"image": "x"}),
        "pause": ("POST", f"{path}/pause", None),
        "trigger": ("POST", f"{path}/trigger", None),
        "delete": ("DELETE", path, None),
        "change project": ("PUT", f"/projects/{task['project_id']}", {"image": "x"}),
        "create project": ("POST", "/projects", {"name": "project", "image": "x", "namespace": "default"}),
    }


def refuse(
    world: World, write: str, words: str, monkeypatch: pytest.MonkeyPatch, *, status: int = 403, **headers: str
) -> Any:
    method, path, body = writes(world)[write]

    async def refused(*_: Any, **__: Any) -> Any:
        raise refusal(words, status)

    for verb in ("create", "patch", "delete"):
        monkeypatch.setattr(world.objects, verb, refused)
    return world.call(method, path, user="alice", admin=True, headers=headers, **({"json": body} if body else {}))


WRITES = ["create", "change", "pause", "trigger", "delete", "change project", "create project"]


@pytest.mark.parametrize("status", [400, 403, 422])
@pytest.mark.parametrize("write", WRITES)
def test_a_policy_is_a_400_on_its_field(world: World, write: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = refuse(world, write, OVERRIDES, monkeypatch, status=status)
    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        {"field": "image", "message": "值无效：the project 'p' does not allow tasks to change image"}
    ]
    assert "ValidatingAdmissionPolicy" not in answer.text
    assert world.tasks.pending == {}
    assert world.projects.pending == {}


@pytest.mark.parametrize("status", [400, 403])
def test_a_policy_without_a_field_is_a_400_in_its_words(
    world: World, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = refuse(world, "create", WEBHOOK, monkeypatch, status=status)
    assert (answer.status_code, answer.json()["errors"]) == (400, [])
    assert answer.json()["message"] == "集群的准入策略拒绝了该请求：names begin with the team"
    assert "example.com" not in answer.text


@pytest.mark.parametrize("write", WRITES)
def test_a_quota_is_a_409_without_its_figures(world: World, write: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = refuse(world, write, QUOTA, monkeypatch, **{"Accept-Language": "en"})
    assert answer.status_code == 409
    assert "quota of the cluster is used up" in answer.json()["message"]
    assert "count/x" not in answer.text


@pytest.mark.parametrize("write", WRITES)
def test_a_right_that_we_lack_stays_a_500(world: World, write: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = refuse(world, write, RIGHT, monkeypatch)
    assert answer.status_code == 500
    assert "serviceaccount" not in answer.text
