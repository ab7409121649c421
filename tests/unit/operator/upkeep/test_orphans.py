"""What is lost is closed with an honest reason, what may still come is left alone: ends are final."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cronwright_core.domain import naming
from cronwright_core.domain.errors import Message
from cronwright_core.domain.execution import Attempt, Execution, ExecutionKind, ExecutionStatus
from cronwright_core.kube.errors import KubeUnreachable
from cronwright_core.kube.ports import Json
from cronwright_core.kube.resources import JOBS, SCHEDULED_TASKS, Resource
from cronwright_core.store.errors import CursorMoved
from cronwright_core.store.records.executions import UnfinishedExecution
from cronwright_core.store.records.logs import LogAppend, LogCursor
from cronwright_core.store.records.projects import PendingProject
from cronwright_core.store.records.tasks import PendingTask
from cronwright_operator.upkeep.orphans import PATIENCE, Orphans
from support.builders import at
from support.fake_objects import FakeObjects

NOW = at("11:00:00")
OLD = NOW - PATIENCE - timedelta(seconds=1)
ATTEMPT = Attempt(1, "pod", "pod-uid", ExecutionStatus.RUNNING, at("10:00:00"), start_time=at("10:00:05"))
REQUEST = UnfinishedExecution(
    execution_id="exec-1",
    task_id=7,
    task_uid="task-uid",
    namespace="team-a",
    job_name="copy-1",
    job_uid=None,
    kind=ExecutionKind.ADHOC,
    time=at("10:00:00"),
    request_key="key-1",
    status=ExecutionStatus.PENDING,
    created_at=OLD,
)
STARTED = replace(REQUEST, job_uid="job-uid", status=ExecutionStatus.RUNNING)
TICK = replace(STARTED, kind=ExecutionKind.SCHEDULED, request_key="")


class Executions:
    """The rows that are not finished, and what was recorded."""

    def __init__(self) -> None:
        self.rows: list[UnfinishedExecution] = []
        self.recorded: list[Execution] = []

    def unfinished(self) -> list[UnfinishedExecution]:
        return self.rows

    def get(self, execution_id: str, *, owner: str | None) -> Any:
        start = at("10:00:05") if self.row(execution_id).job_uid else None
        return SimpleNamespace(
            admitted_time=start,
            start_time=start,
            exit_code=None,
            task_name="copy",
            owner="alice",
            project_id=3,
            created_at=OLD,
            requested_by="alice",
        )

    def attempts(self, execution_id: str) -> Sequence[Attempt]:
        return [ATTEMPT] if self.row(execution_id).job_uid else []

    def record(self, executions: Sequence[Execution]) -> None:
        self.recorded += executions

    def row(self, execution_id: str) -> UnfinishedExecution:
        return next(row for row in self.rows if row.execution_id == execution_id)


class Logs:
    """How far output is stored: nothing yet, and what is appended."""

    def __init__(self) -> None:
        self.appended: list[LogAppend] = []
        self.moved = False

    def cursors(self, execution_id: str) -> list[LogCursor]:
        return []

    def append(self, batch: Sequence[LogAppend]) -> None:
        if self.moved:
            raise CursorMoved(Message("日志流已被其他写入者更新", "somebody else has written"))
        self.appended += batch


class Reservations:
    """Rows of tasks or projects that were never created."""

    def __init__(self) -> None:
        self.pending: list[Any] = []
        self.discarded: list[int] = []
        self.asked: datetime | None = None
        self.place: tuple[str, str] | None = ("team-a", "copy")

    def stale_pending(self, older_than: datetime) -> list[Any]:
        self.asked = older_than
        return self.pending

    def discard(self, id_: int) -> None:
        self.discarded.append(id_)

    def locate(self, task_uid: str) -> tuple[str, str] | None:
        return self.place


class World:
    """Orphans over fakes."""

    def __init__(self, namespaces: Sequence[str | None] = (None,)) -> None:
        self.api = FakeObjects(NOW, namespaces=["team-a"])
        self.copies: list[Json] = []
        self.executions, self.tasks, self.projects = Executions(), Reservations(), Reservations()
        self.logs = Logs()
        self.known: dict[str, list[Any]] = {"tasks": [], "projects": []}
        cache = SimpleNamespace(tasks=lambda: self.known["tasks"], projects=lambda: self.known["projects"])
        untyped: Callable[..., Orphans] = cast(Any, Orphans)
        self.orphans = untyped(
            self.api,
            cache,
            self.copies,
            self.executions,
            self.logs,
            self.tasks,
            self.projects,
            namespaces,
            now=lambda: NOW,
        )

    def put(self, resource: Resource, name: str, *, uid: str, annotations: dict[str, str] | None = None) -> Json:
        metadata = {"namespace": "team-a", "name": name, "uid": uid, "annotations": annotations}
        body: Json = {"metadata": metadata}
        self.api.objects[resource.plural, "team-a", name] = body
        return body

    def put_task(self, *keys: str, uid: str = "task-uid") -> None:
        self.put(SCHEDULED_TASKS, "copy", uid=uid, annotations={naming.TRIGGER_PREFIX + key: "now" for key in keys})

    def sweep(self, *rows: UnfinishedExecution) -> list[Execution]:
        self.executions.rows = list(rows)
        asyncio.run(self.orphans.sweep())
        return self.executions.recorded


def test_a_request_that_never_reached_the_cluster_is_cancelled() -> None:
    world = World()
    world.put_task()
    (closed,) = world.sweep(REQUEST)
    assert (closed.state.status, closed.state.reason) == (ExecutionStatus.CANCELLED, "RequestLost")
    assert (closed.execution_id, closed.key.request_key, closed.requested_by) == ("exec-1", "key-1", "alice")
    assert (closed.state.start_time, closed.state.end_time) == (None, NOW)


def test_a_request_that_still_stands_on_its_task_is_not_lost() -> None:
    world = World()
    world.put_task("key-0", "key-1")
    assert world.sweep(REQUEST) == []
    world.put_task("key-0")
    assert [closed.execution_id for closed in world.sweep(REQUEST)] == ["exec-1"]


def test_the_request_is_asked_for_before_the_job() -> None:
    """The Job is made, then the request is taken off: asked the other way round, both would seem missing in between."""
    world = World()
    world.put_task("key-1")

    class Launching(FakeObjects):
        """Makes the Job and takes the request off between any two questions."""

        async def get(self, resource: Resource, namespace: str, name: str) -> Json:
            body = await super().get(resource, namespace, name)
            world.put(JOBS, "copy-1", uid="job-uid")
            world.put_task()
            return body

    launching = Launching(NOW)
    launching.objects = world.api.objects
    world.orphans._client = launching
    assert world.sweep(REQUEST) == []
    world = World()
    world.put_task()
    world.sweep(REQUEST)
    assert world.api.calls == [f"get {SCHEDULED_TASKS.plural}/copy", f"get {JOBS.plural}/copy-1"]


@pytest.mark.parametrize("row", [STARTED, TICK])
def test_a_job_that_was_removed_leaves_a_failure_with_what_is_known(row: UnfinishedExecution) -> None:
    (closed,) = World().sweep(row)
    assert (closed.state.status, closed.state.reason) == (ExecutionStatus.FAILED, "JobLost")
    assert (closed.state.start_time, closed.state.end_time) == (at("10:00:05"), NOW)
    (attempt,) = closed.state.attempts
    assert (attempt.status, attempt.reason, attempt.end_time) == (ExecutionStatus.FAILED, "JobLost", NOW)
    assert closed.job_uid == "job-uid"
    assert closed.error_message is not None
    assert closed.error_message.startswith("JobLost: ")


def test_what_is_missing_of_the_output_is_marked_before_the_end_is_told() -> None:
    world = World()

    def nothing_yet(batch: Sequence[LogAppend]) -> None:
        assert world.executions.recorded == []
        world.logs.appended += batch

    world.logs.append = nothing_yet  # type: ignore[method-assign]
    world.sweep(STARTED)
    assert [(mark.stream, mark.from_line, mark.complete) for mark in world.logs.appended] == [
        ("stdout", 0, True),
        ("stderr", 0, True),
    ]


def test_an_execution_whose_output_is_still_written_is_closed_later_and_holds_up_no_other() -> None:
    world = World()
    world.logs.moved = True
    assert world.sweep(STARTED) == []
    world.logs.moved = False
    assert [closed.state.reason for closed in world.sweep(STARTED)] == ["JobLost"]


@pytest.mark.parametrize("row", [REQUEST, STARTED, TICK])
def test_the_api_server_is_believed_not_the_copy(row: UnfinishedExecution) -> None:
    world = World()
    world.put(JOBS, "copy-1", uid="job-uid")
    assert world.sweep(row) == []


@pytest.mark.parametrize("row", [REQUEST, STARTED, TICK])
def test_nothing_is_asked_about_what_is_known_or_not_ours(row: UnfinishedExecution) -> None:
    known = World()
    known.copies.append({"metadata": {"namespace": "team-a", "name": "copy-1"}})
    young = replace(row, created_at=NOW - PATIENCE + timedelta(seconds=1))
    for world, each in ((known, row), (World(), young), (World(["team-b"]), row)):
        assert world.sweep(each) == []
        assert world.api.calls == []


def test_an_api_server_that_is_away_ends_the_look_and_nothing_is_closed() -> None:
    world = World()
    world.api.fail_next = KubeUnreachable("away")
    with pytest.raises(KubeUnreachable):
        world.sweep(STARTED)
    assert world.executions.recorded == []


@pytest.mark.parametrize("case", ["another task of the name", "no task", "no row"])
def test_a_request_whose_task_is_gone(case: str) -> None:
    world = World()
    if case == "another task of the name":
        world.put_task("key-1", uid="another-uid")
    if case == "no row":
        world.put_task("key-1")
        world.tasks.place = None
    (closed,) = world.sweep(REQUEST)
    assert closed.state.reason == "RequestLost"


def test_reservations_of_what_was_never_created_are_dropped() -> None:
    world = World()
    world.known = {
        "tasks": [SimpleNamespace(task_id_label=1), SimpleNamespace(task_id_label=None)],
        "projects": [SimpleNamespace(project_id_label=5)],
    }
    world.tasks.pending = [
        PendingTask(task_id=id_, owner="alice", name=f"t{id_}", project_id=3, created_at=OLD) for id_ in (1, 2)
    ]
    world.projects.pending = [PendingProject(project_id=id_, display_name="p", created_at=OLD) for id_ in (5, 6)]
    world.sweep()
    assert (world.tasks.discarded, world.projects.discarded) == ([2], [6])
    assert world.tasks.asked == world.projects.asked == NOW - PATIENCE
