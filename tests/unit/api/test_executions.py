"""Endpoints 9, 10 and 11."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cronwright_api.services.time_window import time_window
from cronwright_core.domain.errors import InvalidInput
from cronwright_core.domain.execution import Attempt, ExecutionStatus
from cronwright_core.store.records.logs import LogFile
from support.api import World
from support.records import ID, START, make_execution

LISTED = {
    "execution_id": ID,
    "task_id": 1,
    "status": "SUCCESS",
    "start_time": "2024-01-01T02:00:00Z",
    "end_time": "2024-01-01T02:00:44Z",
    "duration_seconds": 45,
    "exit_code": 0,
    "output_summary": "处理了1000条记录，成功同步到数据库",
    "error_message": None,
    "log_file_path": f"/logs/tasks/{ID}/output.log",
    "error_log_path": f"/logs/tasks/{ID}/error.log",
    "created_at": "2024-01-01T02:00:00Z",
}


def test_history_is_a_bare_page(world: World) -> None:
    world.make_task()
    world.executions.rows[ID] = make_execution()
    page = world.call("GET", "/tasks/1/executions?page=1&size=10&status=SUCCESS").json()
    assert set(page) == {"total", "page", "size", "items"}
    assert {key: page["items"][0][key] for key in LISTED} == LISTED
    assert world.call("GET", "/tasks/1/executions?status=FAILED").json()["total"] == 0
    assert world.call("GET", "/tasks/1/executions?status=failed").status_code == 400


def test_details_as_documented(world: World) -> None:
    attempt = Attempt(1, "pod-1", "pu", ExecutionStatus.SUCCESS, START, start_time=START, exit_code=0)
    world.executions.rows[ID] = make_execution(workspace_claim="reports")
    world.executions.pods[ID] = [attempt]
    body = world.call("GET", f"/executions/{ID}").json()
    documented = LISTED | {
        "task_name": "数据同步任务",
        "workspace_path": f"/tmp/workspaces/{ID}",
        "resource_usage": {"max_memory_mb": None, "avg_cpu_percent": None},
    }
    assert body["message"] == "获取成功"
    assert {key: body["data"][key] for key in documented} == documented
    assert [item["number"] for item in body["data"]["attempts"]] == [1]


def test_without_a_volume_there_is_no_workspace(world: World) -> None:
    world.executions.rows[ID] = make_execution()
    assert world.call("GET", f"/executions/{ID}").json()["data"]["workspace_path"] is None


def test_measured_use_is_shown(world: World) -> None:
    world.executions.rows[ID] = make_execution(max_memory_mb=128.0, avg_cpu_percent=15.5)
    usage = world.call("GET", f"/executions/{ID}").json()["data"]["resource_usage"]
    assert usage == {"max_memory_mb": 128.0, "avg_cpu_percent": 15.5}


def test_a_waiting_execution_has_no_times(world: World) -> None:
    world.executions.rows[ID] = make_execution(status=ExecutionStatus.PENDING, start_time=None, end_time=None)
    data = world.call("GET", f"/executions/{ID}").json()["data"]
    assert (data["status"], data["start_time"], data["duration_seconds"]) == ("PENDING", None, None)


def test_the_log(world: World) -> None:
    world.executions.rows[ID] = make_execution()
    world.logs.files[(ID, "output")] = LogFile(
        content=("one", "two", "three"),
        file_size=2048,
        lines_count=25,
        last_modified=START,
        incomplete=False,
        merged=False,
        complete=True,
    )
    data = world.call("GET", f"/executions/{ID}/logs/file?log_type=output&lines=2").json()["data"]
    documented = {
        "execution_id": ID,
        "log_type": "output",
        "content": ["two", "three"],
        "file_path": f"/logs/tasks/{ID}/output.log",
        "file_size": 2048,
        "lines_count": 25,
        "last_modified": "2024-01-01T02:00:00Z",
    }
    assert {key: data[key] for key in documented} == documented
    assert len(world.call("GET", f"/executions/{ID}/logs/file").json()["data"]["content"]) == 3


@pytest.mark.parametrize(
    "query", ["log_type=stdout", "attempt=0", "attempt=x", "lines=0", "lines=10001", "lines=-1", "lines=x", "log_type="]
)
def test_wrong_log_queries(world: World, query: str) -> None:
    world.executions.rows[ID] = make_execution()
    response = world.call("GET", f"/executions/{ID}/logs/file?{query}")
    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == [query.split("=")[0]]


@pytest.mark.parametrize(
    "path", [f"/executions/{ID}", f"/executions/{ID}/logs/file", f"/executions/{ID}/attempts", "/executions/x"]
)
def test_others_see_nothing(world: World, path: str) -> None:
    world.executions.rows[ID] = make_execution()
    response = world.call("GET", path, user="bob")
    assert (response.status_code, response.json()["message"]) == (404, "执行记录不存在")


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("start", "end", "zone", "window"),
    [
        (None, None, "UTC", (None, None)),
        ("2024-01-01T02:00:00Z", None, "UTC", (at(2024, 1, 1, 2), None)),
        ("2024-01-01T10:00:00+08:00", None, "UTC", (at(2024, 1, 1, 2), None)),
        ("2024-01-01T10:00:00 08:00", None, "UTC", (at(2024, 1, 1, 2), None)),
        ("2024-01-01 10:00:00", None, "Asia/Shanghai", (at(2024, 1, 1, 2), None)),
        ("2024-01-01", "2024-01-01", "UTC", (at(2024, 1, 1), at(2024, 1, 1, 23, 59, 59))),
        ("2024-01-02", "2024-01-02", "Asia/Shanghai", (at(2024, 1, 1, 16), at(2024, 1, 2, 15, 59, 59))),
        # The other forms of a day in ISO 8601, and a week.
        ("20260404", "20260404", "UTC", (at(2026, 4, 4), at(2026, 4, 4, 23, 59, 59))),
        ("2026-W14-6", "2026W146", "UTC", (at(2026, 4, 4), at(2026, 4, 4, 23, 59, 59))),
        ("2026-W14", "2026W14", "UTC", (at(2026, 3, 30), at(2026, 4, 5, 23, 59, 59))),
        # A day of 25 hours, set back at its end; one of 23, set forward at its beginning.
        ("2026-04-04", "2026-04-04", "America/Santiago", (at(2026, 4, 4, 3), at(2026, 4, 5, 3, 59, 59))),
        ("2026-04-05", None, "America/Santiago", (at(2026, 4, 5, 4), None)),
        ("2026-09-06", "2026-09-06", "America/Santiago", (at(2026, 9, 6, 4), at(2026, 9, 7, 2, 59, 59))),
        # The calendar's ends.
        ("0001-01-01", "9999-12-31", "Asia/Shanghai", (at(1, 1, 1), at(9999, 12, 31, 23, 59, 59))),
        ("9999-12-31", "9999-12-31", "America/Santiago", (at(9999, 12, 31, 3), at(9999, 12, 31, 23, 59, 59))),
    ],
)
def test_stretches_of_time(start: str | None, end: str | None, zone: str, window: tuple[object, object]) -> None:
    assert time_window(start, end, zone) == window


@pytest.mark.parametrize(
    ("start", "end", "fields"),
    [
        ("yesterday", "", ["start_date", "end_date"]),
        ("2024-13-01", None, ["start_date"]),
        ("0001-01-01T00:00:00+14:00", None, ["start_date"]),
        ("2024-01-02", "2024-01-01", ["end_date"]),
    ],
)
def test_no_stretch_of_time(start: str | None, end: str | None, fields: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        time_window(start, end, "UTC")
    assert [error.field for error in caught.value.errors] == fields


def test_the_order_reaches_the_store(world: World) -> None:
    world.make_task()
    for query in ("", "?sort=-duration_seconds"):
        assert world.call("GET", f"/tasks/1/executions{query}").status_code == 200
    assert world.executions.sorts == ["-time", "-duration_seconds"]
    refused = world.call("GET", "/tasks/1/executions?sort=status")
    assert (refused.status_code, [error["field"] for error in refused.json()["errors"]]) == (400, ["sort"])


def test_the_window_reaches_the_store(world: World) -> None:
    world.make_task()
    world.call("GET", "/tasks/1/executions?start_date=2024-01-01T08:00:00%2B08:00&end_date=2024-01-31")
    assert world.executions.windows == [(at(2024, 1, 1), at(2024, 1, 31, 23, 59, 59))]


def test_what_runs_as_documented(world: World) -> None:
    running = {"status": ExecutionStatus.RUNNING, "end_time": None, "start_time": world.now - timedelta(seconds=180.9)}
    world.executions.rows[ID] = make_execution(**running, progress_step="数据处理", progress_percent=65)
    other = "exec-20240101020000-0123456789abcde0"
    world.executions.rows[other] = make_execution(**running, execution_id=other, owner="bob")
    world.executions.rows["over"] = make_execution(execution_id="over")
    response = world.call("GET", "/running")
    assert response.headers["X-Total-Count"] == "1"
    assert response.json() == {
        "success": True,
        "code": 200,
        "message": "获取成功",
        "data": [
            {
                "task_id": 1,
                "task_name": "数据同步任务",
                "execution_id": ID,
                "start_time": "2026-03-04T12:27:14Z",
                "running_time": 180,
                "status": "RUNNING",
                "progress": {"current_step": "数据处理", "progress_percent": 65},
            }
        ],
    }
    everything = world.call("GET", "/running", user="root", admin=True).json()["data"]
    assert [item["progress"]["progress_percent"] for item in everything] == [65, None]
    assert world.call("GET", "/running", user="carol").json()["data"] == []


def test_a_clock_behind_the_nodes_shows_no_negative_time(world: World) -> None:
    ahead = world.now + timedelta(seconds=2)
    world.executions.rows[ID] = make_execution(status=ExecutionStatus.RUNNING, start_time=ahead)
    assert world.call("GET", "/running").json()["data"][0]["running_time"] == 0


def test_the_attempts_of_an_execution(world: World) -> None:
    first = Attempt(1, "pod-1", "u1", ExecutionStatus.FAILED, START, "node-1", START, START, 3, "Error", "exit 3")
    second = Attempt(2, "pod-2", "u2", ExecutionStatus.RUNNING, START, max_memory_mb=64.0, avg_cpu_percent=7.5)
    world.executions.rows[ID] = make_execution()
    world.executions.pods[ID] = [first, second]
    data = world.call("GET", f"/executions/{ID}/attempts").json()["data"]
    assert data == world.call("GET", f"/executions/{ID}").json()["data"]["attempts"]
    assert data[0] == {
        "number": 1,
        "status": "FAILED",
        "start_time": "2024-01-01T02:00:00Z",
        "end_time": "2024-01-01T02:00:00Z",
        "duration_seconds": 0,
        "exit_code": 3,
        "reason": "Error",
        "message": "exit 3",
        "pod_name": "pod-1",
        "node_name": "node-1",
        "resource_usage": {"max_memory_mb": None, "avg_cpu_percent": None},
    }
    assert (data[1]["number"], data[1]["status"], data[1]["exit_code"]) == (2, "RUNNING", None)
    assert data[1]["resource_usage"] == {"max_memory_mb": 64.0, "avg_cpu_percent": 7.5}


def test_an_attempt_that_is_not_there(world: World) -> None:
    world.executions.rows[ID] = make_execution()
    response = world.call("GET", f"/executions/{ID}/logs/file?attempt=1")
    assert (response.status_code, response.json()["message"]) == (404, "该执行没有这次尝试")


def test_progress_in_the_details(world: World) -> None:
    world.executions.rows[ID] = make_execution(progress_percent=100)
    progress = world.call("GET", f"/executions/{ID}").json()["data"]["progress"]
    assert progress == {"current_step": None, "progress_percent": 100}
