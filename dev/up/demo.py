"""The demo: a Project and a task by kubectl, another task by REST, and their first executions.

Done twice it changes nothing: what is there is found by its name, and only a task that never ran is started.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from cluster.console import Step
from up.commands import ROOT, failure
from up.kubectl import DEMO, Kubectl
from up.rest import Rest

PROJECT_FILE = ROOT / "examples" / "demo-project.yaml"
TASK_FILE = ROOT / "examples" / "demo-task.yaml"
EXAMPLE_IMAGE = "python:3.11-slim-bookworm"
KUBECTL_TASK = "demo-by-kubectl"
REST_TASK = "demo by REST"
FINAL = {"SUCCESS", "FAILED", "TIMEOUT", "CANCELLED"}
REGISTER_SECONDS = 60
RUN_SECONDS = 180
PATIENCE_SECONDS = 20
"""A ONCE task starts by itself within seconds; only one that never ran (an older database) is triggered."""


@dataclass(frozen=True)
class Shown:
    """An execution of the demo with the first lines of its output."""

    way: str
    task_id: int
    execution: dict[str, Any]
    lines: list[str]


def apply_manifests(kubectl: Kubectl, image: str) -> None:
    """Apply the example Project and task, with an image that this cluster has."""
    kubectl.ensure_namespace(
        DEMO, {"pod-security.kubernetes.io/enforce": "restricted", "app.kubernetes.io/part-of": "cronwright"}
    )
    text = PROJECT_FILE.read_text()
    if EXAMPLE_IMAGE not in text:
        raise failure(f"{PROJECT_FILE.name} no longer names the image {EXAMPLE_IMAGE}, which is to be replaced here")
    kubectl("apply", "-f", "-", stdin=text.replace(EXAMPLE_IMAGE, image))
    kubectl("apply", "-f", str(TASK_FILE))


def wait_registered(kubectl: Kubectl, current: Step) -> tuple[int, int]:
    """The ids that the operator gave to Project and task. Raises ClusterError with the reason when it gives none."""
    return (
        _wait_id(kubectl, "project", "demo", "projectId", current),
        _wait_id(kubectl, "scheduledtask", KUBECTL_TASK, "taskId", current),
    )


def _wait_id(kubectl: Kubectl, kind: str, name: str, key: str, current: Step) -> int:
    end = time.monotonic() + REGISTER_SECONDS
    while True:
        found = kubectl.get("-n", DEMO, kind, name) or {}
        status = found.get("status", {})
        if key in status:
            return int(status[key])
        if time.monotonic() > end:
            conditions = [
                f"{item['type']}={item['status']}: {item['message']}" for item in status.get("conditions", [])
            ]
            raise failure(
                f"the operator gave {kind} {name} no id within {REGISTER_SECONDS} s",
                "Look at the operator's log: kubectl -n cronwright-system logs deploy/cronwright-operator",
                "\n".join(conditions),
            )
        current.detail = f"waiting for status.{key} of {kind} {name}"
        time.sleep(0.5)


def create_by_rest(rest: Rest, project_id: int) -> int:
    """The id of the task that REST made: now, or in an earlier `make up`."""
    body = {
        "name": REST_TASK,
        "description": "A task that came by POST.",
        "project_id": project_id,
        "schedule_type": "ONCE",
        "schedule_config": "",
        "timeout_seconds": 120,
        "env": {"GREETING": "REST"},
    }
    answer = rest.call("POST", "/tasks", body)
    if answer.status == 200:
        return int(answer.body["data"]["id"])
    if answer.status != 409:
        raise failure(f"POST /tasks answered {answer.status}: {answer.body}")
    page = 1
    while True:
        found = rest.get(f"/tasks?page={page}&size=100")
        for item in found["items"]:
            if item["name"] == REST_TASK:
                return int(item["id"])
        if page * 100 >= found["total"]:
            raise failure(f"POST /tasks says that {REST_TASK!r} exists, but it is not among the tasks of alice")
        page += 1


def ensure_started(rest: Rest, task_id: int, patience_seconds: float = 0) -> bool:
    """Trigger a task that has no execution after so many seconds; whether it was triggered."""
    end = time.monotonic() + patience_seconds
    while not rest.get(f"/tasks/{task_id}/executions?size=1")["total"]:
        if time.monotonic() >= end:
            answer = rest.call("POST", f"/tasks/{task_id}/trigger")
            if answer.status != 200:
                raise failure(f"POST /tasks/{task_id}/trigger answered {answer.status}: {answer.body}")
            return True
        time.sleep(0.5)
    return False


def wait_execution(rest: Rest, way: str, task_id: int, current: Step) -> Shown:
    """The task's newest execution that ended with SUCCESS, once there is one; with the first lines of its output.

    Raises ClusterError when the newest one that was not cancelled ended otherwise, or none ended in time.
    """
    end = time.monotonic() + RUN_SECONDS
    while True:
        items = rest.get(f"/tasks/{task_id}/executions?size=5")["items"]
        done = next((item for item in items if item["status"] == "SUCCESS"), None)
        if done:
            lines = _wait_lines(rest, done["execution_id"])
            return Shown(way, task_id, done, lines)
        # A tick that is skipped while the run goes on that was asked for is CANCELLED: no word about that run.
        newest = next((item for item in items if item["status"] != "CANCELLED"), None)
        if newest and newest["status"] in FINAL:
            log = rest.get(f"/executions/{newest['execution_id']}/logs/file?log_type=error&lines=10")["data"]["content"]
            raise failure(
                f"the task by {way} ended with {newest['status']}: {newest.get('error_message')}",
                f"Look at it: kubectl -n {DEMO} get scheduledtasks,jobs,pods",
                "\n".join(log),
            )
        if time.monotonic() > end:
            state = newest["status"] if newest else "no execution yet"
            raise failure(
                f"the task by {way} has not ended within {RUN_SECONDS} s ({state})",
                f"Look at it: kubectl -n {DEMO} get scheduledtasks,jobs,pods; kubectl -n {DEMO} get events",
            )
        current.detail = f"task {task_id} by {way}: {newest['status'] if newest else 'no execution yet'}"
        time.sleep(0.5)


def _wait_lines(rest: Rest, execution_id: str) -> list[str]:
    """The first lines of an execution's output."""
    content = rest.get(f"/executions/{execution_id}/logs/file?log_type=output")["data"]["content"]
    return [str(line) for line in content[:5]]
