"""JSON of the API server to the domain's data and back. Pure. Conversion of names happens here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from cronwright_core.domain import naming
from cronwright_core.domain.project import ContainerTemplate, Project, ProjectSpec, Workspace
from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.domain.skips import OlderSkips, SkippedGroup, UnrecordedSkips
from cronwright_core.domain.task import (
    DEFAULT_PENDING_DEADLINE_SECONDS,
    DEFAULT_TIMEOUT_SECONDS,
    ActiveExecution,
    ConcurrencyPolicy,
    Condition,
    Overrides,
    Request,
    ScheduledTask,
    TaskSpec,
    TaskStatus,
)
from cronwright_core.domain.times import from_rfc3339, to_rfc3339
from cronwright_core.domain.validation import normalize_name

Json = dict[str, Any]

_TYPE_TO_KUBE = {
    ScheduleType.CRON: "Cron",
    ScheduleType.INTERVAL: "Interval",
    ScheduleType.DATE: "Date",
    ScheduleType.ONCE: "Once",
}
_TYPE_FROM_KUBE = {text: type_ for type_, text in _TYPE_TO_KUBE.items()}


def to_task(body: Mapping[str, Any]) -> ScheduledTask:
    """Reads a ScheduledTask that has passed admission.

    Raises:
        ValueError, KeyError: the object does not follow the CRD's schema (stored by an older CRD, or not one of ours).
    """
    metadata = body["metadata"]
    annotations = metadata.get("annotations") or {}
    return ScheduledTask(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=int(metadata.get("generation") or 1),
        resource_version=metadata["resourceVersion"],
        creation_time=from_rfc3339(metadata["creationTimestamp"]),
        spec=to_task_spec(body["spec"], metadata["name"]),
        status=to_task_status(body.get("status") or {}),
        task_id_label=_int_or_none((metadata.get("labels") or {}).get(naming.TASK_ID_LABEL)),
        triggers=_requests(annotations, naming.TRIGGER_PREFIX),
        cancels=_requests(annotations, naming.CANCEL_PREFIX),
        queue_labels=_queue_labels(metadata.get("labels") or {}),
        deleting="deletionTimestamp" in metadata,
    )


def to_task_spec(spec: Mapping[str, Any], name: str) -> TaskSpec:
    """Reads `spec`, applying the CRD's defaults where an old object lacks a field."""
    overrides = spec.get("overrides") or {}
    return TaskSpec(
        # As REST stores names: two that look alike are one to the unique index, to a search and to an edit.
        display_name=normalize_name(spec.get("displayName") or name),
        project_name=spec["projectName"],
        schedule_type=_TYPE_FROM_KUBE[spec.get("scheduleType", "Cron")],
        schedule=spec.get("schedule", ""),
        description=spec.get("description"),
        owner=spec.get("owner"),
        time_zone=spec.get("timeZone", "UTC"),
        suspend=bool(spec.get("suspend", False)),
        timeout_seconds=int(spec.get("activeDeadlineSeconds", DEFAULT_TIMEOUT_SECONDS)),
        max_instances=int(spec.get("maxInstances", 1)),
        retry_count=int(spec.get("backoffLimit", 0)),
        priority=int(spec.get("priority", 0)),
        concurrency_policy=ConcurrencyPolicy(spec.get("concurrencyPolicy", "Forbid")),
        max_queued=int(spec.get("maxQueued", 10)),
        starting_deadline_seconds=_int_or_none(spec.get("startingDeadlineSeconds")),
        pending_deadline_seconds=int(spec.get("pendingDeadlineSeconds", DEFAULT_PENDING_DEADLINE_SECONDS)),
        spread_seconds=int(spec.get("spreadSeconds", 0)),
        overrides=Overrides(
            image=overrides.get("image"),
            command=_tuple_or_none(overrides.get("command")),
            args=_tuple_or_none(overrides.get("args")),
            env=tuple(overrides.get("env") or ()),
            resources=overrides.get("resources"),
        ),
    )


