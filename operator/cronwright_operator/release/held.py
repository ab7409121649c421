"""What the cluster holds for us: Jobs with our finalizer, and live CronJobs of tasks. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cronwright_core.domain import naming
from cronwright_core.kube.ports import Json


@dataclass(frozen=True, slots=True)
class HeldJob:
    """A Job that our finalizer keeps. `state` is for people; `finalizer_index` is where ours stands in the list."""

    namespace: str
    name: str
    uid: str
    task: str
    execution_id: str
    state: str
    deleting: bool
    finalizer_index: int


@dataclass(frozen=True, slots=True)
class LiveCronJob:
    """A CronJob of a task that still fires."""

    namespace: str
    name: str
    uid: str
    task: str


def held_jobs(bodies: Iterable[Mapping[str, Any]]) -> list[HeldJob]:
    """The Jobs with our finalizer, by namespace and name; labels do not matter, as the finalizer alone holds them."""
    held = []
    for body in bodies:
        metadata = body["metadata"]
        finalizers = metadata.get("finalizers") or []
        if naming.FINALIZER not in finalizers:
            continue
        annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
        deleting = "deletionTimestamp" in metadata
        held.append(
            HeldJob(
                namespace=metadata["namespace"],
                name=metadata["name"],
                uid=metadata["uid"],
                task=labels.get(naming.TASK_NAME_LABEL, "-"),
                execution_id=annotations.get(naming.EXECUTION_ANNOTATION, "-"),
                state=_state(body) + (", being deleted" if deleting else ""),
                deleting=deleting,
                finalizer_index=finalizers.index(naming.FINALIZER),
            )
        )
    return sorted(held, key=lambda job: (job.namespace, job.name))


def live_cronjobs(bodies: Iterable[Mapping[str, Any]]) -> list[LiveCronJob]:
    """The CronJobs of tasks that are neither suspended nor being deleted."""
    live = []
    for body in bodies:
        metadata = body["metadata"]
        labels = metadata.get("labels") or {}
        ours = labels.get(naming.MANAGED_BY_LABEL) == naming.MANAGED_BY and naming.TASK_UID_LABEL in labels
        if not ours or body["spec"].get("suspend") or "deletionTimestamp" in metadata:
            continue
        task = labels.get(naming.TASK_NAME_LABEL, "-")
        live.append(LiveCronJob(metadata["namespace"], metadata["name"], metadata["uid"], task))
    return sorted(live, key=lambda cronjob: (cronjob.namespace, cronjob.name))


def build_release_patch(job: HeldJob) -> list[Json]:
    """A JSON patch that takes our finalizer off, or fails: if it is another Job by now, or its list has moved.

    The annotation with the execution's id stays: an operator that finds the Job later takes it for what it is.
    """
    path = f"/metadata/finalizers/{job.finalizer_index}"
    return [
        {"op": "test", "path": "/metadata/uid", "value": job.uid},
        {"op": "test", "path": path, "value": naming.FINALIZER},
        {"op": "remove", "path": path},
    ]


def build_suspend_patch(cronjob: LiveCronJob) -> Json:
    """A merge patch that suspends a CronJob. Without the hash an operator that comes back writes the whole spec anew,
    its status first, so that nothing stale fires."""
    return {
        "metadata": {"uid": cronjob.uid, "annotations": {naming.SPEC_HASH_ANNOTATION: None}},
        "spec": {"suspend": True},
    }


def _state(body: Mapping[str, Any]) -> str:
    status = body.get("status") or {}
    conditions = {c["type"] for c in status.get("conditions") or () if c.get("status") == "True"}
    if conditions & {"Complete", "Failed"}:
        return "complete" if "Complete" in conditions else "failed"
    if body["spec"].get("suspend"):
        return "waiting"
    return "running" if status.get("active") else "not running"
