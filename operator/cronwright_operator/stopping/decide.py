"""What is seen of a Job and its Pods -> what must be done to end it in time. Pure: no await, no clock, no log.

Level-triggered: each step leaves its mark in the cluster (the intent on the Job, the deadline of the Pod), and the next
look goes on from there, whoever looks. The order matters: the intent first. A Pod that ends before it stands would be
followed by a retry, and nobody would know why it ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cronwright_core.domain.cluster import OPERATOR, JobFacts, PodFacts, StopIntent, StopReason
from cronwright_operator.stopping.actions import (
    DeletePod,
    FinishJob,
    LowerDeadline,
    StopAction,
    StopDecision,
    WriteIntent,
)


@dataclass(frozen=True, slots=True)
class Seen:
    """One snapshot. `explanation`: what the events say of the Pod or Job that does not start; None: not asked yet."""

    job: JobFacts
    pods: tuple[PodFacts, ...]
    now: datetime
    explanation: str | None = None


def decide(seen: Seen) -> StopDecision:
    """Decides everything about the end of one Job at one moment."""
    job = seen.job
    if job.finished:
        return StopDecision()
    if job.deletion_time is not None:
        return StopDecision(_end_deleted(seen.pods))
    if job.stop is not None:
        return StopDecision(plan_stop(job, seen.pods, job.stop))
    if job.suspended or any(pod.phase == "Succeeded" for pod in seen.pods):
        return StopDecision()
    limit = time_limit(job, seen.pods)
    if limit is not None and seen.now >= limit:
        if _ends_by_itself(job, seen.pods, limit):
            return StopDecision()
        message = f"ended at its time limit of {job.pod_deadline_seconds} s"
        return StopDecision(plan_stop(job, seen.pods, StopIntent(StopReason.TIMEOUT, OPERATOR, seen.now, message)))
    unstarted = _unstarted(job, seen.pods)
    if unstarted is not None and seen.now >= unstarted[1]:
        return _cannot_start(seen, unstarted[0])
    actions = _limit_attempts(seen.pods, limit) if limit is not None else ()
    times = [time for time in (limit, unstarted[1] if unstarted else None) if time is not None]
    return StopDecision(actions, min(times, default=None))


def plan_stop(job: JobFacts, pods: Sequence[PodFacts], stop: StopIntent) -> tuple[StopAction, ...]:
    """What is still to be done to end an unfinished Job for this reason; nothing once it is on its way."""
    taken = [pod for pod in pods if pod.acknowledged_time is not None and not pod.ended]
    if any(pod.phase == "Succeeded" for pod in pods):
        return ()  # it has done its work; the controller is about to finish the Job
    failed = failed_attempts(job, pods)
    if not taken:
        # Waiting, between two attempts, or without a node: there is no output that could be lost.
        told = not job.suspended and job.parallelism == 0 and job.deadline_seconds == 1
        on_its_way = job.stop is not None and (told or failed > job.backoff_limit)
        return () if on_its_way else (FinishJob(job, stop),)
    actions: list[StopAction] = []
    if job.stop is None or job.backoff_limit > failed:
        # If we die after this, a successor reads the intent and ends the Pod.
        actions.append(WriteIntent(job, stop, min(failed, job.backoff_limit)))
    actions += [LowerDeadline(pod, 1) for pod in taken if pod.deletion_time is None and pod.deadline_seconds != 1]
    return tuple(actions)


def failed_attempts(job: JobFacts, pods: Sequence[PodFacts]) -> int:
    """How many attempts have failed: counted ones whose Pods may be gone, or Pods that are not counted yet.

    Too low only between two attempts (one gone, one not counted yet), when no Pod runs that it could harm.
    """
    return max(job.failed_pods, sum(1 for pod in pods if pod.phase == "Failed"))


def time_limit(job: JobFacts, pods: Sequence[PodFacts]) -> datetime | None:
    """When the execution has had its time, all attempts together; None while its first Pod waits for a node.

    Counted from when a node took the first Pod - there the kubelet counts the Pod's own deadline from, too, with or
    without an operator; if that Pod is gone, from admission.
    """
    if job.start_time is None or job.pod_deadline_seconds is None:
        return None
    begin: datetime | None = job.start_time
    first = min(pods, key=lambda pod: (pod.creation_time, pod.name), default=None)
    first_is_there = job.failed_pods <= sum(1 for pod in pods if pod.phase == "Failed")
    if first_is_there:
        if first is None or (first.acknowledged_time is None and not first.ended):
            return None
        begin = first.acknowledged_time or job.start_time
    return begin + timedelta(seconds=job.pod_deadline_seconds) if begin is not None else None


def _limit_attempts(pods: Sequence[PodFacts], limit: datetime) -> tuple[StopAction, ...]:
    """Each attempt's Pod begins with the whole time; a later one gets what is left of it."""
    actions: list[StopAction] = []
    for pod in pods:
        if pod.ended or pod.acknowledged_time is None or pod.deletion_time is not None:
            continue
        left = max(1, int((limit - pod.acknowledged_time).total_seconds()))
        if pod.deadline_seconds is None or pod.deadline_seconds > left:
            actions.append(LowerDeadline(pod, left))
    return tuple(actions)


