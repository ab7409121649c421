"""Endpoint 15: who may, what is asked of the operator, and an answer that counts only what was reported."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cronwright_api.services import workspaces
from cronwright_api.services.workspaces import summary
from cronwright_core.domain.errors import Message, Unavailable
from cronwright_core.domain.workspaces import parse_request
from cronwright_core.kube.resources import PROJECTS
from cronwright_core.store.records.projects import LiveProject
from cronwright_core.store.records.workspaces import WorkspaceCleanup
from support.api import NOW, World

OLDEST = datetime(2023, 12, 30, 10, 0, tzinfo=UTC)


def cleanup(project_id: int, **fields: Any) -> WorkspaceCleanup:
    values: dict[str, Any] = {
        "request_id": "",
        "project_id": project_id,
        "requested_by": "root",
        "requested_at": NOW,
        "cutoff": NOW,
        "directories_removed": 0,
        "bytes_freed": 0,
        "directories_failed": 0,
        "oldest_removed": None,
        "finished_at": NOW,
        "problem": None,
    }
    return WorkspaceCleanup(**{**values, **fields})


def add_project(world: World, project_id: int) -> None:
    """A Project that has something to clean."""
    name = f"project-{project_id}"
    body = {"metadata": {"name": name}, "spec": {}}
    made = asyncio.run(world.objects.create(PROJECTS, "default", body))
    live = LiveProject(cr_uid=made["metadata"]["uid"], namespace="default", cr_name=name, project_id=project_id)
    world.workspaces.projects.append(live)


def clean(world: World, query: str = "", **options: Any) -> Any:
    return world.call("POST", f"/cleanup-workspaces{query}", user="root", admin=True, **options)


def test_the_document_to_the_letter(world) -> None:
    add_project(world, 1)
    add_project(world, 2)
    world.workspaces.done = {
        1: cleanup(1, directories_removed=20, bytes_freed=500 * 2**20, oldest_removed=OLDEST + timedelta(days=1)),
        2: cleanup(2, directories_removed=5, bytes_freed=12_897_484, oldest_removed=OLDEST),
    }
    body = clean(world, "?max_age_hours=48").json()
    assert body["message"] == "清理完成，已删除超过 48 小时的工作目录"
    found = body["data"]["cleanup_summary"]
    assert {key: found[key] for key in list(found)[:4]} == {
        "directories_removed": 25,
        "space_freed_mb": 512.3,
        "oldest_removed": "2023-12-30T10:00:00Z",
        "cleanup_time": "2026-03-04T12:30:15Z",
    }
    assert (found["pending_projects"], found["problems"]) == (0, [])


def test_nothing_to_clean_is_answered_at_once(world) -> None:
    response = clean(world)
    assert response.json()["message"] == "清理完成，已删除超过 24 小时的工作目录"
    found = response.json()["data"]["cleanup_summary"]
    assert (found["directories_removed"], found["space_freed_mb"], found["oldest_removed"]) == (0, 0.0, None)
    assert world.workspaces.cutoff == NOW.replace(microsecond=0) - timedelta(hours=24)


def test_asks_the_operator_by_an_annotation_on_each_project(world) -> None:
    add_project(world, 1)
    world.workspaces.done = {1: cleanup(1)}
    clean(world, "?max_age_hours=2")
    ((key, value),) = world.objects.only(PROJECTS)["metadata"]["annotations"].items()
    assert key.startswith("cleanup.cronwright.dev/")
    found = parse_request("x", value, NOW)
    assert found.requested_by == "root"
    assert found.cutoff == world.workspaces.cutoff


def test_what_takes_too_long_is_said_and_not_invented(world, monkeypatch) -> None:
    monkeypatch.setattr(workspaces, "POLL_SECONDS", 0.01)
    monkeypatch.setitem(workspaces.clean_workspaces.__kwdefaults__, "wait_seconds", 0.05)
    add_project(world, 1)
    add_project(world, 2)
    world.workspaces.done = {1: cleanup(1, directories_removed=3, bytes_freed=2**20)}
    body = clean(world, headers={"Accept-Language": "en"}).json()
    found = body["data"]["cleanup_summary"]
    assert (found["directories_removed"], found["space_freed_mb"], found["pending_projects"]) == (3, 1.0, 1)
    assert "not done yet" in body["message"]


def test_a_project_that_is_gone_is_not_waited_for(world) -> None:
    gone = LiveProject(cr_uid="u", namespace="default", cr_name="gone", project_id=9)
    world.workspaces.projects.append(gone)
    assert clean(world).json()["data"]["cleanup_summary"]["pending_projects"] == 0


def test_problems_are_told() -> None:
    found = summary([cleanup(1, directories_failed=2, problem="job-1: Permission denied")], 1, NOW)
    assert (found.directories_failed, found.problems) == (2, ["job-1: Permission denied"])


def test_administrators_only(world) -> None:
    add_project(world, 1)
    response = world.call("POST", "/cleanup-workspaces")
    assert response.status_code == 403
    assert response.json()["success"] is False
    assert "annotations" not in world.objects.only(PROJECTS)["metadata"]
    assert world.client.request("POST", "/api/v1/scheduler/cleanup-workspaces").status_code == 401


@pytest.mark.parametrize("hours", ["-1", "8761", "x", "1.5", ""])
def test_hours_out_of_bounds(world, hours) -> None:
    response = clean(world, f"?max_age_hours={hours}")
    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == ["max_age_hours"]


@pytest.mark.parametrize("hours", [0, 8760])
def test_hours_at_the_bounds(world, hours) -> None:
    assert clean(world, f"?max_age_hours={hours}").status_code == 200


def test_with_the_database_away(world) -> None:
    world.switch.error = Unavailable(Message("数据库不可用", "no database"))
    assert clean(world).status_code == 503