def from_task_spec(spec: TaskSpec) -> Json:
    """Writes `spec`; optional fields that are not set are left out, so that users' tools see no noise."""
    overrides: Json = {}
    if spec.overrides.image is not None:
        overrides["image"] = spec.overrides.image
    if spec.overrides.command is not None:
        overrides["command"] = list(spec.overrides.command)
    if spec.overrides.args is not None:
        overrides["args"] = list(spec.overrides.args)
    if spec.overrides.env:
        overrides["env"] = [dict(variable) for variable in spec.overrides.env]
    if spec.overrides.resources is not None:
        overrides["resources"] = dict(spec.overrides.resources)
    return _without_none(
        {
            "displayName": spec.display_name,
            "description": spec.description,
            "projectName": spec.project_name,
            "owner": spec.owner,
            "scheduleType": _TYPE_TO_KUBE[spec.schedule_type],
            "schedule": spec.schedule,
            "timeZone": spec.time_zone,
            "suspend": spec.suspend,
            "activeDeadlineSeconds": spec.timeout_seconds,
            "maxInstances": spec.max_instances,
            "backoffLimit": spec.retry_count,
            "priority": spec.priority,
            "concurrencyPolicy": spec.concurrency_policy.value,
            "maxQueued": spec.max_queued,
            "startingDeadlineSeconds": spec.starting_deadline_seconds,
            "pendingDeadlineSeconds": spec.pending_deadline_seconds,
            "spreadSeconds": spec.spread_seconds,
            "overrides": overrides or None,
        }
    )


def build_task(namespace: str, name: str, spec: TaskSpec, *, task_id: int | None = None) -> Json:
    """A ScheduledTask manifest, as the API creates it; `task_id` becomes the label of convenience."""
    labels = {naming.TASK_ID_LABEL: str(task_id)} if task_id is not None else {}
    return {
        "apiVersion": naming.API_VERSION,
        "kind": "ScheduledTask",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": from_task_spec(spec),
    }


def to_task_status(status: Mapping[str, Any]) -> TaskStatus:
    """Reads `status`."""
    return TaskStatus(
        task_id=_int_or_none(status.get("taskId")),
        observed_generation=_int_or_none(status.get("observedGeneration")),
        schedule_hash=status.get("scheduleHash"),
        anchor_time=_time_or_none(status.get("anchorTime")),
        last_schedule_time=_time_or_none(status.get("lastScheduleTime")),
        claimed_time=_time_or_none(status.get("claimedTime")),
        next_schedule_time=_time_or_none(status.get("nextScheduleTime")),
        completion_time=_time_or_none(status.get("completionTime")),
        last_execution_id=status.get("lastExecutionId"),
        last_execution_status=status.get("lastExecutionStatus"),
        last_successful_time=_time_or_none(status.get("lastSuccessfulTime")),
        active=tuple(
            ActiveExecution(
                item["executionId"], item["jobName"], item["status"], item.get("reason"), item.get("message")
            )
            for item in status.get("active") or ()
        ),
        conditions=to_conditions(status.get("conditions") or ()),
        unrecorded_skips=to_unrecorded_skips(status.get("unrecordedSkips") or {}),
    )


def from_task_status(status: TaskStatus) -> Json:
    """Writes the whole `status`; a field that is not set is None, which in a merge patch removes it."""
    return {
        "taskId": status.task_id,
        "observedGeneration": status.observed_generation,
        "scheduleHash": status.schedule_hash,
        "anchorTime": _text_or_none(status.anchor_time),
        "lastScheduleTime": _text_or_none(status.last_schedule_time),
        "claimedTime": _text_or_none(status.claimed_time),
        "nextScheduleTime": _text_or_none(status.next_schedule_time),
        "completionTime": _text_or_none(status.completion_time),
        "lastExecutionId": status.last_execution_id,
        "lastExecutionStatus": status.last_execution_status,
        "lastSuccessfulTime": _text_or_none(status.last_successful_time),
        "active": [_from_active(item) for item in status.active],
        "conditions": from_conditions(status.conditions),
        "unrecordedSkips": from_unrecorded_skips(status.unrecorded_skips) or None,
    }


