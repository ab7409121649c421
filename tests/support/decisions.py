"""What the operator decides about a task, asked and read in a line: no cluster, no clock."""

from __future__ import annotations

from typing import Any

from cronwright_core.domain.cluster import JobFacts
from cronwright_core.domain.execution import execution_state
from cronwright_core.domain.task import ScheduledTask, TaskStatus
from cronwright_core.kube.workloads import to_job
from cronwright_operator.reconciling import actions
from cronwright_operator.reconciling.observed import JobView, Observed, Registration, execution_id_of
from cronwright_operator.reconciling.reconcile import reconcile
from support.builders import at, make_project


def view(job: JobFacts) -> JobView:
    id_ = execution_id_of(job)
    assert id_ is not None
    return JobView(job, execution_state(job, ()), id_)


def as_stored(manifest: Any) -> dict[str, Any]:
    metadata = {**manifest["metadata"], "uid": "job-uid", "creationTimestamp": "2026-03-02T10:00:10Z"}
    return {**manifest, "metadata": metadata}


def decide(task: ScheduledTask, *, now: str = "10:00:10", **seen: Any) -> actions.Decision:
    jobs = tuple(view(job) for job in seen.pop("jobs", ()))
    snapshot: dict[str, Any] = {
        "project": make_project(),
        "cronjob": None,
        "registration": Registration(task_id=1),
        **seen,
    }
    return reconcile(Observed(task=task, jobs=jobs, now=at(now), **snapshot))


def made(decision: actions.Decision) -> list[JobFacts]:
    """The Jobs that a decision made, as the next pass sees them."""
    return [to_job(as_stored(create.manifest)) for create in of(decision, actions.CreateJob)]


def of(decision: actions.Decision, kind: type) -> list[Any]:
    return [action for action in decision.actions if isinstance(action, kind)]


def status_of(decision: actions.Decision) -> TaskStatus:
    (write,) = of(decision, actions.WriteStatus)
    assert decision.actions[-1] is write, "the status is the last write"
    status: TaskStatus = write.status
    return status


def ready(decision: actions.Decision) -> tuple[bool, str, str]:
    condition = status_of(decision).conditions[0]
    return condition.status, condition.reason, condition.message
