"""Whose an execution is, by PostgreSQL and the API server: also of a task that was deleted before it had a row."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cronwright_core.domain.cluster import JobFacts
from cronwright_core.kube.resources import SCHEDULED_TASKS
from cronwright_core.store.records.tasks import TaskIdentity
from cronwright_core.store.session import Database
from cronwright_core.store.tasks import TaskStore
from cronwright_operator.cache import DefinitionCache
from cronwright_operator.recording.identity import Identities, NotRegistered
from support.builders import make_job
from support.fake_objects import FakeObjects
from support.store_rows import add_project, make_projection

NOW = datetime.now(UTC).replace(microsecond=0)
UID = "uid-nightly"
JOB = make_job(namespace="team", task_uid=UID, task_name="nightly-backup", project="data")
SPEC = {"projectName": "data", "scheduleType": "Once", "displayName": "夜间备份", "image": "x"}


def _body(kind: str, uid: str, name: str, spec: dict[str, Any], **status: Any) -> dict[str, Any]:
    metadata = {"namespace": "team", "name": name, "uid": uid, "generation": 1, "resourceVersion": "5"}
    times = {"creationTimestamp": "2026-03-02T10:00:00Z"}
    return {"kind": kind, "metadata": metadata | times, "spec": spec, "status": status}


class World:
    """A Project that is known, and a task that comes and goes."""

    def __init__(self, database: Database) -> None:
        self.tasks = TaskStore(database)
        self.project_id = add_project(database)
        self.cache = DefinitionCache(lambda *_: None, lambda _: None)
        self.objects = FakeObjects(NOW, namespaces=["team"])
        self.put_project(projectId=self.project_id)

    def put_project(self, version: str = "5", **status: Any) -> None:
        body = _body("Project", "uid-data", "data", {"owner": "alice", "image": "x"}, **status)
        body["metadata"]["resourceVersion"] = version
        self.cache.put_project(body)

    def make_task(self, **spec: Any) -> None:
        body = _body("ScheduledTask", UID, "nightly-backup", {**SPEC, **spec})
        self.cache.put_task(body)
        self.objects.objects[SCHEDULED_TASKS.plural, "team", "nightly-backup"] = body

    def delete_task(self) -> None:
        del self.objects.objects[SCHEDULED_TASKS.plural, "team", "nightly-backup"]
        self.cache.remove_task(UID)

    def restart(self) -> None:
        self.cache = DefinitionCache(lambda *_: None, lambda _: None)
        self.put_project(projectId=self.project_id)

    def identity(self, job: JobFacts = JOB) -> TaskIdentity:
        return asyncio.run(Identities(self.cache, self.tasks, self.objects, lambda: NOW).of(job))


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


@pytest.mark.parametrize(("owner", "owned_by"), [({}, "alice"), ({"owner": "bob"}, "bob")])
def test_a_task_that_went_before_it_had_a_row_gets_a_deleted_one(
    world: World, owner: dict[str, str], owned_by: str
) -> None:
    world.make_task(**owner)
    with pytest.raises(NotRegistered):
        world.identity()  # it lives, and will have its row as PostgreSQL answers
    world.delete_task()
    identity = world.identity()
    assert (identity.name, identity.owner, identity.project_id) == ("夜间备份", owned_by, world.project_id)
    assert world.tasks.live() == [], "it is nobody's task any more"
    assert world.identity() == identity == world.tasks.find_by_uid(UID)


def test_after_a_restart_what_its_job_says_must_do(world: World) -> None:
    world.make_task(owner="bob")
    world.delete_task()
    world.restart()
    identity = world.identity()
    assert (identity.name, identity.owner, identity.project_id) == ("nightly-backup", "", world.project_id)


def test_a_task_that_lives_gets_no_deleted_row_because_we_have_not_seen_it(world: World) -> None:
    world.make_task()
    world.restart()
    with pytest.raises(NotRegistered):
        world.identity()
    assert world.tasks.find_by_uid(UID) is None
    world.objects.objects[SCHEDULED_TASKS.plural, "team", "nightly-backup"]["metadata"]["uid"] = "its namesake"
    with pytest.raises(NotRegistered):
        world.identity(replace(JOB, task_name=""))  # without its label the API server cannot be asked
    assert world.identity().name == "nightly-backup"


def test_it_waits_for_its_project_to_have_an_id(world: World) -> None:
    world.restart()
    world.cache.remove_project("uid-data")
    body = _body("Project", "uid-anew", "data", {"owner": "alice", "image": "x"})
    world.cache.put_project(body)
    world.make_task()
    world.delete_task()
    with pytest.raises(NotRegistered):
        world.identity()
    body["metadata"]["resourceVersion"] = "6"
    world.cache.put_project({**body, "status": {"projectId": world.project_id}})
    assert world.identity().project_id == world.project_id


def test_a_row_that_is_there_stays_as_it_is_and_its_name_is_nobody_elses_matter(world: World) -> None:
    of_another = make_projection("夜间备份", uid="uid-another", project_id=world.project_id)
    living = world.tasks.register(of_another, NOW)
    world.make_task()
    world.delete_task()
    identity = world.identity()
    assert identity.task_id != living
    assert [row.task_id for row in world.tasks.live()] == [living], "who has the name keeps it"
    mine = make_projection("another name", uid=UID, project_id=world.project_id)
    world.tasks.register_deleted(mine, NOW + timedelta(seconds=1))
    assert world.tasks.find_by_uid(UID) == identity
