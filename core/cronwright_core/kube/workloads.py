"""Jobs, Pods and CronJobs from the API server's JSON to `domain.cluster`. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import CronJobFacts, JobFacts, JobFailure, PodFacts, StopIntent, StopReason
from cronwright_core.domain.task import DEFAULT_PENDING_DEADLINE_SECONDS
from cronwright_core.domain.times import from_rfc3339, to_rfc3339
from cronwright_core.kube.containers import failed_by_another, task_container, task_state, why_waiting

_JOB_UID_LABEL = "batch.kubernetes.io/controller-uid"
_DISRUPTIONS = {
    "DeletionByTaintManager": "NodeLost",
    "DeletionByPodGC": "NodeLost",
    "PreemptionByScheduler": "Preempted",
    "EvictionByEvictionAPI": "Evicted",
    "TerminationByKubelet": "NodeShutdown",
}
"""Reasons of the condition DisruptionTarget (Kubernetes, "Pod disruption conditions") in words for people."""


def to_job(body: Mapping[str, Any]) -> JobFacts:
    """Reads a Job that carries our labels."""
    metadata = body["metadata"]
    annotations = metadata.get("annotations") or {}
    labels = metadata.get("labels") or {}
    spec, status = body["spec"], body.get("status") or {}
    owner = next((o for o in metadata.get("ownerReferences") or () if o.get("controller")), None)
    conditions = {c["type"]: c for c in status.get("conditions") or () if c.get("status") == "True"}
    return JobFacts(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        task_uid=labels.get(naming.TASK_UID_LABEL, ""),
        owner_uid=owner["uid"] if owner else None,
        owner_kind=owner["kind"] if owner else None,
        creation_time=from_rfc3339(metadata["creationTimestamp"]),
        tick=_tick(metadata["name"], annotations, owner),
        request_key=_request_key(metadata, annotations),
        requested_by=annotations.get(naming.REQUESTED_BY_ANNOTATION),
        execution_id=annotations.get(naming.EXECUTION_ANNOTATION),
        parameters=_names(annotations.get(naming.PARAMETERS_ANNOTATION)),
        has_finalizer=naming.FINALIZER in (metadata.get("finalizers") or ()),
        recorded_time=_time(annotations.get(naming.RECORDED_ANNOTATION)),
        suspended=bool(spec.get("suspend")),
        start_time=_time(status.get("startTime")),
        complete_time=(_time(status.get("completionTime")) or _condition_time(conditions["Complete"]))
        if "Complete" in conditions
        else None,
        failed=_failure(conditions["Failed"]) if "Failed" in conditions else None,
        failed_pods=int(status.get("failed") or 0),
        succeeded_pods=int(status.get("succeeded") or 0),
        backoff_limit=int(spec.get("backoffLimit", 6)),
        pod_deadline_seconds=spec["template"]["spec"].get("activeDeadlineSeconds"),
        deletion_time=_time(metadata.get("deletionTimestamp")),
        stop=to_stop(annotations.get(naming.STOP_ANNOTATION)),
        container=task_container(spec["template"]["spec"]).get("name", naming.CONTAINER),
        resource_version=str(metadata.get("resourceVersion") or ""),
        parallelism=int(spec.get("parallelism", 1)),
        deadline_seconds=spec.get("activeDeadlineSeconds"),
        pending_deadline_seconds=_positive(annotations.get(naming.PENDING_DEADLINE_ANNOTATION))
        or DEFAULT_PENDING_DEADLINE_SECONDS,
        workspace_claim=_workspace_claim(spec["template"]["spec"]),
        project=labels.get(naming.PROJECT_LABEL, ""),
        task_name=labels.get(naming.TASK_NAME_LABEL, ""),
        stepped_in=owner is not None and owner["kind"] == "CronJob" and naming.SCHEDULED_TIME_ANNOTATION in annotations,
        queue_name=labels.get(naming.KUEUE_QUEUE_LABEL),
        held_back="Suspended" in conditions,
    )


def _names(text: str | None) -> tuple[str, ...]:
    """A JSON list of names; anything else, which only somebody else can have written, is none."""
    try:
        names = json.loads(text or "[]")
    except (ValueError, RecursionError):
        return ()
    return tuple(name for name in names if isinstance(name, str)) if isinstance(names, list) else ()


def to_pod(body: Mapping[str, Any]) -> PodFacts:
    """Reads a Pod of a task's Job."""
    metadata, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    owner = next((o for o in metadata.get("ownerReferences") or () if o.get("controller")), None)
    annotations = metadata.get("annotations") or {}
    of_job = owner is not None and owner["kind"] == "Job"
    state = task_state(spec, status)
    terminated, running = state.get("terminated") or {}, state.get("running") or {}
    waiting_reason, waiting_message = why_waiting(spec, status)
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            waiting_reason, waiting_message = condition.get("reason"), condition.get("message")
    disruption = _disruption(status.get("conditions") or (), spec.get("nodeName"))
    # A container that was never made is given exit code 137 by the kubelet; that is nobody's exit code.
    unknown = terminated.get("reason") == "ContainerStatusUnknown" and not terminated.get("startedAt")
    return PodFacts(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        # `kubectl delete job --cascade=orphan` takes the owner away; the label still tells whose Pod it was.
        job_uid=owner["uid"] if of_job and owner else (metadata.get("labels") or {}).get(_JOB_UID_LABEL),
        creation_time=from_rfc3339(metadata["creationTimestamp"]),
        phase=status.get("phase") or "Pending",
        deletion_time=_time(metadata.get("deletionTimestamp")),
        reason=status.get("reason") or disruption[0],
        message=status.get("message") or disruption[1],
        node_name=spec.get("nodeName"),
        deadline_seconds=spec.get("activeDeadlineSeconds"),
        acknowledged_time=_time(status.get("startTime")),
        waiting_reason=waiting_reason,
        waiting_message=waiting_message,
        # Kubernetes writes 1970 where a container never started (a Pod that was ended before).
        start_time=_real_time(terminated.get("startedAt") or running.get("startedAt")),
        end_time=_real_time(terminated.get("finishedAt")),
        exit_code=None if unknown else terminated.get("exitCode"),
        terminated_reason=None if terminated.get("reason") == "Completed" else terminated.get("reason"),
        terminated_message=terminated.get("message"),
        output_summary=annotations.get(naming.OUTPUT_SUMMARY_ANNOTATION),
        progress=annotations.get(naming.PROGRESS_ANNOTATION),
        memory_limit=_memory_limit(spec),
        orphaned=owner is None,
        host=status.get("hostIP"),
        failed_by_another=failed_by_another(spec, status),
    )


