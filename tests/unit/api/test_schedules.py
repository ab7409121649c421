"""Previews of schedules, and the next runs of a task."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.domain.ticks import spread_offset
from cronwright_core.domain.times import from_rfc3339, to_rfc3339
from support.api import World

NEW_YORK = {"schedule_type": "CRON", "schedule_config": "30 2 * * *", "time_zone": "America/New_York"}


def ask(world: World, **body: Any) -> Any:
    response = world.call("POST", "/schedules/preview", json=body)
    assert response.status_code == 200, response.text
    return response.json()["data"]


def wrong(world: World, **body: Any) -> list[tuple[str, str]]:
    response = world.call("POST", "/schedules/preview", json=body, headers={"Accept-Language": "en"})
    assert response.status_code == 400, response.text
    return [(error["field"], error["message"]) for error in response.json()["errors"]]


@pytest.mark.parametrize(
    ("type_", "config", "expected"),
    [
        # The world's clock stands at 2026-03-04T12:30:15.25Z.
        ("CRON", "0 */2 * * *", ["2026-03-04T14:00:00Z", "2026-03-04T16:00:00Z"]),
        ("INTERVAL", "3600", ["2026-03-04T13:30:15Z", "2026-03-04T14:30:15Z"]),
        ("DATE", "2027-01-01T15:30:00+08:00", ["2027-01-01T07:30:00Z"]),
        ("ONCE", "2027-01-01", ["2027-01-01T00:00:00Z"]),
        ("ONCE", "", ["2026-03-04T12:30:15Z"]),
    ],
)
def test_every_type(world: World, type_: str, config: str, expected: list[str]) -> None:
    data = ask(world, schedule_type=type_, schedule_config=config, count=2)
    assert data["next_run_times"] == expected
    assert data == {
        "next_run_times": expected,
        "local_run_times": [time.replace("Z", "+00:00") for time in expected],
        "time_zone": "UTC",
        "notes": [],
        "spread_seconds": 0,
        "latest_run_times": expected,
    }


def test_a_preview_shows_the_window_of_a_spread(world: World) -> None:
    hourly = {"schedule_type": "CRON", "schedule_config": "0 * * * *"}
    data = ask(world, **hourly, spread_seconds=600, count=2)
    assert data["next_run_times"] == ["2026-03-04T13:00:00Z", "2026-03-04T14:00:00Z"]
    assert data["latest_run_times"] == ["2026-03-04T13:09:59Z", "2026-03-04T14:09:59Z"]
    assert data["spread_seconds"] == 600
    # What runs as soon as it is there is not spread.
    at_once = ask(world, schedule_type="ONCE", spread_seconds=600)
    assert (at_once["spread_seconds"], at_once["latest_run_times"]) == (0, at_once["next_run_times"])


@pytest.mark.parametrize("value", [-1, 86_401, "600", 1.5, None])
def test_a_preview_judges_the_spread_as_a_new_task_is(world: World, value: Any) -> None:
    schedule = {"schedule_type": "CRON", "schedule_config": "0 * * * *", "spread_seconds": value}
    body = {"name": "a task", "project_id": world.make_project(), **schedule}
    refused = world.call("POST", "/tasks", json=body, headers={"Accept-Language": "en"}).json()["errors"]
    assert wrong(world, **schedule) == [(error["field"], error["message"]) for error in refused]
    assert [field for field, _ in wrong(world, **schedule)] == ["spread_seconds"]


def test_a_change_of_the_clock_is_explained(world: World) -> None:
    data = ask(world, **NEW_YORK, start="2027-03-13T00:00:00-05:00", count=3)
    assert data["local_run_times"] == [
        "2027-03-13T02:30:00-05:00",
        "2027-03-15T02:30:00-04:00",
        "2027-03-16T02:30:00-04:00",
    ]
    (note,) = data["notes"]
    assert (note["effect"], note["time"]) == ("SKIPPED", "2027-03-14T07:00:00Z")
    assert note["message"] == "时钟从 2027-03-14 02:00 拨快到 03:00：02:30 的执行不存在，被跳过"


def test_a_start_without_an_offset_is_meant_in_the_zone(world: World) -> None:
    data = ask(world, **NEW_YORK, start="2027-06-01T02:30:00", count=1)
    assert data["next_run_times"] == ["2027-06-02T06:30:00Z"]


def test_the_start_anchors_an_interval(world: World) -> None:
    data = ask(world, schedule_type="INTERVAL", schedule_config="90", start="2027-01-01T00:00:00Z", count=2)
    assert data["next_run_times"] == ["2027-01-01T00:01:30Z", "2027-01-01T00:03:00Z"]


def test_ten_are_shown_if_nobody_says_how_many(world: World) -> None:
    assert len(ask(world, schedule_type="CRON", schedule_config="* * * * *")["next_run_times"]) == 10
    assert len(ask(world, schedule_type="CRON", schedule_config="* * * * *", count=100)["next_run_times"]) == 100


@pytest.mark.parametrize(
    "schedule",
    [
        {"schedule_type": "CRON", "schedule_config": "0 25 * * *"},
        {"schedule_type": "CRON", "schedule_config": "0 0 30 2 *"},
        {"schedule_type": "CRON", "schedule_config": ""},
        {"schedule_type": "CRON"},
        {"schedule_type": "INTERVAL", "schedule_config": "59"},
        {"schedule_type": "INTERVAL", "schedule_config": 3600},
        {"schedule_type": "DATE", "schedule_config": "2020-01-01T00:00:00Z"},
        {"schedule_type": "DATE", "schedule_config": "tomorrow"},
        {"schedule_type": "cron", "schedule_config": "0 0 * * *"},
        {"schedule_config": "0 0 * * *"},
        {"schedule_type": "CRON", "schedule_config": "0 0 * * *", "time_zone": "Mars/Phobos"},
    ],
)
def test_it_is_judged_as_a_new_task_is(world: World, schedule: dict[str, Any]) -> None:
    body = {"name": "a task", "project_id": world.make_project(), **schedule}
    response = world.call("POST", "/tasks", json=body, headers={"Accept-Language": "en"})
    assert response.status_code == 400
    assert wrong(world, **schedule) == [(error["field"], error["message"]) for error in response.json()["errors"]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("count", 0),
        ("count", 101),
        ("count", "5"),
        ("count", 1.5),
        ("count", None),
        ("start", "soon"),
        ("start", 5),
        ("start", "2011-12-31T23:59:59Z"),
        ("start", "2100-01-01T00:00:00Z"),
    ],
)
def test_what_is_wrong_beside_the_schedule(world: World, field: str, value: Any) -> None:
    body = {"schedule_type": "CRON", "schedule_config": "0 0 * * *", field: value}
    assert [name for name, _ in wrong(world, **body)] == [field]


def test_all_that_is_wrong_is_said_at_once(world: World) -> None:
    fields = [field for field, _ in wrong(world, schedule_type="CRON", schedule_config="x", count=0, start="soon")]
    assert sorted(fields) == ["count", "schedule_config", "start"]


def test_nobody_without_a_token(world: World) -> None:
    assert world.client.request("POST", "/api/v1/scheduler/schedules/preview", json=NEW_YORK).status_code == 401
    assert world.client.request("GET", "/api/v1/scheduler/tasks/1/next-runs").status_code == 401


def runs(world: World, task_id: int, query: str = "count=2") -> Any:
    response = world.call("GET", f"/tasks/{task_id}/next-runs?{query}")
    assert response.status_code == 200, response.text
    return response.json()["data"]


@pytest.mark.parametrize(
    ("type_", "config", "expected"),
    [
        ("CRON", "0 */2 * * *", ["2026-03-04T14:00:00Z", "2026-03-04T16:00:00Z"]),
        ("INTERVAL", "3600", ["2026-03-04T13:30:15Z", "2026-03-04T14:30:15Z"]),
        ("DATE", "2027-01-01T15:30:00Z", ["2027-01-01T15:30:00Z"]),
    ],
)
def test_a_tasks_next_runs(world: World, type_: str, config: str, expected: list[str]) -> None:
    task = world.make_task(schedule_type=type_, schedule_config=config)
    data = runs(world, task["id"])
    assert data["next_run_times"] == expected
    assert data["next_run_times"][0] == task["next_run_time"]
    assert (data["is_active"], data["spread_seconds"], data["spread_offset_seconds"]) == (True, 0, 0)


def test_an_interval_stays_on_its_grid_while_the_operator_is_away(world: World) -> None:
    task_id = world.make_task(schedule_type="INTERVAL", schedule_config="3600")["id"]
    overdue = replace(world.tasks.rows[task_id], next_run_time=datetime(2026, 3, 4, 10, 5, tzinfo=UTC))
    world.tasks.rows[task_id] = overdue
    assert runs(world, task_id)["next_run_times"] == ["2026-03-04T13:05:00Z", "2026-03-04T14:05:00Z"]


def test_a_paused_task_has_none(world: World) -> None:
    task_id = world.make_task(is_active=False)["id"]
    data = runs(world, task_id)
    assert (data["next_run_times"], data["is_active"]) == ([], False)


def test_a_task_whose_schedule_cannot_be_used_has_none(world: World) -> None:
    task_id = world.make_task()["id"]
    row = world.tasks.rows[task_id]
    spec = replace(row.spec, schedule="0 25 * * *", schedule_type=ScheduleType.CRON)
    world.tasks.rows[task_id] = replace(row, spec=spec)
    world.tasks.rows[task_id] = replace(world.tasks.rows[task_id], next_run_time=None)
    assert runs(world, task_id)["next_run_times"] == []


@pytest.mark.parametrize(
    ("type_", "config", "times"),
    [
        ("CRON", "0 */2 * * *", ["2026-03-04T14:00:00Z", "2026-03-04T16:00:00Z", "2026-03-04T18:00:00Z"]),
        ("INTERVAL", "3600", ["2026-03-04T13:30:15Z", "2026-03-04T14:30:15Z", "2026-03-04T15:30:15Z"]),
        ("DATE", "2027-01-01T15:30:00Z", ["2027-01-01T15:30:00Z"]),
    ],
)
def test_next_runs_are_when_they_start_with_the_spread(world: World, type_: str, config: str, times: list[str]) -> None:
    task = world.make_task(schedule_type=type_, schedule_config=config, spread_seconds=3000)
    uid = world.tasks.rows[task["id"]].cr_uid
    assert uid is not None
    offset = spread_offset(uid, 3000)
    assert offset, "a share of nothing would show nothing"
    starts = [to_rfc3339(from_rfc3339(time) + offset) for time in times]
    data = runs(world, task["id"], "count=3")
    assert data["next_run_times"] == starts
    assert data["notes"] == [], "the tick fits the line, by however much later it starts"
    assert task["next_run_time"] == starts[0]
    assert (data["spread_seconds"], data["spread_offset_seconds"]) == (3000, offset.total_seconds())
    # An edit of the spread alone: the same tick, at another time.
    world.call("PUT", f"/tasks/{task['id']}", json={"spread_seconds": 0})
    assert runs(world, task["id"], "count=3")["next_run_times"] == times


def test_a_run_that_has_its_time_and_not_its_share_comes_still(world: World) -> None:
    task = world.make_task(schedule_type="CRON", schedule_config="0 * * * *", spread_seconds=86_400)
    row = world.tasks.rows[task["id"]]
    assert row.cr_uid is not None
    offset = spread_offset(row.cr_uid, 86_400)
    # The world's clock stands at 12:30:15; this tick is of the day before, and starts an hour from now.
    start = datetime(2026, 3, 4, 13, 30, tzinfo=UTC)
    world.tasks.rows[task["id"]] = replace(row, next_run_time=start)
    times = [from_rfc3339(time) for time in runs(world, task["id"], "count=2")["next_run_times"]]
    assert times[0] == start
    assert start < times[1] <= start + timedelta(hours=1)
    assert (times[1] - offset).minute == 0


def test_others_see_nothing(world: World) -> None:
    task_id = world.make_task()["id"]
    assert world.call("GET", f"/tasks/{task_id}/next-runs", user="bob").status_code == 404
    assert world.call("GET", f"/tasks/{task_id}/next-runs", user="root", admin=True).status_code == 200


@pytest.mark.parametrize("query", ["count=0", "count=101", "count=x", "count="])
def test_wrong_counts(world: World, query: str) -> None:
    task_id = world.make_task()["id"]
    response = world.call("GET", f"/tasks/{task_id}/next-runs?{query}")
    assert [error["field"] for error in response.json()["errors"]] == ["count"]
