"""The attempts of an execution: those whose Pods are there, and those whose Pods are gone. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from cronwright_core.domain.cluster import JobFacts, PodFacts
from cronwright_core.domain.execution import Attempt, ExecutionState, ExecutionStatus
from cronwright_core.domain.usage import Usage


def numbers_of(known: Mapping[str, Attempt]) -> dict[str, int]:
    """The attempt numbers given so far, by Pod uid."""
    return {uid: attempt.number for uid, attempt in known.items()}


def pods_agree(job: JobFacts, pods: Sequence[PodFacts], known: Mapping[str, Attempt]) -> bool:
    """Whether the Pods seen can be the whole story of a Job that has ended or is being deleted."""
    if not job.finished:
        # A Job that is being deleted ends with its Pods; having seen none that runs may only mean a late watch.
        return job.deletion_time is None or not all(pod.ended for pod in pods)
    seen = {pod.uid for pod in pods} | set(known)
    return all(pod.ended for pod in pods) and len(seen) >= job.succeeded_pods + job.failed_pods


def may_have_run(pod: PodFacts) -> bool:
    """Whether the Pod has failed without a start: it never ran, or the kubelet does not know of it any more.

    For a container that its runtime has lost - the node has rebooted, or it was removed before its end was seen - the
    kubelet writes ContainerStatusUnknown, and no times (convertToAPIContainerStatuses in pkg/kubelet).
    """
    return pod.phase == "Failed" and pod.start_time is None


def with_known_starts(pods: Sequence[PodFacts], known: Mapping[str, Attempt]) -> list[PodFacts]:
    """The Pods with the starts that were seen before: one that has run has output, whatever it says of itself now."""
    return [
        replace(pod, start_time=known[pod.uid].start_time) if pod.start_time is None and pod.uid in known else pod
        for pod in pods
    ]


def with_vanished(
    state: ExecutionState, known: Mapping[str, Attempt], pods: Sequence[PodFacts], now: datetime
) -> ExecutionState:
    """Adds attempts whose Pods somebody deleted: an attempt that has been seen stays in the record."""
    present = {pod.uid for pod in pods}
    vanished = []
    for uid, attempt in known.items():
        if uid in present:
            continue
        if not attempt.status.ended and attempt.start_time is None and state.status.ended:
            # It never ran, so the execution's end is its end: cancelled, or not able to start.
            attempt = replace(attempt, status=state.status, reason=state.reason, message=state.message)
        elif not attempt.status.ended:
            attempt = replace(
                attempt,
                status=ExecutionStatus.FAILED,
                end_time=attempt.end_time or _vanished_by(state, attempt, now),
                reason="PodDeleted",
                message="its Pod was deleted before its end was seen",
            )
        vanished.append(attempt)
    if not vanished:
        return state
    attempts = tuple(sorted((*vanished, *state.attempts), key=lambda attempt: attempt.number))
    start = min((a.start_time for a in attempts if a.start_time), default=None)
    last = attempts[-1]
    changes: dict[str, object] = {"attempts": attempts, "start_time": start}
    if state.status is ExecutionStatus.PENDING and start is not None:
        changes |= {"status": ExecutionStatus.RUNNING, "reason": None, "message": None}
    if state.status.ended and state.exit_code is None:
        changes["exit_code"] = last.exit_code
    if state.status.ended and last.pod_uid not in present and last.end_time is not None:
        changes["end_time"] = last.end_time
    if state.reason == "BackoffLimitExceeded" and last.pod_uid not in present and last.reason is not None:
        # The Job only says that its attempts failed; the last one, gone meanwhile, had said why.
        changes |= {"status": last.status, "reason": last.reason, "message": last.message}
    return replace(state, **changes)  # type: ignore[arg-type]


def _vanished_by(state: ExecutionState, attempt: Attempt, now: datetime) -> datetime:
    """When an attempt had ended whose end nobody saw: by the end of its execution, however late we look."""
    if state.end_time is None or attempt.start_time is None:
        return now
    return max(state.end_time, attempt.start_time)


def with_usage(state: ExecutionState, usage_of_pod: Callable[[str], Usage]) -> ExecutionState:
    """Adds what the attempts' Pods were seen to use; what is known already is never set back to nothing."""
    attempts = []
    for attempt in state.attempts:
        usage = usage_of_pod(attempt.pod_uid)
        memory = attempt.max_memory_mb if usage.max_memory_mb is None else usage.max_memory_mb
        cpu = attempt.avg_cpu_percent if usage.avg_cpu_percent is None else usage.avg_cpu_percent
        attempts.append(replace(attempt, max_memory_mb=memory, avg_cpu_percent=cpu))
    return replace(state, attempts=tuple(attempts))