def to_cronjob(body: Mapping[str, Any]) -> CronJobFacts:
    """Reads a CronJob that carries our labels."""
    metadata, spec = body["metadata"], body["spec"]
    return CronJobFacts(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        creation_time=from_rfc3339(metadata["creationTimestamp"]),
        spec_hash=(metadata.get("annotations") or {}).get(naming.SPEC_HASH_ANNOTATION),
        schedule=spec["schedule"],
        time_zone=spec.get("timeZone"),
        suspend=bool(spec.get("suspend")),
        concurrency_policy=spec.get("concurrencyPolicy", "Allow"),
        last_schedule_time=_time((body.get("status") or {}).get("lastScheduleTime")),
        deleting="deletionTimestamp" in metadata,
        active=tuple((item["name"], item["uid"]) for item in (body.get("status") or {}).get("active") or ()),
    )


def to_stop(text: str | None) -> StopIntent | None:
    """Reads the stop annotation; one that a person mangled still stops, as a cancel."""
    if text is None:
        return None
    try:
        value = json.loads(text)
        return StopIntent(
            StopReason(value["reason"]), str(value["by"]), from_rfc3339(value["at"]), str(value["message"])
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return StopIntent(StopReason.CANCELLED, "unknown", datetime.fromtimestamp(0, UTC), "cancelled")


def from_stop(stop: StopIntent) -> str:
    """Writes the stop annotation; a long message is cut, as annotations share 256 KiB."""
    value = {"reason": stop.reason.value, "by": stop.by, "at": to_rfc3339(stop.at), "message": stop.message[:1000]}
    return json.dumps(value, ensure_ascii=False)


def _workspace_claim(pod_spec: Mapping[str, Any]) -> str | None:
    for volume in pod_spec.get("volumes") or ():
        if volume["name"] == naming.WORKSPACE_VOLUME:
            claim: str | None = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            return claim
    return None


def _tick(name: str, annotations: Mapping[str, str], owner: Mapping[str, Any] | None) -> datetime | None:
    ours = annotations.get(naming.SCHEDULED_TIME_ANNOTATION)
    if ours is not None:
        return _time(ours)
    if owner is not None and owner["kind"] == "CronJob" and naming.CRONJOB_TICK_ANNOTATION in annotations:
        minutes = name.rpartition("-")[2]
        # The number in the name is the lock, and the same instant; the annotation may be in any zone.
        try:
            return datetime.fromtimestamp(int(minutes) * 60, UTC)
        except (ValueError, OverflowError, OSError):
            return None
    return None


def _request_key(metadata: Mapping[str, Any], annotations: Mapping[str, str]) -> str | None:
    key = annotations.get(naming.REQUEST_KEY_ANNOTATION)
    if key is None and annotations.get(naming.CRONJOB_MANUAL_ANNOTATION) == "manual":
        # `kubectl create job --from=cronjob/...` has no key; the Job's own uid is one.
        key = metadata["uid"]
    return key


def _disruption(conditions: Iterable[Mapping[str, Any]], node: str | None) -> tuple[str | None, str | None]:
    """(reason, message) if the cluster, and not the program, ended the Pod."""
    for condition in conditions:
        if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
            known = condition.get("reason") or "Disrupted"
            where = f"node {node}: " if node else ""
            return _DISRUPTIONS.get(known, known), where + (condition.get("message") or known)
    return None, None


def _memory_limit(spec: Mapping[str, Any]) -> str | None:
    limits = (task_container(spec).get("resources") or {}).get("limits") or {}
    limit = limits.get("memory")
    return None if limit is None else str(limit)


def _positive(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and 0 < len(text) < 9 else None


def _failure(condition: Mapping[str, Any]) -> JobFailure:
    return JobFailure(condition.get("reason") or "Failed", condition.get("message") or "", _condition_time(condition))


def _condition_time(condition: Mapping[str, Any]) -> datetime:
    return from_rfc3339(condition["lastTransitionTime"])


def _time(text: str | None) -> datetime | None:
    try:
        return None if text is None else from_rfc3339(text)
    except (ValueError, OverflowError):
        return None


def _real_time(text: str | None) -> datetime | None:
    time = _time(text)
    return time if time is not None and time.timestamp() > 0 else None
