"""Executions as the cluster shows them, from the JSON of Jobs and Pods. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import JobFacts
from cronwright_core.domain.execution import ExecutionKind, ExecutionState, execution_state, with_deletion
from cronwright_core.domain.parameters import requested_time
from cronwright_core.kube.workloads import to_job, to_pod

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """One execution whose Job is still there."""

    execution_id: str
    job: JobFacts
    state: ExecutionState

    @property
    def kind(self) -> ExecutionKind:
        """Scheduled, or Adhoc for a manual run."""
        return ExecutionKind.SCHEDULED if self.job.tick is not None else ExecutionKind.ADHOC

    @property
    def time(self) -> datetime:
        """The scheduled time; of a manual run, that of its request."""
        return self.job.tick or naming.execution_time(self.execution_id) or self.job.creation_time


def runs_of(jobs: Iterable[Json], pods: Iterable[Json]) -> list[Run]:
    """The executions of these Jobs, newest first; somebody else's Jobs are left out."""
    facts = [to_pod(pod) for pod in pods]
    found = []
    for body in jobs:
        job = to_job(body)
        id_ = job.execution_id or _derived_id(job)
        if id_ is not None:
            own = [pod for pod in facts if pod.job_uid == job.uid]
            found.append(Run(id_, job, execution_state(with_deletion(job, task_gone=False), own)))
    return sorted(found, key=lambda run: (run.time, run.execution_id), reverse=True)


def newest_execution(task: Json) -> str | None:
    """The newest execution of the task, asked for, waiting, running or ended; None if it has had none."""
    status = task.get("status") or {}
    ids = [item["executionId"] for item in status.get("active") or ()]
    ids += [status["lastExecutionId"]] if "lastExecutionId" in status else []
    ids += requested_executions(task)
    # Ids begin with their time.
    return max(ids, default=None)


def requested_executions(task: Json) -> list[str]:
    """The manual runs that were asked for and have no Job yet; those by hand, without a time, cannot be told."""
    found = []
    for annotation, value in (task["metadata"].get("annotations") or {}).items():
        time = requested_time(value) if annotation.startswith(naming.TRIGGER_PREFIX) else None
        if time is not None:
            key = annotation.removeprefix(naming.TRIGGER_PREFIX)
            found.append(naming.execution_id(task["metadata"]["uid"], ExecutionKind.ADHOC.value, time, key))
    return found


def not_ready(task: Json) -> str | None:
    """Why the task cannot run: the message of Ready=False for the spec as it is now."""
    for condition in (task.get("status") or {}).get("conditions") or ():
        current = condition.get("observedGeneration") == task["metadata"].get("generation")
        if condition["type"] == "Ready" and condition["status"] == "False" and current:
            return f"{condition['reason']}: {condition['message']}"
    return None


def is_execution_id(text: str) -> bool:
    """Whether this is an execution's id and not the name of a task (which it could be, but nobody names one so)."""
    return naming.execution_time(text) is not None


def _derived_id(job: JobFacts) -> str | None:
    """The id that the operator will give the Job; it has not taken it yet."""
    if job.tick is not None:
        return naming.execution_id(job.task_uid, ExecutionKind.SCHEDULED, job.tick, "")
    if job.request_key is not None:
        return naming.execution_id(job.task_uid, ExecutionKind.ADHOC, job.creation_time, job.request_key)
    return None
