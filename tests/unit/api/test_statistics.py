"""Endpoint 12."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.store.records.tasks import DayCounts, LastExecution, TaskStats
from support.api import World

START = datetime(2024, 1, 1, 2, tzinfo=UTC)


def test_the_documents_own_example(world: World) -> None:
    task_id = world.make_task()["id"]
    world.tasks.rows[task_id] = replace(
        world.tasks.rows[task_id],
        stats=TaskStats(
            success_count=47, failed_count=3, cancelled_count=2, duration_sum_seconds=2125.0, duration_count=50
        ),
        last_execution=LastExecution(
            execution_id="exec-20240101-001",
            time=START,
            status=ExecutionStatus.SUCCESS,
            start_time=START,
            end_time=START + timedelta(seconds=45),
        ),
    )
    world.tasks.days[task_id] = [DayCounts(date(2024, 1, 1), 12, 0, 0), DayCounts(date(2023, 12, 31), 11, 1, 2)]
    body = world.call("GET", f"/tasks/{task_id}/stats").json()
    assert (body["success"], body["code"], body["message"]) == (True, 200, "获取成功")
    assert body["data"] == {
        "total_executions": 50,
        "success_count": 47,
        "failed_count": 3,
        "cancelled_count": 2,
        "success_rate": 0.94,
        "average_duration": 42.5,
        "last_execution": {
            "execution_id": "exec-20240101-001",
            "status": "SUCCESS",
            "start_time": "2024-01-01T02:00:00Z",
            "duration_seconds": 45,
        },
        "execution_trends": {
            "daily_counts": [
                {"date": "2024-01-01", "success": 12, "failed": 0, "cancelled": 0},
                {"date": "2023-12-31", "success": 11, "failed": 1, "cancelled": 2},
            ]
        },
    }


def test_before_the_first_run_all_is_zero_and_nothing_divides_by_it(world: World) -> None:
    task_id = world.make_task()["id"]
    data = world.call("GET", f"/tasks/{task_id}/stats").json()["data"]
    assert (data["total_executions"], data["success_rate"], data["average_duration"]) == (0, 0.0, 0.0)
    assert (data["last_execution"], data["execution_trends"]) == (None, {"daily_counts": []})


def test_the_rate_has_four_decimals(world: World) -> None:
    task_id = world.make_task()["id"]
    stats = TaskStats(success_count=2, failed_count=1, duration_sum_seconds=1.0, duration_count=3)
    world.tasks.rows[task_id] = replace(world.tasks.rows[task_id], stats=stats)
    data = world.call("GET", f"/tasks/{task_id}/stats").json()["data"]
    assert (data["success_rate"], data["average_duration"]) == (0.6667, 0.333)


def test_others_and_unknown_ones_are_not_found(world: World) -> None:
    task_id = world.make_task()["id"]
    assert world.call("GET", f"/tasks/{task_id}/stats", user="bob").status_code == 404
    assert world.call("GET", f"/tasks/{task_id}/stats", user="root", admin=True).status_code == 200
    assert world.call("GET", "/tasks/99/stats").json()["message"] == "任务不存在"
    assert world.call("DELETE", f"/tasks/{task_id}").status_code == 200
    assert world.call("GET", f"/tasks/{task_id}/stats").status_code == 404
