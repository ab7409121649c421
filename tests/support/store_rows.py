"""Builders of what goes into the stores: a sensible value for everything, and the tests name what matters to them."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

from cronwright_core.domain import naming
from cronwright_core.domain.execution import (
    Attempt,
    Execution,
    ExecutionKey,
    ExecutionKind,
    ExecutionState,
    ExecutionStatus,
)
from cronwright_core.domain.project import ContainerTemplate, ProjectSpec
from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.domain.task import TaskSpec
from cronwright_core.store.projects import ProjectStore
from cronwright_core.store.records.logs import LogAppend
from cronwright_core.store.records.projects import ProjectProjection
from cronwright_core.store.records.tasks import TaskDraft, TaskProjection
from cronwright_core.store.session import Database
from cronwright_core.store.tasks import TaskStore

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
"""The instant at which tests of the store take place."""


def later(seconds: float) -> datetime:
    """NOW and some seconds."""
    return NOW + timedelta(seconds=seconds)


def make_spec(name: str = "nightly backup", **fields: Any) -> TaskSpec:
    """A CRON task's spec."""
    values: dict[str, Any] = {
        "display_name": name,
        "project_name": "project-1",
        "schedule_type": ScheduleType.CRON,
        "schedule": "0 2 * * *",
    }
    return TaskSpec(**{**values, **fields})


def make_project_spec(name: str = "data", **fields: Any) -> ProjectSpec:
    """A Project's spec, owned by alice."""
    values: dict[str, Any] = {
        "display_name": name,
        "container": ContainerTemplate(image="busybox:1.36"),
        "owner": "alice",
    }
    return ProjectSpec(**{**values, **fields})


def add_project(database: Database, name: str = "data", **fields: Any) -> int:
    """An active project; returns its id."""
    projection = ProjectProjection(
        cr_uid=f"uid-project-{name}",
        namespace="team",
        cr_name=f"project-{name}",
        generation=1,
        creation_time=NOW,
        spec=make_project_spec(name, **fields),
    )
    return ProjectStore(database).register(projection, NOW)


def make_draft(project_id: int, name: str = "nightly backup", *, owner: str = "alice", **fields: Any) -> TaskDraft:
    """A task about to be created."""
    return TaskDraft(owner=owner, project_id=project_id, spec=make_spec(name, **fields))


def make_projection(
    name: str = "nightly backup",
    *,
    uid: str | None = None,
    owner: str | None = "alice",
    project_id: int | None = None,
    generation: int = 1,
    task_id: int | None = None,
    labelled_task_id: int | None = None,
    creation_time: datetime = NOW,
    **fields: Any,
) -> TaskProjection:
    """A ScheduledTask as the operator sees it."""
    return TaskProjection(
        cr_uid=uid or f"uid-{owner}-{name}",
        namespace="team",
        cr_name=name.replace(" ", "-"),
        generation=generation,
        creation_time=creation_time,
        owner=owner,
        project_id=project_id,
        spec=make_spec(name, **fields),
        task_id=task_id,
        labelled_task_id=labelled_task_id,
    )


def add_task(database: Database, name: str = "nightly backup", **fields: Any) -> int:
    """An active task; returns its id."""
    return TaskStore(database).register(make_projection(name, **fields), NOW)


def make_execution(
    task_id: int,
    time: datetime = NOW,
    status: ExecutionStatus = ExecutionStatus.SUCCESS,
    *,
    request_key: str = "",
    seconds: float | None = 45,
    attempts: tuple[Attempt, ...] = (),
    reason: str | None = None,
    exit_code: int | None = None,
    **fields: Any,
) -> Execution:
    """An execution of a task: PENDING ones have no start, ended ones took `seconds` (None: never started)."""
    task_uid = f"uid-{task_id}"
    kind = ExecutionKind.ADHOC if request_key else ExecutionKind.SCHEDULED
    start = time if status is not ExecutionStatus.PENDING and seconds is not None else None
    end = (time + timedelta(seconds=seconds or 0)) if status.ended else None
    execution = Execution(
        execution_id=naming.execution_id(task_uid, kind.value, time, request_key),
        key=ExecutionKey(task_uid, kind, time, request_key),
        task_id=task_id,
        task_name="nightly backup",
        owner="alice",
        project_id=None,
        namespace="team",
        job_name=f"job-{int(time.timestamp())}",
        job_uid=None,
        created_time=time,
        state=ExecutionState(
            status=status,
            admitted_time=start,
            start_time=start,
            end_time=end,
            exit_code=exit_code,
            reason=reason,
            attempts=attempts,
        ),
    )
    return dataclasses.replace(execution, **fields)


def make_attempt(number: int, uid: str, status: ExecutionStatus = ExecutionStatus.FAILED, **fields: Any) -> Attempt:
    """One Pod."""
    return Attempt(number=number, pod_name=f"pod-{uid}", pod_uid=uid, status=status, created_time=NOW, **fields)


def make_append(execution_id: str, lines: bytes, time: datetime = NOW, **fields: Any) -> LogAppend:
    """Whole lines of an execution of that time: the first ones of stdout, if nothing else is said."""
    values: dict[str, Any] = {
        "attempt": 1,
        "stream": "stdout",
        "from_line": 0,
        "line_count": lines.count(b"\n"),
        "at": time,
    }
    return LogAppend(execution_id=execution_id, execution_time=time, lines=lines, **{**values, **fields})
