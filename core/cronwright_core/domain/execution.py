"""An execution is one Job with all its attempts, an attempt is one Pod; their state follows from what the cluster
shows.

`execution_state` is pure: Job and Pods in, state out. It holds no memory, so a restarted operator sees the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from cronwright_core.domain.cluster import JobFacts, PodFacts, StopIntent, StopReason
from cronwright_core.domain.progress import Progress

QUEUED = "Queued"
"""The reason of an execution that waits for its turn, as long as nobody says what it waits for (`domain.waits`)."""
_KILLED = 137
"""128 + SIGKILL, as shells tell it."""


class ExecutionStatus(StrEnum):
    """The document's TaskStatus values."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    TIMEOUT = "TIMEOUT"
    CANCELLED = "CANCELLED"

    @property
    def ended(self) -> bool:
        """Whether this is a final state."""
        return self not in (ExecutionStatus.PENDING, ExecutionStatus.RUNNING)


class ExecutionKind(StrEnum):
    """What caused a run: the schedule, or a request."""

    SCHEDULED = "Scheduled"
    ADHOC = "Adhoc"


@dataclass(frozen=True, slots=True)
class ExecutionKey:
    """The natural key: recording the same key twice writes one row.

    `time` is the scheduled time, or for a manual run the time of the request; whole seconds UTC. `request_key` is empty
    for scheduled runs.
    """

    task_uid: str
    kind: ExecutionKind
    time: datetime
    request_key: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One Pod of an execution. `number` counts from 1 in the order of creation.

    `max_memory_mb` (MiB) and `avg_cpu_percent` (of one CPU) are what was measured, None where nothing was.
    """

    number: int
    pod_name: str
    pod_uid: str
    status: ExecutionStatus
    created_time: datetime
    node_name: str | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    exit_code: int | None = None
    reason: str | None = None
    message: str | None = None
    max_memory_mb: float | None = None
    avg_cpu_percent: float | None = None


@dataclass(frozen=True, slots=True)
class ExecutionState:
    """What is known of an execution at one moment. `reason` is one CamelCase word, `message` a sentence for people."""

    status: ExecutionStatus
    admitted_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    exit_code: int | None = None
    reason: str | None = None
    message: str | None = None
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution as it is recorded: its key, whose it is, and its state. It outlives its task.

    `workspace_claim` names the PersistentVolumeClaim in which its directory is, None if it has none.
    `parameters` are the names of the variables that this run alone was given; their values are never recorded.
    """

    execution_id: str
    key: ExecutionKey
    task_id: int
    task_name: str
    owner: str
    project_id: int | None
    namespace: str
    job_name: str
    job_uid: str | None
    created_time: datetime
    state: ExecutionState
    requested_by: str | None = None
    output_summary: str | None = None
    error_message: str | None = None
    progress: Progress | None = None
    workspace_claim: str | None = None
    parameters: tuple[str, ...] = ()


def execution_state(
    job: JobFacts, pods: Sequence[PodFacts], numbers: Mapping[str, int] | None = None
) -> ExecutionState:
    """The state of the Job's execution as its Pods and conditions show it now.

    `numbers` gives the attempt numbers already recorded by Pod uid, so that a Pod that is gone does not renumber
    the rest.
    The outcome of a Job that is being deleted comes from its Pods alone: the Job controller never finishes such a Job.
    """
    numbers = numbers or {}
    attempts = _attempts(job, pods, numbers)
    state = _state(job, pods, attempts)
    return replace(state, end_time=_end_time(job, attempts, numbers)) if state.status.ended else state


