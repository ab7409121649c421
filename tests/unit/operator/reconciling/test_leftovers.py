"""What a task leaves behind that goes without it (`--cascade=orphan`): it ends, and nothing else does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import CronJobFacts, JobFacts
from cronwright_core.kube.errors import KubeNotFound
from cronwright_core.kube.ports import Json, Listing
from cronwright_core.kube.resources import Resource
from cronwright_operator.reconciling.actions import AcceptJob, Action, StopExecution, UpdateCronJob
from cronwright_operator.reconciling.leftovers import PATIENCE, Leftovers
from support.builders import at, make_cronjob, make_job

UID = "7f1c2c8e-0001"


class Desk:
    """`Leftovers` of one task, whose CronJob and Job stand; `tasks` are those of the API server, uid by name."""

    def __init__(self, *, name: str = "nightly-copy") -> None:
        self.now = at("10:00:00")
        self.tasks: dict[str, str] = {}
        self.cronjob: CronJobFacts | None = make_cronjob()
        self.jobs: list[JobFacts] = [make_job(tick=at("10:00:00"))]
        self.ended: list[type[Action]] = []
        self.again: list[float] = []
        labels = {naming.TASK_NAME_LABEL: name}
        copy: Any = SimpleNamespace(get=lambda _: {"metadata": {"namespace": "team-a", "labels": labels}})
        server: Any = self
        self._leftovers = Leftovers(
            client=server,
            lists=server,
            jobs=copy,
            cronjobs=copy,
            jobs_of=lambda _: self.jobs,
            cronjob_of=lambda _: self.cronjob,
            end=self._end,
            look_again_after=lambda _, seconds: self.again.append(seconds),
            now=lambda: self.now,
        )

    async def get(self, resource: Resource, namespace: str, name: str) -> Json:
        if name not in self.tasks:
            raise KubeNotFound(404, "NotFound", f"{name} not found")
        return {"metadata": {"uid": self.tasks[name]}}

    async def list(self, resource: Resource, namespace: str) -> Listing:
        return Listing([{"metadata": {"uid": uid}} for uid in self.tasks.values()], "1")

    async def _end(self, actions: Iterable[Action]) -> None:
        self.ended += [type(action) for action in actions]

    def look(self) -> list[type[Action]]:
        self.ended = []
        asyncio.run(self._leftovers.sync(UID))
        return self.ended

    def look_later(self) -> list[type[Action]]:
        """Once garbage collection has had its time."""
        assert self.look() == []
        self.now += PATIENCE
        return self.look()


def test_the_cronjob_is_suspended_and_what_runs_is_recorded_and_ended() -> None:
    desk = Desk()
    assert desk.look_later() == [UpdateCronJob, AcceptJob, StopExecution]
    assert desk.again == [PATIENCE.total_seconds()]


def test_garbage_collection_has_its_time() -> None:
    desk = Desk()
    assert desk.look() == []
    desk.cronjob, desk.jobs = None, []
    desk.now += PATIENCE
    assert desk.look() == []
    # Another one of the uid's is new.
    desk.cronjob = make_cronjob()
    assert desk.look() == []


def test_a_job_alone_is_ended_as_well() -> None:
    desk = Desk()
    desk.cronjob = None
    desk.jobs = [make_job(tick=at("10:00:00"), has_finalizer=True, suspended=True)]
    assert desk.look_later() == [StopExecution]


@pytest.mark.parametrize("name", ["nightly-copy", "n" * 63, ""], ids=["its name", "a name that was cut", "no name"])
def test_nothing_ends_of_a_task_that_stands(name: str) -> None:
    desk = Desk(name=name)
    desk.tasks = {"nightly-copy": UID, "beside-it": "another"}
    assert desk.look_later() == []
    desk.tasks = {"nightly-copy": "another of that name"}
    desk.now += timedelta(seconds=1)
    assert desk.look() == [UpdateCronJob, AcceptJob, StopExecution]


def test_a_job_that_is_no_run_of_it_is_left_alone() -> None:
    desk = Desk()
    desk.cronjob, desk.jobs = None, [make_job(tick=None, request_key=None)]
    assert desk.look_later() == []


def test_what_has_come_to_its_end_is_left_alone() -> None:
    desk = Desk()
    desk.cronjob = make_cronjob(suspend=True)
    desk.jobs = [make_job(tick=at("10:00:00"), has_finalizer=True, complete_time=at("10:00:05"))]
    assert desk.look_later() == []
    assert desk.again == []