def _from_active(item: ActiveExecution) -> Json:
    why = {"reason": item.reason, "message": item.message}
    return {
        "executionId": item.execution_id,
        "jobName": item.job_name,
        "status": item.status,
        **{key: text for key, text in why.items() if text is not None},
    }


def to_unrecorded_skips(skips: Mapping[str, Any]) -> UnrecordedSkips:
    """Reads `status.unrecordedSkips`."""
    older = skips.get("older")
    return UnrecordedSkips(
        groups=tuple(
            SkippedGroup(group["reason"], group["message"], tuple(from_rfc3339(tick) for tick in group["ticks"]))
            for group in skips.get("groups") or ()
        ),
        older=OlderSkips(int(older["count"]), from_rfc3339(older["first"]), from_rfc3339(older["last"]))
        if older
        else None,
    )


def from_unrecorded_skips(skips: UnrecordedSkips) -> Json:
    """Writes `status.unrecordedSkips`; empty if there is nothing."""
    older = skips.older
    groups = [
        {"reason": group.reason, "message": group.message, "ticks": [to_rfc3339(tick) for tick in group.ticks]}
        for group in skips.groups
    ]
    return _without_none(
        {
            "groups": groups or None,
            "older": {"count": older.count, "first": to_rfc3339(older.first), "last": to_rfc3339(older.last)}
            if older
            else None,
        }
    )


def to_project(body: Mapping[str, Any]) -> Project:
    """Reads a Project that has passed admission."""
    metadata = body["metadata"]
    return Project(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=int(metadata.get("generation") or 1),
        resource_version=metadata["resourceVersion"],
        creation_time=from_rfc3339(metadata["creationTimestamp"]),
        spec=to_project_spec(body["spec"], metadata["name"]),
        project_id=_int_or_none((body.get("status") or {}).get("projectId")),
        project_id_label=_int_or_none((metadata.get("labels") or {}).get(naming.PROJECT_ID_LABEL)),
        cleanups=_requests(metadata.get("annotations") or {}, naming.CLEANUP_PREFIX),
        deleting="deletionTimestamp" in metadata,
    )


def to_project_spec(spec: Mapping[str, Any], name: str) -> ProjectSpec:
    """Reads `spec` of a Project, defaults applied."""
    workspace = spec.get("workspace")
    return ProjectSpec(
        display_name=normalize_name(spec.get("displayName") or name),
        container=ContainerTemplate(
            image=spec["image"],
            command=tuple(spec.get("command") or ()),
            args=tuple(spec.get("args") or ()),
            env=tuple(spec.get("env") or ()),
            resources=spec.get("resources") or {},
        ),
        description=spec.get("description"),
        owner=spec.get("owner"),
        members=tuple(spec.get("members") or ()),
        service_account_name=spec.get("serviceAccountName"),
        image_pull_policy=spec.get("imagePullPolicy"),
        image_pull_secrets=tuple(spec.get("imagePullSecrets") or ()),
        security_context=spec.get("securityContext") or {},
        workspace=Workspace(workspace["claimName"], workspace.get("mountPath", "/workspace")) if workspace else None,
        max_concurrent_executions=_int_or_none(spec.get("maxConcurrentExecutions")),
        retention_days=_int_or_none(spec.get("retentionDays")),
        allow_overrides=bool(spec.get("allowOverrides", False)),
        node_selector=spec.get("nodeSelector") or {},
        tolerations=tuple(spec.get("tolerations") or ()),
        pod_annotations=spec.get("podAnnotations") or {},
    )


