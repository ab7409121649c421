"""Differences of the counts by day; no database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.store.daily_counts import execution_day_changes, task_day_changes
from cronwright_core.store.merging import to_execution_values
from support.store_rows import NOW, make_execution

Status = ExecutionStatus


def row(status: Status, time: datetime = NOW, task_id: int = 1):
    return to_execution_values(make_execution(task_id, time, status))


def counted(changes):
    return [{name: value for name, value in change.items() if value} for change in changes]


def test_an_execution_that_goes_on_moves_from_one_status_to_the_next() -> None:
    changes = execution_day_changes([(row(Status.PENDING), row(Status.RUNNING))])
    assert counted(changes) == [{"task_id": 1, "day": NOW.date(), "pending": -1, "running": 1}]


def test_what_adds_up_to_nothing_is_not_written() -> None:
    assert execution_day_changes([(row(Status.RUNNING), row(Status.RUNNING))]) == []
    assert task_day_changes([(row(Status.FAILED), row(Status.FAILED)), (None, row(Status.RUNNING))], {}) == []


def test_rows_come_in_order_of_task_and_day() -> None:
    tomorrow = NOW + timedelta(days=1)
    pairs = [(None, row(Status.SUCCESS, time, task)) for task in (2, 1) for time in (tomorrow, NOW)]
    keys = [(change["task_id"], change["day"]) for change in execution_day_changes(pairs)]
    assert keys == [(1, NOW.date()), (1, tomorrow.date()), (2, NOW.date()), (2, tomorrow.date())]
    assert keys == [(change["task_id"], change["day"]) for change in task_day_changes(pairs, {})]


def test_the_trend_takes_the_day_of_the_zone_and_counts_timeouts_as_failed() -> None:
    late = datetime(2026, 3, 10, 23, 30, tzinfo=UTC)
    pairs = [(row(Status.RUNNING, late), row(Status.TIMEOUT, late)), (None, row(Status.SUCCESS, late, task_id=2))]
    assert counted(task_day_changes(pairs, {1: ZoneInfo("Asia/Tokyo")})) == [
        {"task_id": 1, "day": NOW.date() + timedelta(days=1), "failed": 1},
        {"task_id": 2, "day": NOW.date(), "success": 1},
    ]


def test_a_row_taken_back_is_taken_out() -> None:
    assert counted(execution_day_changes([(row(Status.PENDING), None)])) == [
        {"task_id": 1, "day": NOW.date(), "pending": -1}
    ]
