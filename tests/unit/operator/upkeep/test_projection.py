"""What a starting operator takes over from the rows, and what it registers anew."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest

from cronwright_core.domain.errors import Message, Unavailable
from cronwright_core.domain.project import Project
from cronwright_core.domain.task import ScheduledTask, TaskStatus
from cronwright_core.store.records.tasks import ProjectedTask
from cronwright_operator.upkeep.projection import Projector
from support.builders import CREATED, at, make_project, make_task


class Cache:
    """One task and its Project."""

    def __init__(self, task: ScheduledTask, project: Project | None) -> None:
        self._task = task
        self._project = project

    def put(self, task: ScheduledTask) -> None:
        self._task = task

    def task(self, uid: str) -> ScheduledTask | None:
        return self._task if uid == self._task.uid else None

    def project(self, namespace: str, name: str) -> Project | None:
        return self._project


class Rows:
    """The store: the rows it has, and what was written to it."""

    def __init__(self, *rows: ProjectedTask, away: bool = False) -> None:
        self._rows = list(rows)
        self._away = away
        self.writes: list[str] = []

    def projected(self) -> list[ProjectedTask]:
        if self._away:
            raise Unavailable(Message("", "PostgreSQL does not answer"))
        return self._rows

    def register(self, projection: Any, now: object) -> int:
        self.writes.append(f"register {projection.cr_uid}")
        return 1

    def set_observed(self, uid: str, **observed: object) -> None:
        self.writes.append(f"observe {uid}")


TASK = make_task(status=TaskStatus(task_id=1, next_schedule_time=at("10:00:00"), observed_generation=1))
ROW = ProjectedTask(
    cr_uid=TASK.uid,
    task_id=1,
    generation=1,
    owner="alice",
    project_id=3,
    next_run_time=at("10:00:00"),
    ready=None,
    reason=None,
    message=None,
    completed=False,
)


def sync(rows: Rows, task: ScheduledTask = TASK, project: Project | None = None) -> tuple[Projector, list[str]]:
    """A start with these rows, and then the first look at the task; with the uids that were woken by it."""
    woken: list[str] = []
    cache = cast(Any, Cache(task, project or make_project()))
    projector = Projector(
        cache, cast(Any, rows), cast(Any, None), cast(Any, None), registered=woken.append, now=lambda: CREATED
    )

    async def run() -> None:
        await projector.load(5)
        await projector.sync_task(task.uid)

    asyncio.run(run())
    return projector, woken


def test_a_row_that_is_as_the_resource_says_costs_no_write_and_no_second_look() -> None:
    rows = Rows(ROW)
    projector, woken = sync(rows)
    assert rows.writes == []
    assert woken == []
    assert projector.registration(TASK.uid).task_id == 1


@pytest.mark.parametrize(
    "row",
    [
        replace(ROW, generation=0),
        replace(ROW, owner="bob"),
        replace(ROW, project_id=None),
        replace(ROW, task_id=2),
        replace(ROW, cr_uid="another"),
    ],
    ids=["an older generation", "another owner", "no project", "another id", "another task"],
)
def test_a_row_that_says_something_else_is_registered_anew(row: ProjectedTask) -> None:
    rows = Rows(row)
    projector, woken = sync(rows)
    assert rows.writes == [f"register {TASK.uid}", f"observe {TASK.uid}"]
    assert woken == [TASK.uid]
    assert projector.registration(TASK.uid).task_id == 1


def test_what_was_observed_since_is_written() -> None:
    rows = Rows(replace(ROW, next_run_time=at("09:00:00")))
    sync(rows)
    assert rows.writes == [f"observe {TASK.uid}"]


def test_without_postgresql_the_start_goes_on() -> None:
    rows = Rows(away=True)
    sync(rows)
    assert rows.writes[0] == f"register {TASK.uid}"


def test_a_new_generation_is_observed_though_nothing_came_of_it() -> None:
    """Paused and resumed by REST between two looks: the row has the API's next run, the grid has stayed as it was."""
    cache, rows = Cache(TASK, make_project()), Rows(ROW)
    projector = Projector(
        cast(Any, cache),
        cast(Any, rows),
        cast(Any, None),
        cast(Any, None),
        registered=lambda _: None,
        now=lambda: CREATED,
    )

    async def run() -> None:
        await projector.load(5)
        cache.put(replace(TASK, generation=3, status=replace(TASK.status, observed_generation=3)))
        for _ in range(2):
            await projector.sync_task(TASK.uid)

    asyncio.run(run())
    assert rows.writes == [f"register {TASK.uid}", f"observe {TASK.uid}"]