def _ends_by_itself(job: JobFacts, pods: Sequence[PodFacts], limit: datetime) -> bool:
    """Whether its Pod's own deadline does all that is needed, as no attempt can follow: a write less per time-out."""
    running = [pod for pod in pods if not pod.ended]
    return (
        bool(running)
        and failed_attempts(job, pods) >= job.backoff_limit
        and all(
            pod.acknowledged_time is not None
            and pod.deadline_seconds is not None
            and pod.acknowledged_time + timedelta(seconds=pod.deadline_seconds) <= limit
            for pod in running
        )
    )


def _unstarted(job: JobFacts, pods: Sequence[PodFacts]) -> tuple[PodFacts | None, datetime] | None:
    """The Pod that waits (None: there is no Pod at all) and when its patience ends.

    Without a Pod it is counted from when the Job controller began with the Job: what it waited for its turn before, and
    for that controller, is not its fault. Its first look is told in the Job's status also if no Pod could be made.
    """
    patience = timedelta(seconds=job.pending_deadline_seconds)
    if not pods and job.failed_pods == 0:
        return (None, job.begun_time + patience) if job.begun_time is not None else None
    waiting = [pod for pod in pods if pod.phase == "Pending" and pod.start_time is None and pod.deletion_time is None]
    if not waiting:
        return None
    pod = min(waiting, key=lambda pod: pod.creation_time)
    return pod, pod.creation_time + patience


def _cannot_start(seen: Seen, pod: PodFacts | None) -> StopDecision:
    job = seen.job
    if pod is not None and pod.waiting_reason is not None:
        why = f"{pod.waiting_reason}: {pod.waiting_message}" if pod.waiting_message else pod.waiting_reason
    elif seen.explanation is None:
        return StopDecision(explain=pod.uid if pod is not None else job.uid)
    else:
        why = seen.explanation or ("its Pod did not start" if pod is not None else "no Pod could be made")
    message = f"{why} (given up after {job.pending_deadline_seconds} s)"
    return StopDecision(plan_stop(job, seen.pods, StopIntent(StopReason.CANNOT_START, OPERATOR, seen.now, message)))


def _end_deleted(pods: Sequence[PodFacts]) -> tuple[StopAction, ...]:
    """The Job controller never finishes a Job that is being deleted (tried), so its Pods are ended here."""
    actions: list[StopAction] = []
    for pod in pods:
        if pod.ended or pod.deletion_time is not None:
            continue
        if pod.acknowledged_time is None:
            actions.append(DeletePod(pod))
        elif pod.deadline_seconds != 1:
            actions.append(LowerDeadline(pod, 1))
    return tuple(actions)
