"""What Jobs, Pods and CronJobs of the cluster say, as far as decisions need it. `kube.workloads` reads them from
JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cronwright_core.domain import naming
from cronwright_core.domain.task import DEFAULT_PENDING_DEADLINE_SECONDS


class StopReason(StrEnum):
    """Why the operator ends an execution: stands in the Job's stop annotation, where a successor reads it."""

    TIMEOUT = "Timeout"
    CANCELLED = "Cancelled"
    REPLACED = "Replaced"
    TASK_DELETED = "TaskDeleted"
    CANNOT_START = "CannotStart"
    INVALID_REQUEST = "InvalidRequest"
    """A manual run that was asked for with parameters that cannot be; it never gets a Job."""
    DELETED = "Deleted"
    SUSPENDED = "Suspended"
    """Its task was suspended while it waited for its turn."""


OPERATOR = "operator"
"""Who ends a run that no user asked to be ended."""


@dataclass(frozen=True, slots=True)
class StopIntent:
    """An end that was decided; `by` is a user's name or `OPERATOR`."""

    reason: StopReason
    by: str
    at: datetime
    message: str


@dataclass(frozen=True, slots=True)
class JobFailure:
    """The Job's `Failed` condition."""

    reason: str
    message: str
    time: datetime


@dataclass(frozen=True, slots=True)
class JobFacts:
    """One Job of a task.

    `tick` is the scheduled time, None for a manual run. `accepted`: carries our finalizer, or is recorded already.
    `owner_uid` is the controlling owner's (CronJob or ScheduledTask). `pod_deadline_seconds` is the time limit that the
    template gives to each Pod, `deadline_seconds` the Job's own (the back-stop, which deletes Pods). `workspace_claim`
    is the PersistentVolumeClaim in which its Pods have a directory, named as the Job; None without one. `project` and
    `task_name` are the names of the task's Project and its own as the labels carry them. `stepped_in`: the operator
    made it in place of the CronJob controller. `queue_name`: Kueue admits it, not we. `held_back`: the Job controller
    has it as suspended (condition `Suspended`), which outlasts `suspended` until it looks. Equal ones differ in
    `resource_version` at most.
    """

    namespace: str
    name: str
    uid: str
    task_uid: str
    owner_uid: str | None
    owner_kind: str | None
    creation_time: datetime
    tick: datetime | None
    request_key: str | None
    requested_by: str | None
    execution_id: str | None
    has_finalizer: bool
    recorded_time: datetime | None
    suspended: bool
    start_time: datetime | None
    complete_time: datetime | None
    failed: JobFailure | None
    failed_pods: int
    backoff_limit: int
    pod_deadline_seconds: int | None
    deletion_time: datetime | None
    stop: StopIntent | None
    succeeded_pods: int = 0
    container: str = naming.CONTAINER
    resource_version: str = field(default="", compare=False)
    parallelism: int = 1
    deadline_seconds: int | None = None
    pending_deadline_seconds: int = DEFAULT_PENDING_DEADLINE_SECONDS
    workspace_claim: str | None = None
    parameters: tuple[str, ...] = ()
    project: str = ""
    task_name: str = ""
    stepped_in: bool = False
    queue_name: str | None = None
    held_back: bool = False

    @property
    def accepted(self) -> bool:
        """Whether the operator has taken this Job as a run of the task."""
        return self.has_finalizer or self.recorded_time is not None

    @property
    def finished(self) -> bool:
        """Whether the Job controller has finished it."""
        return self.complete_time is not None or self.failed is not None

    @property
    def begun_time(self) -> datetime | None:
        """When the Job controller began with it as it was let go; None: not yet.

        That controller makes the Pod first and tells after (job_controller.go, syncJob), and begins with a few Jobs a
        second: until it has told, a Job that may run cannot be told from one that gets no Pod.
        """
        return None if self.suspended or self.held_back else self.start_time

    @property
    def stopping(self) -> bool:
        """Whether its end was decided: an intent stands on it, or somebody has deleted it. It starts nothing more."""
        return not self.finished and (self.stop is not None or self.deletion_time is not None)


@dataclass(frozen=True, slots=True)
class PodFacts:
    """One Pod of a Job; times are those of its task container.

    `acknowledged_time` is when a kubelet took it: from then on its deadline counts. `orphaned`: it has no owner.
    `host` is the address of its node. `failed_by_another` is (reason, message) if another container failed in place of
    the task's; what `terminated_*` say stays the task's own.
    """

    namespace: str
    name: str
    uid: str
    job_uid: str | None
    creation_time: datetime
    phase: str
    deletion_time: datetime | None = None
    reason: str | None = None
    message: str | None = None
    node_name: str | None = None
    deadline_seconds: int | None = None
    acknowledged_time: datetime | None = None
    waiting_reason: str | None = None
    waiting_message: str | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    exit_code: int | None = None
    terminated_reason: str | None = None
    terminated_message: str | None = None
    output_summary: str | None = None
    progress: str | None = None
    memory_limit: str | None = None
    orphaned: bool = False
    host: str | None = None
    failed_by_another: tuple[str, str] | None = None

    @property
    def ended(self) -> bool:
        """Whether no container of it runs any more."""
        return self.phase in ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class CronJobFacts:
    """The CronJob of a task. `spec_hash` is what we last wrote; the other fields are as they stand.

    `active` are (name, uid) of `status.active`, in its order. Equal ones differ in `resource_version` at most.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str = field(compare=False)
    creation_time: datetime
    spec_hash: str | None
    schedule: str
    time_zone: str | None
    suspend: bool
    concurrency_policy: str
    last_schedule_time: datetime | None
    deleting: bool
    active: tuple[tuple[str, str], ...] = ()
