"""Names and searches: the length is judged before Unicode is composed, whose cost grows with its square."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest

from cronwright_core.kube.resources import SCHEDULED_TASKS
from support.api import World

MARKS = "a" + "\u0301" * 250_000 + "\u0323" * 250_000
FOUR_IN_ONE = "\u03b1\u0313\u0300\u0345"


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the texts that were composed; the long ones are not really."""
    normalize, lengths = unicodedata.normalize, []

    def note(form: Any, text: str) -> str:
        lengths.append(len(text))
        return normalize(form, text) if len(text) < 1000 else text

    monkeypatch.setattr(unicodedata, "normalize", note)
    return lengths


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/tasks"), ("PUT", "/tasks/1"), ("POST", "/projects"), ("PUT", "/projects/1")]
)
def test_a_tower_of_marks_is_refused_as_any_long_name(
    world: World, composed: list[int], method: str, path: str
) -> None:
    good = world.make_task() if "tasks" in path else {"image": "busybox"}
    world.make_project()
    refused, plain = (
        world.call(method, path, user="root", admin=True, json=good | {"name": name}).json()
        for name in (MARKS, "x" * 101)
    )
    assert (refused["code"], refused["errors"]) == (400, plain["errors"])
    assert [error["field"] for error in refused["errors"]] == ["name"]
    assert max(composed) <= 400


def test_so_is_a_search(world: World, composed: list[int]) -> None:
    marks = MARKS[245_000:255_000]  # about what fits into an address
    refused, plain = (world.call("GET", "/tasks", params={"search": text}).json() for text in (marks, "x" * 101))
    assert (refused["code"], refused["errors"]) == (400, plain["errors"])
    assert max(composed, default=0) <= 400


def test_the_longest_names_are_accepted_in_parts(world: World) -> None:
    project = world.call("POST", "/projects", user="root", admin=True, json={"name": FOUR_IN_ONE * 100, "image": "x"})
    assert project.json()["data"]["name"] == "\u1f82" * 100
    assert world.make_task(name=FOUR_IN_ONE * 50)["name"] == "\u1f82" * 50
    assert world.call("GET", "/tasks", params={"search": FOUR_IN_ONE * 100}).status_code == 200


@pytest.mark.parametrize("name", ["cafe\u0301 job", "café job"])
def test_what_was_read_of_a_decomposed_name_may_be_sent_back(world: World, name: str) -> None:
    """kubectl's text stays as it was applied: to name it in another spelling is no edit."""
    task = world.make_task(name="café job")
    applied = world.objects.only(SCHEDULED_TASKS)
    applied["spec"]["displayName"] = "cafe\u0301 job"
    sent = world.call("PUT", "/tasks/1", json={"name": name})
    assert (sent.status_code, sent.json()["data"]) == (200, task)
    assert world.objects.only(SCHEDULED_TASKS)["metadata"]["generation"] == 1
    assert world.call("PUT", "/tasks/1", json={"priority": 1}).json()["data"]["name"] == "café job"
