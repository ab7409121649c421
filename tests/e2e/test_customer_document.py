"""The customer's document, walked through on the live server: its own requests, its own answers, field by field.

Everything that is sent and everything that is expected is read from docs/reference/customer-api.zh.md. The program of
the project prints the document's log lines, so even these are the document's. A user of the test's own owns it all.
"""

from __future__ import annotations

import shlex
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from support.cluster import Cluster, Rest, Space, eventually
from support.conformity import Comparison
from support.customer_document import Document, Endpoint, Request, read

EXECUTION_ID = "exec-20240101-001"
RUNNING_ID = "exec-20240101-003"
PROJECT_NAME = "数据处理项目"
MEASURED = {
    # moments
    *("next_run_time", "created_at", "updated_at", "start_time", "end_time", "last_success", "last_modified"),
    *("last_updated", "oldest_removed", "cleanup_time", "timestamp", "date"),
    # counts and sizes: how much there is differs from the example's world
    *("duration_seconds", "total", "total_executions", "success_count", "failed_count", "success", "failed"),
    *("success_rate", "average_duration", "file_size", "lines_count", "running_time", "max_memory_mb"),
    *("avg_cpu_percent", "cpu_percent", "memory_percent", "disk_usage", "active_tasks", "pending_tasks"),
    *("running_tasks", "completed_today", "directories_removed", "space_freed_mb"),
}
NULLABLE: dict[int, set[str]] = {
    # Nothing failed yet.
    3: {"last_failure"},
    # The program ends sooner than a node is looked at twice; a project without a volume has no workspaces.
    10: {"max_memory_mb", "avg_cpu_percent", "workspace_path"},
    # Where nobody may read the nodes' statistics.
    13: {"cpu_percent", "memory_percent", "disk_usage"},
    # Nothing was old enough to be removed.
    15: {"oldest_removed"},
}


@dataclass
class Walk:
    """What was asked and what was wrong with the answers."""

    document: Document
    user: Rest
    admin: Rest
    project_id: int
    task_id: int = 0
    walked: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def send(self, request: Request, *, user: Rest | None = None, **ids: Any) -> httpx.Response:
        """The document's request as it stands there, but for ids and token."""
        user = user or self.user
        path = request.path.replace("/tasks/1", f"/tasks/{ids.get('task_id')}")
        path = path.replace(EXECUTION_ID, str(ids.get("execution_id")))
        headers = {**request.headers, "Authorization": f"Bearer {user.token}"}
        body = None if request.body is None else {**request.body}
        if body is not None and "project_id" in body:
            body["project_id"] = self.project_id
        return httpx.request(
            request.method, user.url + path, params=request.query, headers=headers, json=body, timeout=60
        )

    def step(self, number: int, *, user: Rest | None = None, **ids: Any) -> Any:
        """Sends endpoint `number`'s example and compares the answer; its `data`, or the page."""
        endpoint = self.document.endpoint(number)
        answer = self.send(endpoint.request, user=user, **ids)
        return self.compare(endpoint, answer, **ids)

    def compare(self, endpoint: Endpoint, answer: httpx.Response, *, expected: Any = None, **ids: Any) -> Any:
        """Notes every difference to the example's answer."""
        self.walked.append(endpoint.number)
        where = f"{endpoint.number} {endpoint.method} {endpoint.path}"
        assert answer.status_code == 200, f"{where}: {answer.status_code} {answer.text}"
        assert answer.headers["content-type"] == "application/json"
        body = answer.json()
        execution = str(ids.get("execution_id", ""))
        values = {"id": body["data"]["id"]} if endpoint.number == 1 else {"id": self.task_id}
        comparison = Comparison(
            texts={EXECUTION_ID: execution, RUNNING_ID: execution, "exec-123": execution},
            values={
                **values,
                "task_id": self.task_id,
                "project_id": self.project_id,
                "redis_status": "DISABLED",  # there is none (docs/api.md)
                **ids.get("values", {}),
            },
            measured=MEASURED,
            nullable=NULLABLE.get(endpoint.number, set()),
        )
        differences = comparison.differences(expected or endpoint.answer, body)
        self.wrong += [f"{where}{difference}" for difference in differences]
        return body.get("data", body)


@pytest.fixture
def walk(cluster: Cluster, space: Space) -> Walk:
    document = read()
    lines = document.endpoint(11).answer["data"]["content"]
    summary = document.endpoint(10).answer["data"]["output_summary"]
    program = [f"echo {shlex.quote(line)}" for line in lines]
    program.append(f"printf %s {shlex.quote(summary)} > /dev/termination-log")
    owner = f"customer-{uuid.uuid4().hex[:8]}"
    space.apply_project("customer", owner=owner, displayName=PROJECT_NAME, args=["; ".join(program)])
    project_id = space.project_id("customer")
    return Walk(document, cluster.new_user(owner), cluster.rest("admin"), project_id)


