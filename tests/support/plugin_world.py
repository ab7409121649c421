"""A kubectl that answers from memory, and Jobs and Pods as the API server has them."""

from __future__ import annotations

import copy
from typing import Any

from cronwright_core.domain import naming
from cronwright_core.plugin.errors import PluginError

UID = "7f1c2c8e-0001"
Json = dict[str, Any]


def task(name: str = "nightly", *, spec: Json | None = None, status: Json | None = None, **metadata: Any) -> Json:
    """A ScheduledTask that is accepted."""
    ready = {"type": "Ready", "status": "True", "reason": "Scheduled", "message": "", "observedGeneration": 1}
    return {
        "metadata": {"name": name, "namespace": "team-a", "uid": UID, "generation": 1, **metadata},
        "spec": {"projectName": "data", "scheduleType": "Cron", "schedule": "0 2 * * *", **(spec or {})},
        "status": {"taskId": 7, "conditions": [ready], **(status or {})},
    }


def job(name: str, *, annotations: Json | None = None, status: Json | None = None, **metadata: Any) -> Json:
    """A Job of that task."""
    return {
        "metadata": {
            "name": name,
            "namespace": "team-a",
            "uid": f"uid-{name}",
            "creationTimestamp": "2026-03-02T10:00:00Z",
            "labels": {
                naming.TASK_UID_LABEL: UID,
                naming.TASK_NAME_LABEL: "nightly",
                naming.MANAGED_BY_LABEL: naming.MANAGED_BY,
            },
            "annotations": annotations or {},
            **metadata,
        },
        "spec": {"template": {"spec": {"containers": [{"name": "task"}]}}},
        "status": status or {},
    }


def pod(name: str, of: Json, *, phase: str = "Succeeded", code: int = 0, second: int = 1) -> Json:
    """A Pod of a Job."""
    times = {"startedAt": f"2026-03-02T10:00:{second:02}Z", "finishedAt": f"2026-03-02T10:00:{second + 4:02}Z"}
    state = {"terminated": {**times, "exitCode": code}} if phase in ("Succeeded", "Failed") else {}
    return {
        "metadata": {
            "name": name,
            "namespace": "team-a",
            "uid": f"uid-{name}",
            "creationTimestamp": f"2026-03-02T10:00:{second:02}Z",
            "ownerReferences": [{"kind": "Job", "uid": of["metadata"]["uid"], "controller": True}],
        },
        "spec": {},
        "status": {"phase": phase, "containerStatuses": [{"name": "task", "state": state}]},
    }


COMPLETE = {"conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": "2026-03-02T10:00:06Z"}]}
FAILED = {
    "conditions": [
        {
            "type": "Failed",
            "status": "True",
            "reason": "BackoffLimitExceeded",
            "message": "",
            "lastTransitionTime": "2026-03-02T10:00:06Z",
        }
    ]
}


class FakeKubectl:
    """The twin of `plugin.kubectl.Kubectl`. `on_look` is called before each read of the Jobs."""

    def __init__(self, *tasks: Json, jobs: list[Json] | None = None, pods: list[Json] | None = None) -> None:
        self.all_tasks = list(tasks)
        self.all_jobs, self.all_pods = jobs or [], pods or []
        self.shown: list[tuple[str, ...]] = []
        self.on_look: Any = lambda: None

    def task(self, name: str) -> Json:
        for found in self.all_tasks:
            if found["metadata"]["name"] == name:
                return copy.deepcopy(found)
        raise PluginError(f'Error from server (NotFound): scheduledtasks.cronwright.dev "{name}" not found')

    def tasks(self) -> list[Json]:
        return copy.deepcopy(self.all_tasks)

    def jobs(self, task_uid: str | None = None) -> list[Json]:
        self.on_look()
        return copy.deepcopy(self.all_jobs)

    def pods(self, selector: str) -> list[Json]:
        return copy.deepcopy(self.all_pods)

    def annotate(self, changed: Json, annotations: Json) -> None:
        stored = next(t for t in self.all_tasks if t["metadata"]["uid"] == changed["metadata"]["uid"])
        stored["metadata"].setdefault("annotations", {}).update(annotations)

    def set_suspend(self, changed: Json, suspend: bool) -> None:
        stored = next(t for t in self.all_tasks if t["metadata"]["uid"] == changed["metadata"]["uid"])
        stored["spec"]["suspend"] = suspend

    def show(self, *arguments: str) -> int:
        self.shown.append(arguments)
        return 0

    @property
    def annotations(self) -> Json:
        """Of the only task."""
        (only,) = self.all_tasks
        found: Json = only["metadata"].get("annotations", {})
        return found