def _state(job: JobFacts, pods: Sequence[PodFacts], attempts: tuple[Attempt, ...]) -> ExecutionState:
    running = ExecutionState(
        status=ExecutionStatus.PENDING,
        admitted_time=job.start_time,
        start_time=min((a.start_time for a in attempts if a.start_time), default=None),
        attempts=attempts,
    )
    last = attempts[-1] if attempts else None
    if job.complete_time is not None:
        return _ended(running, ExecutionStatus.SUCCESS, last)
    if job.failed is not None:
        return _failed(job, running, last)
    if job.deletion_time is not None and all(pod.ended for pod in pods):
        # The Pod may be gone, too, and was counted before.
        if job.succeeded_pods or any(a.status is ExecutionStatus.SUCCESS for a in attempts):
            return _ended(running, ExecutionStatus.SUCCESS, last)
        message = "the Job was deleted" if job.stop is None else job.stop.message
        ended = _ended(running, ExecutionStatus.CANCELLED, last)
        return replace(ended, reason="Deleted" if job.stop is None else job.stop.reason.value, message=message)
    if running.start_time is not None:
        running = replace(running, status=ExecutionStatus.RUNNING)
    if job.stop is not None:
        # Between the intent and the end: the program has its grace period.
        return replace(running, reason="Stopping", message=job.stop.message)
    if running.status is ExecutionStatus.RUNNING:
        return running
    waiting = next((a for a in reversed(attempts) if a.reason is not None), None)
    if waiting is not None:
        return replace(running, reason=waiting.reason, message=waiting.message)
    if job.suspended:
        return replace(running, reason=QUEUED, message="waits for its turn")
    return running


def stopped_status(stop: StopIntent) -> ExecutionStatus:
    """What an execution is called that was ended on purpose."""
    if stop.reason is StopReason.TIMEOUT:
        return ExecutionStatus.TIMEOUT
    return ExecutionStatus.FAILED if stop.reason is StopReason.CANNOT_START else ExecutionStatus.CANCELLED


def with_deletion(job: JobFacts, *, task_gone: bool) -> JobFacts:
    """The Job with the intent that its deletion means: somebody deleted it, or its task, without asking us first.

    Nothing is written for it: the deletionTimestamp stands on the Job and tells a successor the same.
    """
    if job.deletion_time is None or job.stop is not None or job.finished:
        return job
    reason, message = StopReason.DELETED, "its Job was deleted"
    if task_gone:
        reason, message = StopReason.TASK_DELETED, "its task was deleted"
    return replace(job, stop=StopIntent(reason, "kubernetes", job.deletion_time, message))


def _failed(job: JobFacts, running: ExecutionState, last: Attempt | None) -> ExecutionState:
    assert job.failed is not None  # noqa: S101 - for the type checker; the caller has looked
    if last is not None and last.status is ExecutionStatus.SUCCESS:
        # It ended with 0 while a stop was on its way: what the program did counts.
        return _ended(running, ExecutionStatus.SUCCESS, last)
    if job.stop is not None and job.stop.reason is not StopReason.TIMEOUT:
        ended = _ended(running, stopped_status(job.stop), last)
        return replace(ended, reason=job.stop.reason.value, message=job.stop.message)
    timed_out = (
        job.stop is not None
        or job.failed.reason == "DeadlineExceeded"
        or (last is not None and last.status is ExecutionStatus.TIMEOUT)
    )
    if timed_out:
        ended = _ended(running, ExecutionStatus.TIMEOUT, last)
        limit = f" of {job.pod_deadline_seconds} s" if job.pod_deadline_seconds is not None else ""
        return replace(ended, reason="DeadlineExceeded", message=f"ended at its time limit{limit}")
    ended = _ended(running, ExecutionStatus.FAILED, last)
    if last is not None and last.reason is not None:
        return replace(ended, reason=last.reason, message=last.message)
    return replace(ended, reason=job.failed.reason, message=job.failed.message)


def _ended(running: ExecutionState, status: ExecutionStatus, last: Attempt | None) -> ExecutionState:
    return replace(running, status=status, exit_code=last.exit_code if last else None)


