"""The CronJobs and Jobs that a task becomes. Pure: data in, JSON out.

Everything here can be inspected with kubectl, and the CronJob works without the operator: its template carries the
labels, the time limit and the retry rule.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import CronJobFacts
from cronwright_core.domain.execution import ExecutionKind
from cronwright_core.domain.parameters import Variables
from cronwright_core.domain.project import ContainerTemplate, Project
from cronwright_core.domain.task import ScheduledTask
from cronwright_core.domain.times import to_rfc3339
from cronwright_core.kube.codec import from_placement

Json = dict[str, Any]

GRACE_SECONDS = 30
"""Between SIGTERM and SIGKILL, Kubernetes' own default, written out because deadlines are computed with it."""
BACKSTOP_SECONDS = 60
HISTORY_LIMIT = 1000
"""High, so that the controller never removes a Job before it is recorded - 1000 is an absence of 16 hours for a
minutely task; the operator removes them itself."""
_JOB_NAME_LABEL = "batch.kubernetes.io/job-name"


@dataclass(frozen=True, slots=True)
class CronJobOutline:
    """What tells whether a CronJob stands as it is wanted."""

    spec_hash: str
    schedule: str
    time_zone: str
    suspend: bool
    concurrency_policy: str

    def fits(self, current: CronJobFacts) -> bool:
        """Whether the CronJob is the one that we would write, also in what others like to change by hand."""
        return self == CronJobOutline(
            current.spec_hash or "",
            current.schedule,
            current.time_zone or "",
            current.suspend,
            current.concurrency_policy,
        )


_MAX_KNOWN = 20_000
_known_outlines: dict[str, tuple[tuple[object, ...], CronJobOutline]] = {}
"""By the task's uid what its CronJob was last built from, and the outline; the oldest goes first."""


def build_cronjob(
    task: ScheduledTask,
    project: Project,
    *,
    cron_line: str,
    suspend: bool,
    priority_class: str | None = None,
) -> Json:
    """The live CronJob of a Cron task. With the operator away the cluster's own controller runs it as it stands.

    `timeZone` is always set (absent means the zone of the controller's process), and there is no
    startingDeadlineSeconds: with one, a late run vanishes without a trace (kubernetes/kubernetes cronjob utils.go).
    """
    spec = _cronjob_spec(task, project, cron_line, suspend, priority_class)
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": naming.cronjob_name(task.name, task.uid),
            "namespace": task.namespace,
            "labels": _labels(task),
            "annotations": {naming.SPEC_HASH_ANNOTATION: spec_hash(spec)},
            "ownerReferences": [_owned_by_task(task)],
        },
        "spec": spec,
    }


def outline_cronjob(
    task: ScheduledTask,
    project: Project,
    *,
    cron_line: str,
    suspend: bool,
    priority_class: str | None = None,
) -> CronJobOutline:
    """The outline of what `build_cronjob` makes of the same. Each look at a task asks for it, and hardly one finds
    anything changed: then it is known. To build and to hash it all was a quarter of the whole decision."""
    spec_of = (task, project, cron_line, suspend, priority_class)
    built_from = (task.name, task.spec, task.queue_labels, project.spec, *spec_of[2:])
    known_from, outline = _known_outlines.pop(task.uid, (None, None))
    if outline is None or known_from != built_from:
        spec = _cronjob_spec(*spec_of)
        outline = CronJobOutline(
            spec_hash(spec), spec["schedule"], spec["timeZone"], spec["suspend"], spec["concurrencyPolicy"]
        )
    if len(_known_outlines) >= _MAX_KNOWN:
        del _known_outlines[next(iter(_known_outlines))]
    # What was asked with now, although it is equal: each event brings a new spec, and the one before it can go.
    _known_outlines[task.uid] = built_from, outline
    return outline


def _cronjob_spec(
    task: ScheduledTask, project: Project, cron_line: str, suspend: bool, priority_class: str | None
) -> Json:
    return {
        "schedule": cron_line,
        "timeZone": task.spec.time_zone,
        "suspend": suspend,
        "concurrencyPolicy": "Forbid" if task.spec.max_instances == 1 else "Allow",
        "successfulJobsHistoryLimit": HISTORY_LIMIT,
        "failedJobsHistoryLimit": HISTORY_LIMIT,
        "jobTemplate": {
            "metadata": {"labels": _job_labels(task), "annotations": _annotations(task)},
            "spec": build_job_spec(task, project, priority_class),
        },
    }


