"""Every name that Cronwright writes into a cluster: Jobs, CronJobs, labels, annotations, the finalizer, execution ids.

The names of Jobs are the lock against running a tick twice: they are computed from the task's uid and the tick alone,
so that a successor after a crash computes the same name and meets `AlreadyExists`.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from functools import lru_cache

from cronwright_core.domain.times import whole_seconds

GROUP = "cronwright.dev"
VERSION = "v1"
API_VERSION = f"{GROUP}/{VERSION}"
TASK_PLURAL = "scheduledtasks"
PROJECT_PLURAL = "projects"

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "cronwright"
MANAGED_SELECTOR = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
"""Selects the CronJobs, Jobs and Pods that belong to tasks; the chart's own objects carry `Helm` here."""

TASK_UID_LABEL = f"{GROUP}/task-uid"
TASK_NAME_LABEL = f"{GROUP}/task"
TASK_ID_LABEL = f"{GROUP}/task-id"
PROJECT_ID_LABEL = f"{GROUP}/project-id"
PROJECT_LABEL = f"{GROUP}/project"

KUEUE_QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
KUEUE_PRIORITY_LABEL = "kueue.x-k8s.io/priority-class"
"""Kueue's own labels (kueue.sigs.k8s.io, "Run Jobs in Kueue"): on a task they are passed to its Jobs."""

FINALIZER = f"{GROUP}/record"
"""On a Job: its final record is not committed yet. The operator alone removes it (or `cronwright release`)."""

EXECUTION_ANNOTATION = f"{GROUP}/execution"
SCHEDULED_TIME_ANNOTATION = f"{GROUP}/scheduled-time"
REQUEST_KEY_ANNOTATION = f"{GROUP}/request-key"
REQUESTED_BY_ANNOTATION = f"{GROUP}/requested-by"
PARAMETERS_ANNOTATION = f"{GROUP}/parameters"
"""On the Job of a manual run: the names of the variables that it alone was given, as a JSON list."""
STOP_ANNOTATION = f"{GROUP}/stop"
RECORDED_ANNOTATION = f"{GROUP}/recorded"
"""On a Job: when its final record was committed; only then may it be deleted."""
PENDING_DEADLINE_ANNOTATION = f"{GROUP}/pending-deadline-seconds"
"""On a Job: how long a Pod of it may fail to start. Outlives an edit and the deletion of the task."""
SPEC_HASH_ANNOTATION = f"{GROUP}/spec-hash"
CRONJOB_TICK_ANNOTATION = "batch.kubernetes.io/cronjob-scheduled-timestamp"
"""Set by the CronJob controller on its Jobs: the tick as RFC 3339 (k8s.io/api batch/v1 types.go)."""
CRONJOB_MANUAL_ANNOTATION = "cronjob.kubernetes.io/instantiate"
"""Set to `manual` by `kubectl create job --from=cronjob/...`."""
OUTPUT_SUMMARY_ANNOTATION = f"{GROUP}/output-summary"
PROGRESS_ANNOTATION = f"{GROUP}/progress"
"""On a Pod, set by whoever knows: how far its program is (`65% copying`)."""

WORKSPACE_VOLUME = "workspace"
"""The name of the volume with the executions' directories, in the Pods of a Project that has one."""

TRIGGER_PREFIX = f"trigger.{GROUP}/"
CANCEL_PREFIX = f"cancel.{GROUP}/"
CLEANUP_PREFIX = f"cleanup.{GROUP}/"
"""On a Project: a request to clean its workspace; the rest of the name tells requests apart."""
CLEANER_NAME = "cronwright-workspace-cleaner"
"""`app.kubernetes.io/name` of the Jobs that clean workspaces; they carry no label of a task's."""

CONTAINER = "task"
"""The container of a Pod that runs the task's program."""

CRONJOB_STEM_LENGTH = 41
"""`<stem>-<8 hex>` stays within 50 of the 52 characters that a CronJob's name may have (its Jobs append 11)."""


def label_value(name: str) -> str:
    """A name as a label can carry it: the first 63 characters, ending with a letter or digit."""
    return name[:63].rstrip("-._")


def run_key(namespace: str, job_name: str) -> str:
    """Names a run among all: its Job's name with the namespace."""
    return f"{namespace}/{job_name}"


def project_key(namespace: str, name: str) -> str:
    """Names a Project among all; the same from its own name and from the label of a Job."""
    return f"{namespace}/{label_value(name)}"


def short_hash(*parts: str, length: int = 8) -> str:
    """Returns `length` hex digits of the SHA-256 of the parts, joined so that no two lists of parts collide by
    design."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:length]


def cronjob_name(task_name: str, task_uid: str) -> str:
    """The name of the task's CronJob and the stem of all its Jobs; at most 50 characters, a DNS-1123 label.

    A ScheduledTask's name may be a DNS subdomain; dots become dashes, as a Job's name ends up in a Pod's host name.
    """
    stem = re.sub(r"[^a-z0-9-]", "-", task_name.lower())[:CRONJOB_STEM_LENGTH].strip("-") or "task"
    return f"{stem}-{short_hash(task_uid)}"


def cron_tick_job_name(stem: str, tick: datetime) -> str:
    """The CronJob controller's own name for a tick: `<cronjob>-<minutes since 1970>` (cronjob_controllerv2.go
    getJobName)."""
    return f"{stem}-{int(tick.timestamp()) // 60}"


def tick_job_name(stem: str, tick: datetime) -> str:
    """The Job of an INTERVAL, DATE or ONCE tick: `<stem>-<seconds since 1970>`; two more digits than a cron tick's,
    so never equal."""
    return f"{stem}-{int(tick.timestamp())}"


def request_job_name(stem: str, task_uid: str, request_key: str) -> str:
    """The Job of a manual run; the same request (Idempotency-Key) always gets the same name."""
    return f"{stem}-m{short_hash(task_uid, request_key, length=9)}"


def execution_id(task_uid: str, kind: str, time: datetime, request_key: str) -> str:
    """`exec-<UTC time>-<hash>`: derived from the natural key alone; the time in it names the monthly partition."""
    return _execution_id(task_uid, kind, time, request_key)


@lru_cache(maxsize=16_384)  # each look at a Job asks for it, and a thousand may be looked at in turns
def _execution_id(task_uid: str, kind: str, time: datetime, request_key: str) -> str:
    stamp = whole_seconds(time).strftime("%Y%m%d%H%M%S")
    return f"exec-{stamp}-{short_hash(task_uid, kind, stamp, request_key, length=16)}"


_EXECUTION_ID = re.compile(r"exec-(\d{14})-[0-9a-f]{16}")


def execution_time(id_: str) -> datetime | None:
    """Returns the time in an execution id, or None if the text is not an execution id."""
    match = _EXECUTION_ID.fullmatch(id_)
    if match is None:
        return None
    try:
        return datetime.strptime(match[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def request_key_suffix(idempotency_key: str) -> str:
    """The part of a trigger annotation's name that stands for a client's key: at most 63 legal characters."""
    return short_hash(idempotency_key, length=32)


def workspace_path(id_: str) -> str:
    """The workspace's logical path as the customer's document shows it."""
    return f"/tmp/workspaces/{id_}"  # noqa: S108 - a name shown to users, not a file that we open


def log_path(id_: str, log_type: str) -> str:
    """The log's logical path as the customer's document shows it; `log_type` is `output` or `error`."""
    return f"/logs/tasks/{id_}/{log_type}.log"
