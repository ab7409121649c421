"""The record of a run that never had a Job: a tick that was skipped, a request that was cancelled or refused. Pure."""

from __future__ import annotations

from datetime import datetime

from cronwright_core.domain import naming
from cronwright_core.domain.execution import Execution, ExecutionKey, ExecutionState
from cronwright_core.domain.project import Project, owner_of
from cronwright_core.domain.task import ScheduledTask


def build_unrun(
    task: ScheduledTask,
    project: Project | None,
    key: ExecutionKey,
    state: ExecutionState,
    now: datetime,
    *,
    job_name: str = "",
    requested_by: str | None = None,
) -> Execution:
    """`state` is final and has reason and message; the task has its id. `job_name` is the name that its Job would have
    had, where a user was told of it."""
    assert task.status.task_id is not None  # noqa: S101 - for the type checker; the callers have looked
    return Execution(
        execution_id=naming.execution_id(task.uid, key.kind, key.time, key.request_key),
        key=key,
        task_id=task.status.task_id,
        task_name=task.spec.display_name,
        owner=owner_of(task, project) or "",
        project_id=project.project_id if project else None,
        namespace=task.namespace,
        job_name=job_name,
        job_uid=None,
        created_time=now,
        state=state,
        requested_by=requested_by,
        error_message=f"{state.reason}: {state.message}",
    )