def build_tick_job(task: ScheduledTask, project: Project, *, tick: datetime, priority_class: str | None = None) -> Json:
    """The Job of an Interval, Date or Once tick; its name is the lock against a second run of the same tick."""
    stem = naming.cronjob_name(task.name, task.uid)
    return _job(
        task,
        project,
        name=naming.tick_job_name(stem, tick),
        annotations=_tick_annotations(task, tick),
        priority_class=priority_class,
    )


def build_cron_tick_job(
    task: ScheduledTask,
    project: Project,
    cronjob: CronJobFacts,
    *,
    tick: datetime,
    priority_class: str | None = None,
) -> Json:
    """The Job that the CronJob controller would make for this tick, under its name, owned by the CronJob.

    Besides the controller's annotation it carries ours, by which it is known that we made it.
    """
    manifest = _job(
        task,
        project,
        name=naming.cron_tick_job_name(cronjob.name, tick),
        annotations={**_tick_annotations(task, tick), naming.CRONJOB_TICK_ANNOTATION: to_rfc3339(tick)},
        priority_class=priority_class,
    )
    manifest["metadata"]["ownerReferences"] = [
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "name": cronjob.name,
            "uid": cronjob.uid,
            "controller": True,
            "blockOwnerDeletion": False,
        }
    ]
    return manifest


def build_request_job(
    task: ScheduledTask,
    project: Project,
    *,
    request_key: str,
    time: datetime,
    requested_by: str,
    parameters: Variables = (),
    priority_class: str | None = None,
) -> Json:
    """The Job of a manual run; the same request key always gives the same name, however often it is asked for.

    `parameters` are variables that this run alone gets, over those of task and project. Their names are noted beside,
    since in the Pod's template they cannot be told from the others.
    """
    stem = naming.cronjob_name(task.name, task.uid)
    own: tuple[Mapping[str, Any], ...] = tuple({"name": name, "value": value} for name, value in parameters)
    noted = {naming.PARAMETERS_ANNOTATION: json.dumps([name for name, _ in parameters])} if parameters else {}
    overrides = replace(task.spec.overrides, env=(*task.spec.overrides.env, *own))
    task = replace(task, spec=replace(task.spec, overrides=overrides))
    return _job(
        task,
        project,
        name=naming.request_job_name(stem, task.uid, request_key),
        priority_class=priority_class,
        annotations={
            naming.EXECUTION_ANNOTATION: naming.execution_id(task.uid, ExecutionKind.ADHOC, time, request_key),
            naming.REQUEST_KEY_ANNOTATION: request_key,
            naming.REQUESTED_BY_ANNOTATION: requested_by,
            **noted,
        },
    )


def build_job_spec(task: ScheduledTask, project: Project, priority_class: str | None = None) -> Json:
    """`spec` of every Job of the task.

    The time limit stands on the Pod: there the kubelet ends the container and the Pod and its log stay. The Job's own
    deadline deletes the Pod with its output, so it is a back-stop for Pods that no kubelet ever takes.
    """
    timeout = task.spec.timeout_seconds
    metadata: Json = {"labels": _labels(task)}
    if project.spec.pod_annotations:
        metadata["annotations"] = dict(project.spec.pod_annotations)
    return {
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": task.spec.retry_count,
        # An attempt is a Pod, and no two overlap: the next one waits until the last has ended.
        "podReplacementPolicy": "Failed",
        "activeDeadlineSeconds": timeout + task.spec.pending_deadline_seconds + GRACE_SECONDS + BACKSTOP_SECONDS,
        "template": {
            "metadata": metadata,
            "spec": _pod_spec(task, project, priority_class),
        },
    }


def merged_container(task: ScheduledTask, project: Project) -> ContainerTemplate:
    """The Project's container with the task's overrides; a variable of the same name replaces the Project's."""
    base, over = project.spec.container, task.spec.overrides
    env = {variable["name"]: variable for variable in base.env}
    env |= {variable["name"]: variable for variable in over.env}
    return ContainerTemplate(
        image=over.image or base.image,
        command=base.command if over.command is None else over.command,
        args=base.args if over.args is None else over.args,
        env=tuple(env.values()),
        resources=base.resources if over.resources is None else over.resources,
    )


def spec_hash(spec: Mapping[str, Any]) -> str:
    """Tells whether the CronJob that stands there is the one that we would write."""
    return naming.short_hash(json.dumps(spec, sort_keys=True, separators=(",", ":")), length=16)


