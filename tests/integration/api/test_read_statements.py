"""How much the reads ask of the database: one or two statements each, whatever they show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from cronwright_api.app import create_app
from cronwright_api.settings import BASE_PATH
from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.store.prepared import sent_whole
from cronwright_core.store.session import Database
from support.api import make_settings, running
from support.real_world import RealWorld, make_world
from support.written_execution import WrittenExecution

AT_MOST = 2
WITH_VALUES = {
    "/tasks": "?status=SUCCESS&is_active=true&search=task&sort=name",
    "/tasks/{task_id}/executions": "?status=SUCCESS&start_date=2020-01-01&end_date=2099-01-01T10:00:00Z",
    "/executions/{execution_id}/logs/file": "?lines=5&attempt=1",
    "/tasks/{task_id}/next-runs": "?count=3",
}
"""Queries that must not cost a statement more."""


@pytest.fixture
def world(tmp_path: Path, database: Database) -> Iterator[RealWorld]:
    world = make_world(tmp_path / "keys", database)
    with running(create_app(make_settings(), world.open)) as world.client:
        yield world


def test_every_read_is_one_or_two_statements(world: RealWorld) -> None:
    project = world.make_project()
    task = world.make_task(name="a task", project_id=project)
    run = WrittenExecution(world.database)
    run.attempt(1, ExecutionStatus.SUCCESS)
    run.write("hello\n")
    run.end()
    ids = {"task_id": task["id"], "execution_id": run.id, "project_id": project}
    counts: dict[str, int] = {}
    for path, operations in world.client.app.openapi()["paths"].items():
        # A stream is followed for as long as its reader likes, statement by statement.
        if "get" in operations and not path.endswith("/stream"):
            template = path.removeprefix(BASE_PATH)
            for query in {"", WITH_VALUES.get(template, "")}:
                counts[template + query] = statements(world, template.format(**ids) + query)
    assert len(counts) >= len(WITH_VALUES) + 11
    assert {path: count for path, count in counts.items() if not 1 <= count <= AT_MOST} == {}


def statements(world: RealWorld, path: str) -> int:
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    engine = world.database._engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        with sent_whole():
            answer = world.call("GET", path, user="root", admin=True)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert answer.status_code == 200, f"{path}: {answer.text}"
    return len(sent)
