"""The Job that cleans one volume, and what it reports. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cronwright_core.domain import naming
from cronwright_core.domain.project import Project
from cronwright_core.kube.codec import from_placement
from cronwright_core.kube.ports import Json
from cronwright_core.store.records.workspaces import WorkspaceDirectory

REQUEST_ANNOTATION = f"{naming.GROUP}/cleanup-request"
ROOT = "/workspace"
DEADLINE_SECONDS = 600
"""A volume that cannot be mounted must not hold up a cleaning for ever."""
KEEP_SECONDS = 3600
"""The operator removes the Job as soon as it has read the report; this is for an operator that never comes back."""
_USER = 10001
"""The image's own user."""
_SELECTOR_LABEL = "app.kubernetes.io/name"


@dataclass(frozen=True, slots=True)
class CleanerImage:
    """Our own image, as the nodes can get it; `user` is what cleaners run as where the Project names no user."""

    image: str
    pull_policy: str
    user: int = _USER


@dataclass(frozen=True, slots=True)
class CleaningReport:
    """What a cleaning Job says that it did; see `clean.Report`. `failed_names` None: it could not name them all."""

    handled: int
    removed: int
    freed: int
    failed: int
    failed_names: frozenset[str] | None
    oldest: datetime | None
    problems: tuple[str, ...]


def job_name(project: Project) -> str:
    """One name for each Project: it is the lock against two cleanings at once."""
    return f"cronwright-clean-{naming.short_hash(project.uid, length=16)}"


def build_job(
    project: Project, claim: str, directories: Sequence[WorkspaceDirectory], request_id: str, us: CleanerImage
) -> Json:
    """The Job that removes these directories: `restricted`, without a token, with nothing but the volume.

    It runs as the user of the Project's tasks, since what they wrote belongs to that user. It carries no label of a
    task's Job, and is an execution to nobody.
    """
    context = project.spec.security_context
    user = int(context.get("runAsUser", us.user))
    pod_context: Json = {
        "runAsUser": user,
        "runAsGroup": int(context.get("runAsGroup", user)),
        "runAsNonRoot": user != 0,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if "fsGroup" in context:
        # Its rights without fsGroup itself, for which the kubelet would change the owner of every file first.
        pod_context["supplementalGroups"] = [int(context["fsGroup"])]
    labels = {_SELECTOR_LABEL: naming.CLEANER_NAME, "app.kubernetes.io/part-of": naming.MANAGED_BY}
    entries = [f"{directory.name}={int(directory.ended.timestamp())}" for directory in directories]
    pod: Json = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": pod_context,
        "containers": [
            {
                "name": "clean",
                "image": us.image,
                "imagePullPolicy": us.pull_policy,
                "args": ["clean-workspace", "--root", ROOT, "--report", "/dev/termination-log", *entries],
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "resources": {
                    "requests": {"cpu": "10m", "memory": "32Mi"},
                    "limits": {"cpu": "1", "memory": "256Mi"},
                },
                "volumeMounts": [{"name": naming.WORKSPACE_VOLUME, "mountPath": ROOT}],
            }
        ],
        "volumes": [{"name": naming.WORKSPACE_VOLUME, "persistentVolumeClaim": {"claimName": claim}}],
        # The volume may be one of the nodes that the tasks run on, and can be had nowhere else.
        **from_placement(project.spec),
    }
    if project.spec.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in project.spec.image_pull_secrets]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(project),
            "namespace": project.namespace,
            "labels": labels,
            "annotations": {REQUEST_ANNOTATION: request_id},
            "ownerReferences": [
                {
                    "apiVersion": naming.API_VERSION,
                    "kind": "Project",
                    "name": project.name,
                    "uid": project.uid,
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": DEADLINE_SECONDS,
            "ttlSecondsAfterFinished": KEEP_SECONDS,
            "template": {
                # The tasks' annotations as well: a sidecar that they keep out would not let this Pod end.
                "metadata": {"labels": labels, "annotations": dict(project.spec.pod_annotations)},
                "spec": pod,
            },
        },
    }


def names_of(job: Mapping[str, Any]) -> list[str]:
    """The directories that a cleaning Job was given, in its order: its own spec is the memory of it."""
    arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
    return [text.partition("=")[0] for text in arguments if "=" in text]


def claim_of(job: Mapping[str, Any]) -> str:
    """The claim that a cleaning Job mounts."""
    claim: str = job["spec"]["template"]["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
    return claim


def is_ours(job: Mapping[str, Any], project: Project) -> bool:
    """Whether a Job of that name is one of the operator's: anybody may make Jobs in the Project's namespace."""
    owners = job["metadata"].get("ownerReferences") or ()
    return any(owner.get("controller") and owner.get("uid") == project.uid for owner in owners)


def is_finished(job: Mapping[str, Any]) -> bool:
    """Whether the Job controller has finished it."""
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(item["type"] in ("Complete", "Failed") and item["status"] == "True" for item in conditions)


def failure_of(job: Mapping[str, Any]) -> str:
    """Why a Job that gave no report failed."""
    for item in (job.get("status") or {}).get("conditions") or ():
        if item["type"] == "Failed" and item["status"] == "True":
            return f"{item.get('reason') or 'Failed'}: {item.get('message') or 'no message'}"[:500]
    return "the cleaning Job left no report"


def read_report(pod: Mapping[str, Any]) -> CleaningReport | None:
    """What a Pod of a cleaning Job reported by its termination message, or None if it did not come to that."""
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        terminated = (status.get("state") or {}).get("terminated") or {}
        if terminated.get("exitCode") != 0:
            continue
        try:
            value = json.loads(terminated.get("message") or "")
            failed, names = int(value["failed"]), frozenset(str(name) for name in value["failed_names"])
            oldest = value["oldest"]
            return CleaningReport(
                handled=int(value["handled"]),
                removed=int(value["removed"]),
                freed=int(value["freed"]),
                failed=failed,
                failed_names=names if len(names) == failed else None,
                oldest=None if oldest is None else datetime.fromtimestamp(int(oldest), UTC),
                problems=tuple(str(problem) for problem in value["problems"]),
            )
        except (ValueError, KeyError, TypeError, OverflowError):
            return None
    return None


def settled(names: Sequence[str], report: CleaningReport) -> list[str]:
    """The directories of which nothing is left: those handled and not failed; none if the failed are not all known."""
    if report.failed_names is None:
        return []
    return [name for name in names[: report.handled] if name not in report.failed_names]


def left(names: Sequence[str], report: CleaningReport) -> list[str]:
    """The directories that were handled and may still be there; those that were not handled have their turn yet."""
    gone = set(settled(names, report))
    return [name for name in names[: report.handled] if name not in gone]