def _pod_spec(task: ScheduledTask, project: Project, priority_class: str | None) -> Json:
    container = merged_container(task, project)
    context = dict(project.spec.security_context)
    fs_group = context.pop("fsGroup", None)
    body: Json = {
        "name": naming.CONTAINER,
        "image": container.image,
        # What a program prints last, if it writes no termination message of its own.
        "terminationMessagePolicy": "File",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
            **context,
        },
    }
    if env := _environment(project, container):
        body["env"] = env
    if container.command:
        body["command"] = list(container.command)
    if container.args:
        body["args"] = list(container.args)
    if container.resources:
        body["resources"] = dict(container.resources)
    if project.spec.image_pull_policy:
        body["imagePullPolicy"] = project.spec.image_pull_policy
    spec: Json = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": task.spec.timeout_seconds,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "containers": [body],
        # Without a ServiceAccount named by the Project, a task's program gets no right on the cluster.
        "automountServiceAccountToken": project.spec.service_account_name is not None,
        **from_placement(project.spec),
    }
    if priority_class is not None:
        spec["priorityClassName"] = priority_class
    if project.spec.service_account_name is not None:
        spec["serviceAccountName"] = project.spec.service_account_name
    if project.spec.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in project.spec.image_pull_secrets]
    if fs_group is not None:
        spec["securityContext"] = {"fsGroup": fs_group}
    if project.spec.workspace is not None:
        body["volumeMounts"] = [
            {
                "name": naming.WORKSPACE_VOLUME,
                "mountPath": project.spec.workspace.mount_path,
                "subPathExpr": "$(CRONWRIGHT_JOB_NAME)",
            }
        ]
        spec["volumes"] = [
            {
                "name": naming.WORKSPACE_VOLUME,
                "persistentVolumeClaim": {"claimName": project.spec.workspace.claim_name},
            }
        ]
    return spec


def _environment(project: Project, container: ContainerTemplate) -> list[Json]:
    """The container's own variables, and where its workspace is.

    Nothing more: the API server goes through every field at each of the dozen writes of a run, and two variables that
    hardly a program asks for made it slower (docs/benchmarks.md).
    """
    if project.spec.workspace is None:
        return [dict(variable) for variable in container.env]
    ours: list[Json] = [
        {
            "name": "CRONWRIGHT_JOB_NAME",
            "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{_JOB_NAME_LABEL}']"}},
        },
        {"name": "CRONWRIGHT_WORKSPACE", "value": project.spec.workspace.mount_path},
    ]
    # Ours cannot be replaced: the workspace's directory is named by one of them.
    names = {variable["name"] for variable in ours}
    return [dict(variable) for variable in container.env if variable["name"] not in names] + ours


def _job(
    task: ScheduledTask,
    project: Project,
    *,
    name: str,
    annotations: Mapping[str, str],
    priority_class: str | None,
) -> Json:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": task.namespace,
            "labels": _job_labels(task),
            "annotations": {**_annotations(task), **annotations},
            # With it from the first moment: whatever happens to the operator, the Job stays until it is recorded.
            "finalizers": [naming.FINALIZER],
            "ownerReferences": [_owned_by_task(task)],
        },
        "spec": build_job_spec(task, project, priority_class),
    }


def _tick_annotations(task: ScheduledTask, tick: datetime) -> dict[str, str]:
    return {
        naming.EXECUTION_ANNOTATION: naming.execution_id(task.uid, ExecutionKind.SCHEDULED, tick, ""),
        naming.SCHEDULED_TIME_ANNOTATION: to_rfc3339(tick),
    }


def _job_labels(task: ScheduledTask) -> dict[str, str]:
    # Kueue looks at the Job alone.
    return {**_labels(task), **task.queue_labels}


def _labels(task: ScheduledTask) -> dict[str, str]:
    return {
        naming.MANAGED_BY_LABEL: naming.MANAGED_BY,
        naming.TASK_UID_LABEL: task.uid,
        naming.PROJECT_LABEL: naming.label_value(task.spec.project_name),
        naming.TASK_NAME_LABEL: naming.label_value(task.name),
    }


def _annotations(task: ScheduledTask) -> dict[str, str]:
    # Whoever ends a Pod that cannot start may have nothing but its Job: the task may be changed by then, or gone.
    return {naming.PENDING_DEADLINE_ANNOTATION: str(task.spec.pending_deadline_seconds)}


def _owned_by_task(task: ScheduledTask) -> Json:
    return {
        "apiVersion": naming.API_VERSION,
        "kind": "ScheduledTask",
        "name": task.name,
        "uid": task.uid,
        "controller": True,
        # False: `true` would need the right to update the task's finalizers (OwnerReferencesPermissionEnforcement).
        "blockOwnerDeletion": False,
    }
