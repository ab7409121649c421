"""The two lists as JSON, written straight from the store's tuples.

A page of checked models costs more than all else of its request. So `PageOf[TaskItem]` and `PageOf[ExecutionItem]`
only describe these answers, in the OpenAPI document; tests hold each answer against them, field by field.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from fastapi import Response
from pydantic_core import to_json

from cronwright_core.domain import naming
from cronwright_core.domain.times import to_rfc3339
from cronwright_core.store.listed import ListedExecution, ListedTask
from cronwright_core.store.records.executions import duration_seconds
from cronwright_core.store.records.pages import Page

Item = TypeVar("Item")


def task_page(page: Page[ListedTask]) -> Response:
    """Endpoint 2's answer: `PageOf[TaskItem]`."""
    return _page(page, _task)


def execution_page(page: Page[ListedExecution]) -> Response:
    """Endpoint 9's answer: `PageOf[ExecutionItem]`."""
    return _page(page, _execution)


def _page(page: Page[Item], show: Callable[[Item], dict[str, Any]]) -> Response:
    body = {"total": page.total, "page": page.page, "size": page.size, "items": [show(item) for item in page.items]}
    return Response(to_json(body), media_type="application/json")


def _task(task: ListedTask) -> dict[str, Any]:
    return {
        "id": task.task_id,
        "name": task.name,
        "description": task.description,
        "project_id": task.project_id,
        "schedule_type": task.schedule_type,
        "schedule_config": task.schedule,
        "is_active": task.is_active,
        "status": task.status,
        "next_run_time": _instant(task.next_run_time),
        "last_execution": _last_execution(task),
        "created_at": to_rfc3339(task.created_at),
        "updated_at": to_rfc3339(task.updated_at),
        "owner": task.owner,
        "time_zone": task.time_zone,
    }


def _last_execution(task: ListedTask) -> dict[str, Any] | None:
    if task.last_execution_id is None:
        return None
    return {
        "execution_id": task.last_execution_id,
        "status": task.last_status,
        "start_time": _instant(task.last_start_time),
        "duration_seconds": duration_seconds(task.last_start_time, task.last_end_time),
    }


def _execution(execution: ListedExecution) -> dict[str, Any]:
    return {
        "execution_id": execution.execution_id,
        "task_id": execution.task_id,
        "status": execution.status,
        "start_time": _instant(execution.start_time),
        "end_time": _instant(execution.end_time),
        "duration_seconds": execution.duration_seconds,
        "exit_code": execution.exit_code,
        "output_summary": execution.output_summary,
        "error_message": execution.error_message,
        "log_file_path": naming.log_path(execution.execution_id, "output"),
        "error_log_path": naming.log_path(execution.execution_id, "error"),
        "created_at": to_rfc3339(execution.created_at),
        "kind": execution.kind,
        "scheduled_time": _instant(execution.scheduled_time),
        "requested_by": execution.requested_by,
        "reason": execution.reason,
    }


def _instant(time: datetime | None) -> str | None:
    return None if time is None else to_rfc3339(time)