def from_project_spec(spec: ProjectSpec) -> Json:
    """Writes `spec` of a Project; what is not set is left out."""
    workspace = (
        {"claimName": spec.workspace.claim_name, "mountPath": spec.workspace.mount_path} if spec.workspace else None
    )
    return _without_none(
        {
            "displayName": spec.display_name,
            "description": spec.description,
            "owner": spec.owner,
            "members": list(spec.members) or None,
            "image": spec.container.image,
            "imagePullPolicy": spec.image_pull_policy,
            "imagePullSecrets": list(spec.image_pull_secrets) or None,
            "command": list(spec.container.command) or None,
            "args": list(spec.container.args) or None,
            "env": [dict(variable) for variable in spec.container.env] or None,
            "resources": dict(spec.container.resources) or None,
            "serviceAccountName": spec.service_account_name,
            "securityContext": dict(spec.security_context) or None,
            "workspace": workspace,
            "maxConcurrentExecutions": spec.max_concurrent_executions,
            "retentionDays": spec.retention_days,
            "allowOverrides": spec.allow_overrides,
            "podAnnotations": dict(spec.pod_annotations) or None,
            **from_placement(spec),
        }
    )


def from_placement(spec: ProjectSpec) -> Json:
    """On which nodes the Pods run, in the words that Projects and Pods share; empty if the Project does not say."""
    return _without_none(
        {
            "nodeSelector": dict(spec.node_selector) or None,
            "tolerations": [dict(toleration) for toleration in spec.tolerations] or None,
        }
    )


def build_project(namespace: str, name: str, spec: ProjectSpec, *, project_id: int | None = None) -> Json:
    """A Project manifest, as the API creates it; `project_id` becomes the label of convenience."""
    labels = {naming.PROJECT_ID_LABEL: str(project_id)} if project_id is not None else {}
    return {
        "apiVersion": naming.API_VERSION,
        "kind": "Project",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": from_project_spec(spec),
    }


def to_conditions(conditions: Iterable[Mapping[str, Any]]) -> tuple[Condition, ...]:
    """Reads metav1.Conditions."""
    return tuple(
        Condition(
            type=item["type"],
            status=item["status"] == "True",
            reason=item["reason"],
            message=item["message"],
            last_transition_time=from_rfc3339(item["lastTransitionTime"]),
            observed_generation=int(item.get("observedGeneration") or 0),
        )
        for item in conditions
    )


def from_conditions(conditions: Iterable[Condition]) -> list[Json]:
    """Writes metav1.Conditions."""
    return [
        {
            "type": item.type,
            "status": "True" if item.status else "False",
            "reason": item.reason,
            "message": item.message,
            "lastTransitionTime": to_rfc3339(item.last_transition_time),
            "observedGeneration": item.observed_generation,
        }
        for item in conditions
    ]


def creation_time(body: Mapping[str, Any]) -> datetime:
    """`metadata.creationTimestamp`."""
    return from_rfc3339(body["metadata"]["creationTimestamp"]).astimezone(UTC)


def _requests(annotations: Mapping[str, str], prefix: str) -> tuple[Request, ...]:
    return tuple(
        Request(key.removeprefix(prefix), value) for key, value in sorted(annotations.items()) if key.startswith(prefix)
    )


def _queue_labels(labels: Mapping[str, str]) -> Mapping[str, str]:
    """Kueue's labels; without the queue's name there is nothing to pass on."""
    if naming.KUEUE_QUEUE_LABEL not in labels:
        return {}
    names = (naming.KUEUE_QUEUE_LABEL, naming.KUEUE_PRIORITY_LABEL)
    return {name: labels[name] for name in names if name in labels}


def _int_or_none(value: Any) -> int | None:
    try:
        return None if value is None else int(value)
    except ValueError:
        return None


def _tuple_or_none(value: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(value)


def _time_or_none(value: str | None) -> datetime | None:
    return None if value is None else from_rfc3339(value)


def _text_or_none(time: datetime | None) -> str | None:
    return None if time is None else to_rfc3339(time)


def _without_none(body: Json) -> Json:
    return {key: value for key, value in body.items() if value is not None}