def _end_time(job: JobFacts, attempts: Sequence[Attempt], numbers: Mapping[str, int]) -> datetime | None:
    """When the last attempt ended. Where nobody can say that - its node was lost, it never began, its Pod is gone - it
    is the Job's own end, and never that of an attempt before."""
    ends = [attempt.end_time for attempt in attempts if attempt.end_time is not None]
    if ends and attempts[-1].end_time is not None and not _later_ones_are_gone(job, attempts, numbers):
        return max(ends)
    job_end = job.failed.time if job.failed is not None else job.deletion_time
    # The clock of a node may be ahead of the controller's.
    starts = [attempt.start_time for attempt in attempts if attempt.start_time is not None]
    return max((time for time in (job.complete_time or job_end, *starts, *ends) if time is not None), default=None)


def _later_ones_are_gone(job: JobFacts, attempts: Sequence[Attempt], numbers: Mapping[str, int]) -> bool:
    """Whether the last attempt that is there may not have been the last: a known one, or one that nobody saw."""
    if attempts[-1].status is ExecutionStatus.SUCCESS:
        return False
    seen = numbers.keys() | {attempt.pod_uid for attempt in attempts}
    return max(numbers.values(), default=0) > attempts[-1].number or job.failed_pods + job.succeeded_pods > len(seen)


def _attempts(job: JobFacts, pods: Sequence[PodFacts], numbers: Mapping[str, int]) -> tuple[Attempt, ...]:
    result: list[Attempt] = []
    highest = max(numbers.values(), default=0)
    for pod in sorted(pods, key=lambda pod: (pod.creation_time, pod.name)):
        number = numbers.get(pod.uid)
        if number is None:
            highest += 1
            number = highest
        result.append(_attempt(job, pod, number))
    return tuple(sorted(result, key=lambda attempt: attempt.number))


def _attempt(job: JobFacts, pod: PodFacts, number: int) -> Attempt:
    status = ExecutionStatus.PENDING
    reason, message = pod.waiting_reason, pod.waiting_message
    if pod.phase == "Succeeded":
        status, reason, message = ExecutionStatus.SUCCESS, None, None
    elif pod.phase == "Failed":
        status, reason, message = _failed_attempt(job, pod)
    elif pod.start_time is not None:
        status, reason, message = ExecutionStatus.RUNNING, None, None
    return Attempt(
        number=number,
        pod_name=pod.name,
        pod_uid=pod.uid,
        status=status,
        created_time=pod.creation_time,
        node_name=pod.node_name,
        start_time=pod.start_time,
        end_time=pod.end_time,
        exit_code=pod.exit_code,
        reason=reason,
        message=message,
    )


def _failed_attempt(job: JobFacts, pod: PodFacts) -> tuple[ExecutionStatus, str, str | None]:
    """What a person can do something about: the limit that was passed, the node that was lost, who ended it."""
    if pod.reason == "DeadlineExceeded":
        if job.stop is not None and job.stop.reason is not StopReason.TIMEOUT and pod.deadline_seconds == 1:
            # Its deadline was lowered to end it: this is not a time limit that anybody had set.
            return stopped_status(job.stop), job.stop.reason.value, job.stop.message
        return ExecutionStatus.TIMEOUT, "DeadlineExceeded", pod.message
    status, limit = ExecutionStatus.FAILED, pod.memory_limit
    if pod.reason is not None:
        return status, pod.reason, pod.message
    reason, said = pod.failed_by_another or (pod.terminated_reason, pod.terminated_message)
    if reason == "OOMKilled":
        bound = f"its limit of {limit}" if limit is not None else "its limit"
        return status, "OOMKilled", said or f"ended by the kernel: it used more memory than {bound}"
    said = said or (f"ended with exit code {pod.exit_code}" if pod.exit_code is not None else None)
    if pod.deletion_time is not None:
        return status, "PodDeleted", f"its Pod was deleted; {said}" if said else "its Pod was deleted"
    if pod.exit_code == _KILLED and limit is not None and reason in (None, "Error"):
        # The kernel may have ended a child of the container's first process: then nobody reports OOMKilled.
        return status, "Killed", f"ended with exit code 137 (SIGKILL): out of memory? Its limit is {limit}"
    return status, reason or "Error", said
