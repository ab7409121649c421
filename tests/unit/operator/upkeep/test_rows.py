"""Rows without a resource and resources without a row are looked at again; nothing else is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cronwright_core.kube.errors import KubeUnreachable
from cronwright_core.kube.resources import PROJECTS, SCHEDULED_TASKS
from cronwright_core.store.records.projects import LiveProject
from cronwright_core.store.records.tasks import LiveTask
from cronwright_operator.upkeep.rows import RowReconciliation
from cronwright_operator.watched import is_watched
from support.builders import at
from support.fake_objects import FakeObjects

TASK = LiveTask(cr_uid="task-uid", namespace="team-a", cr_name="copy", task_id=1)
PROJECT = LiveProject(cr_uid="project-uid", namespace="team-a", cr_name="data", project_id=3)


class World:
    """The comparison over fakes: `rows` of the store, uids that the cache `knows`, and what the API server holds."""

    def __init__(self, namespaces: Sequence[str | None] = (None,)) -> None:
        self.api = FakeObjects(at("11:00:00"))
        self.rows: dict[str, list[Any]] = {"task": [TASK], "project": [PROJECT]}
        self.known: dict[str, list[str]] = {"task": [], "project": []}
        self.looked: list[tuple[str, str]] = []
        self.forgotten: list[str] = []
        cache = SimpleNamespace(
            task=lambda uid: uid if uid in self.known["task"] else None,
            project_by_uid=lambda uid: uid if uid in self.known["project"] else None,
            tasks=lambda: [SimpleNamespace(uid=uid) for uid in self.known["task"]],
            projects=lambda: [SimpleNamespace(uid=uid) for uid in self.known["project"]],
        )
        untyped: Callable[..., RowReconciliation] = cast(Any, RowReconciliation)
        self.reconciliation = untyped(
            self.api,
            cache,
            SimpleNamespace(forget=self.forgotten.append),
            SimpleNamespace(live=lambda: self.rows["task"]),
            SimpleNamespace(live=lambda: self.rows["project"]),
            namespaces,
            look=self.looked.append,
        )

    def hold(self, *, task_uid: str = "task-uid", project_uid: str = "project-uid") -> None:
        for resource, name, uid in ((SCHEDULED_TASKS, "copy", task_uid), (PROJECTS, "data", project_uid)):
            self.api.objects[resource.plural, "team-a", name] = {"metadata": {"name": name, "uid": uid}}

    def sweep(self) -> list[tuple[str, str]]:
        asyncio.run(self.reconciliation.sweep())
        return self.looked


def test_a_row_whose_resource_is_gone() -> None:
    assert World().sweep() == [("project", "project-uid"), ("task", "task-uid")], "projects first: tasks name them"


def test_a_row_whose_name_another_resource_has() -> None:
    world = World()
    world.hold(task_uid="another", project_uid="another")
    assert world.sweep() == [("project", "project-uid"), ("task", "task-uid")]


def test_a_resource_that_the_cache_does_not_know_yet_is_not_gone() -> None:
    world = World()
    world.hold()
    assert world.sweep() == []
    assert len(world.api.calls) == 2


def test_what_the_cache_knows_is_not_asked_for() -> None:
    world = World()
    world.known = {"task": ["task-uid"], "project": ["project-uid"]}
    assert world.sweep() == []
    assert world.api.calls == []


def test_namespaces_that_are_not_watched_are_not_judged() -> None:
    world = World(["team-b"])
    assert world.sweep() == []
    assert world.api.calls == []


def test_resources_without_a_row_are_registered_anew() -> None:
    world = World()
    world.rows = {"task": [], "project": []}
    world.known = {"task": ["task-uid"], "project": ["project-uid"]}
    assert world.sweep() == [("project", "project-uid"), ("task", "task-uid")]
    assert world.forgotten == ["project-uid", "task-uid"]


def test_an_api_server_that_is_away_judges_nothing() -> None:
    world = World()
    world.api.fail_next = KubeUnreachable("away")
    with pytest.raises(KubeUnreachable):
        world.sweep()
    assert world.looked == []


@pytest.mark.parametrize(
    ("namespaces", "watched"),
    [((None,), True), (("a", "team-a"), True), (("a",), False), ((), False)],
)
def test_is_watched(namespaces: tuple[str | None, ...], watched: bool) -> None:
    assert is_watched(namespaces, "team-a") is watched