def test_every_example_of_the_document(walk: Walk, bob: Rest) -> None:
    # The document's tasks are due at full hours: a tick meanwhile would be a run more than its examples show.
    eventually(lambda: datetime.now(UTC).minute < 58, seconds=130, what="a full hour to begin")
    document = walk.document
    created = walk.step(1)
    walk.task_id = task_id = created["id"]
    walk.step(8, task_id=task_id)
    (run,) = walk.user.ended(task_id)
    execution_id = run["execution_id"]
    ids = {"task_id": task_id, "execution_id": execution_id}

    walk.step(9, **ids)
    detail = walk.step(10, **ids)
    assert detail["start_time"] <= detail["end_time"]
    log = walk.step(11, **ids)
    assert log["lines_count"] == len(log["content"])
    assert log["file_size"] == sum(len(line.encode()) + 1 for line in log["content"])
    walk.step(12, **ids)
    walk.step(13)
    # The examples of task and list have a description, which the one of creating has not.
    description = document.endpoint(2).answer["items"][0]["description"]
    assert walk.user.call("PUT", f"/tasks/{task_id}", json={"description": description}).status_code == 200
    walk.step(3, **ids)
    walk.step(2, **ids)

    _running(walk, document)

    walk.step(6, **ids)
    assert walk.user.data("GET", f"/tasks/{task_id}")["is_active"] is False
    walk.step(7, **ids)
    assert walk.user.data("GET", f"/tasks/{task_id}")["is_active"] is True
    walk.step(4, **ids)
    _whole_body_of_an_edit(walk, document)
    # Only administrators clean up; everybody else is told so.
    refused = walk.send(document.endpoint(15).request)
    assert refused.status_code == refused.json()["code"] == 403
    walk.step(15, user=walk.admin)
    assert bob.call("DELETE", f"/tasks/{task_id}").status_code == 404, "another's task is not there"
    walk.step(5, **ids)
    assert walk.user.call("GET", f"/tasks/{task_id}").status_code == 404
    _error(walk, document)

    assert walk.wrong == [], "\n".join(["", *walk.wrong])
    assert set(walk.walked) == {endpoint.number for endpoint in document.endpoints} == set(range(1, 16))


def _running(walk: Walk, document: Document) -> None:
    """Endpoint 14 with a task that says the document's step and figure, and goes on until it is stopped."""
    progress = document.endpoint(14).answer["data"][0]["progress"]
    script = (
        f"echo '{progress['current_step']}进度: {progress['progress_percent']}%'; trap 'exit 1' TERM; sleep 300 & wait"
    )
    slow = walk.user.data(
        "POST",
        "/tasks",
        json={"name": "运行中", "project_id": walk.project_id, "schedule_type": "ONCE", "args": [script]},
    )

    def said() -> Any:
        data = walk.user.data("GET", "/running")
        return data if data and data[0]["progress"]["progress_percent"] is not None else None

    (running,) = eventually(said, seconds=60, what="the running task's progress")
    endpoint = document.endpoint(14)
    values = {"task_id": slow["id"], "task_name": "运行中"}
    answer = walk.send(endpoint.request)
    walk.compare(endpoint, answer, execution_id=running["execution_id"], values=values)
    assert walk.user.call("DELETE", f"/tasks/{slow['id']}").status_code == 200


def _whole_body_of_an_edit(walk: Walk, document: Document) -> None:
    """Endpoints 1 and 4 show a second, longer body each: all of its fields come back."""
    for number, path in ((1, "/tasks"), (4, f"/tasks/{walk.task_id}")):
        endpoint = document.endpoint(number)
        body = dict(endpoint.body or {})
        if "project_id" in body:
            body["project_id"] = walk.project_id
        data = walk.user.data(endpoint.method, path, json=body)
        walk.wrong += [
            f"{number} {key}: {data.get(key)!r} after {value!r} was sent"
            for key, value in body.items()
            if data.get(key) != value
        ]


def _error(walk: Walk, document: Document) -> None:
    """The example of an error, by the request that it speaks of."""
    request = document.endpoint(1).request
    line = document.error["errors"][0]["message"].split("'")[1]
    answer = walk.send(
        Request(request.method, request.path, {}, request.headers, {**request.body, "schedule_config": line})
    )
    assert answer.status_code == document.error["code"]
    differences = Comparison(measured={"timestamp"}).differences(document.error, answer.json())
    walk.wrong += [f"error{difference}" for difference in differences]
