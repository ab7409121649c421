"""Endpoint 13: figures of nodes, queue, scheduler and database, and why one is null."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cronwright_api.services.system import midnight
from cronwright_core.domain.errors import Message, Unavailable
from cronwright_core.store.records.system import Heartbeat
from support.api import NOW, World

USAGE = {
    "cpu_percent": 25.3,
    "memory_percent": 45.7,
    "disk_usage": 67.2,
    "nodes": 2,
    "nodes_measured": 2,
    "sampled_at": "2026-03-04T12:30:10Z",
    "source": "kubelet",
    "reason": None,
    "message": None,
}


def beat(world: World, *, age: float = 5, usage: dict[str, Any] | None = None) -> None:
    details = {"usage": {**USAGE, **(usage or {})}}
    heartbeat = Heartbeat(
        holder="operator-1", version="0.1.0", time=NOW - timedelta(seconds=age), tz_release="2026a", details=details
    )
    world.system.answer = replace(world.system.answer, heartbeat=heartbeat)


def metrics(world: World, **options: Any) -> dict[str, Any]:
    response = world.call("GET", "/metrics", **options)
    assert response.status_code == 200, response.text
    data: dict[str, Any] = response.json()["data"]
    return data


def test_the_document_to_the_letter(world) -> None:
    beat(world)
    body = world.call("GET", "/metrics").json()
    assert (body["success"], body["code"], body["message"]) == (True, 200, "获取成功")
    documented = {key: body["data"][key] for key in list(body["data"])[:9]}
    assert documented == {
        "cpu_percent": 25.3,
        "memory_percent": 45.7,
        "disk_usage": 67.2,
        "active_tasks": 3,
        "scheduler_status": "RUNNING",
        "queue_status": {"pending_tasks": 5, "running_tasks": 3, "completed_today": 42},
        "database_status": "HEALTHY",
        "redis_status": "DISABLED",
        "last_updated": "2026-03-04T12:30:15Z",
    }
    assert body["data"]["node_metrics"]["reason"] is None


def test_everybody_with_a_token_may_look_and_nobody_else(world) -> None:
    assert metrics(world, user="somebody")["active_tasks"] == 3
    assert world.client.request("GET", "/api/v1/scheduler/metrics").status_code == 401


def test_with_the_database_away(world) -> None:
    world.switch.error = Unavailable(Message("数据库不可用", "no database"))
    data = metrics(world)
    assert data["database_status"] == "UNHEALTHY"
    assert data["queue_status"] == {"pending_tasks": None, "running_tasks": None, "completed_today": None}
    unknown = ("cpu_percent", "memory_percent", "disk_usage", "active_tasks", "scheduler_status")
    assert [data[key] for key in unknown] == [None] * 5
    assert data["redis_status"] == "DISABLED"
    assert data["node_metrics"]["reason"] == "DatabaseUnavailable"


@pytest.mark.parametrize(("age", "status"), [(0, "RUNNING"), (45, "RUNNING"), (46, "STOPPED"), (-5, "RUNNING")])
def test_the_scheduler_is_known_by_its_heartbeat(world, age, status) -> None:
    beat(world, age=age)
    data = metrics(world)
    assert data["scheduler_status"] == status
    assert (data["cpu_percent"] is None) == (status == "STOPPED")
    assert data["active_tasks"] == 3


def test_no_operator_ever(world) -> None:
    data = metrics(world)
    assert (data["scheduler_status"], data["node_metrics"]["reason"]) == ("STOPPED", "SchedulerStopped")


@pytest.mark.parametrize("reason", ["Disabled", "Forbidden", "Unreachable", "CertificateNotTrusted", "NotMeasuredYet"])
def test_null_figures_say_why_in_the_callers_language(world, reason) -> None:
    nothing = dict.fromkeys(("cpu_percent", "memory_percent", "disk_usage", "sampled_at", "source"))
    beat(world, usage={**nothing, "reason": reason, "message": "403 at 10.0.0.1"})
    chinese = metrics(world)["node_metrics"]
    english = metrics(world, headers={"Accept-Language": "en"})["node_metrics"]
    assert chinese["reason"] == english["reason"] == reason
    assert chinese["message"] != english["message"]
    assert english["message"].isascii()


def test_what_the_operator_met_is_for_administrators(world) -> None:
    beat(world, usage={"reason": "Partial", "message": "1 of 2 kubelets could not be read: 10.0.0.1"})
    assert metrics(world)["node_metrics"]["detail"] is None
    assert "10.0.0.1" in metrics(world, user="root", admin=True)["node_metrics"]["detail"]


def test_a_sample_of_long_ago_is_no_figure(world) -> None:
    beat(world, usage={"sampled_at": "2026-03-04T12:25:10Z"})
    data = metrics(world)
    assert (data["cpu_percent"], data["node_metrics"]["reason"]) == (None, "Stale")


@pytest.mark.parametrize("details", [{}, {"usage": None}, {"usage": {}}])
def test_an_operator_of_another_release(world, details) -> None:
    beat(world)
    assert world.system.answer.heartbeat is not None
    heartbeat = replace(world.system.answer.heartbeat, details=details)
    world.system.answer = replace(world.system.answer, heartbeat=heartbeat)
    data = metrics(world)
    assert data["scheduler_status"] == "RUNNING"
    assert data["cpu_percent"] is None


def test_an_unknown_reason_has_a_sentence_too(world) -> None:
    beat(world, usage={"reason": "OfALaterRelease"})
    assert metrics(world)["node_metrics"]["message"]


def test_today_begins_in_the_default_zone(world) -> None:
    metrics(world)
    assert world.system.asked == datetime(2026, 3, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "zone", "expected"),
    [
        ("2026-03-04T12:30:00Z", "UTC", "2026-03-04T00:00:00Z"),
        ("2026-03-04T12:30:00Z", "Asia/Shanghai", "2026-03-03T16:00:00Z"),
        ("2026-03-04T16:00:00Z", "Asia/Shanghai", "2026-03-04T16:00:00Z"),
        ("2026-03-04T12:30:00Z", "Asia/Kathmandu", "2026-03-03T18:15:00Z"),
        # The clocks go forward at midnight: the day begins at one o'clock.
        ("2026-04-24T12:00:00Z", "Africa/Cairo", "2026-04-23T22:00:00Z"),
    ],
)
def test_midnight(now: str, zone: str, expected: str) -> None:
    assert midnight(datetime.fromisoformat(now), zone) == datetime.fromisoformat(expected)
