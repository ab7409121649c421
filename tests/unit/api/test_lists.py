"""The lists are written without models; here the models that describe them judge what is written."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from itertools import product
from typing import Any

import pytest
from pydantic import BaseModel

from cronwright_api.envelope import PageOf
from cronwright_api.schemas.executions import ExecutionItem
from cronwright_api.schemas.lists import execution_page, task_page
from cronwright_api.schemas.tasks import LastExecutionOut, TaskItem
from cronwright_core.domain.execution import ExecutionKind, ExecutionStatus
from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.store.listed import ListedExecution, ListedTask
from cronwright_core.store.records.pages import Page

NOON = datetime(2026, 3, 4, 12, 0, 0, 999_999, tzinfo=UTC)
SHANGHAI = timezone(timedelta(hours=8))


def make_listed_task(**fields: Any) -> ListedTask:
    values: dict[str, Any] = {
        "task_id": 1,
        "name": '数据 "同步" \\ \U0001f600\u2028',
        "description": None,
        "project_id": None,
        "schedule_type": "CRON",
        "schedule": "0 */2 * * *",
        "is_active": True,
        "status": "PENDING",
        "next_run_time": None,
        "created_at": NOON,
        "updated_at": NOON.astimezone(SHANGHAI),
        "owner": "alice",
        "time_zone": "UTC",
        "last_execution_id": None,
        "last_status": None,
        "last_start_time": None,
        "last_end_time": None,
    }
    return ListedTask(**{**values, **fields})


def make_listed_execution(**fields: Any) -> ListedExecution:
    values: dict[str, Any] = {
        "execution_id": "exec-20240101020000-0123456789abcdef",
        "task_id": 1,
        "status": "SUCCESS",
        "start_time": NOON,
        "end_time": NOON + timedelta(seconds=44.6),
        "exit_code": 0,
        "output_summary": "处理了1000条记录",
        "error_message": None,
        "created_at": NOON,
        "kind": "Scheduled",
        "scheduled_time": NOON.astimezone(SHANGHAI),
        "requested_by": None,
        "reason": None,
        "time": NOON,
    }
    return ListedExecution(**{**values, **fields})


TASKS = [
    make_listed_task(
        schedule_type=kind.value, status=status.value, is_active=active, description="d" if active else None
    )
    for kind, status, active in product(ScheduleType, ExecutionStatus, (True, False))
] + [
    make_listed_task(
        project_id=2**63 - 1,
        next_run_time=NOON,
        last_execution_id="exec-1",
        last_status=status.value,
        last_start_time=start,
        last_end_time=end,
    )
    for status, (start, end) in product(
        ExecutionStatus, [(None, None), (NOON, None), (NOON, NOON + timedelta(seconds=45))]
    )
]
EXECUTIONS = [
    make_listed_execution(
        status=status.value,
        kind=kind.value,
        start_time=start,
        end_time=end,
        exit_code=None if end is None else 137,
        scheduled_time=None if kind is ExecutionKind.ADHOC else NOON,
        requested_by="bob" if kind is ExecutionKind.ADHOC else None,
        reason="Cancelled",
    )
    for status, kind, (start, end) in product(
        ExecutionStatus, ExecutionKind, [(None, None), (NOON, None), (NOON, NOON)]
    )
]


@pytest.mark.parametrize(
    ("render", "items", "model"),
    [(task_page, TASKS, TaskItem), (execution_page, EXECUTIONS, ExecutionItem)],
    ids=["tasks", "executions"],
)
def test_every_answer_is_what_its_model_says(render: Any, items: list[Any], model: type[BaseModel]) -> None:
    response = render(Page(10**7, 3, 100, tuple(items)))
    assert response.headers["content-type"] == "application/json"
    body = json.loads(response.body)
    assert list(body) == list(PageOf.model_fields)
    assert (body["total"], body["page"], body["size"], len(body["items"])) == (10**7, 3, 100, len(items))
    for item in body["items"]:
        assert list(item) == list(model.model_fields), "the same fields, in the same order"
        # What the model makes of it is what was written: types, times and all.
        assert json.loads(model.model_validate(item).model_dump_json()) == item
        if item.get("last_execution") is not None:
            assert list(item["last_execution"]) == list(LastExecutionOut.model_fields)


def test_an_empty_page() -> None:
    assert task_page(Page(0, 1, 20, ())).body == b'{"total":0,"page":1,"size":20,"items":[]}'


def test_what_is_shown_of_times() -> None:
    (task,) = json.loads(
        task_page(
            Page(
                1,
                1,
                20,
                (
                    make_listed_task(
                        last_execution_id="exec-1",
                        last_status="SUCCESS",
                        last_start_time=NOON,
                        last_end_time=NOON + timedelta(seconds=44.6),
                    ),
                ),
            )
        ).body
    )["items"]
    assert task["created_at"] == task["updated_at"] == task["last_execution"]["start_time"] == "2026-03-04T12:00:00Z"
    assert task["last_execution"]["duration_seconds"] == 45
    assert task["name"] == '数据 "同步" \\ \U0001f600\u2028'
