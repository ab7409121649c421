"""Gather -> decide -> apply, for the end of one Job. Needs the API server only: no stop waits for PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from cronwright_core import json_log
from cronwright_core.domain.cluster import JobFacts, PodFacts, StopIntent, StopReason
from cronwright_core.kube.errors import KubeNotFound
from cronwright_core.kube.ports import Json, ListWatchClient, ObjectClient
from cronwright_core.kube.reflector import Reflector
from cronwright_core.kube.resources import JOBS, PODS
from cronwright_core.kube.workloads import to_job, to_pod
from cronwright_operator.launching.clock import Clock
from cronwright_operator.reconciling.observed import execution_id_of
from cronwright_operator.stopping.actions import FinishJob, StopDecision, WriteIntent
from cronwright_operator.stopping.apply import StopApplier
from cronwright_operator.stopping.decide import Seen, decide, plan_stop
from cronwright_operator.stopping.reasons import read_explanation


class StopSync:
    """`sync(uid)` for the queue of Jobs, and `request` for whoever wants a Job to end."""

    def __init__(
        self,
        *,
        client: ObjectClient,
        lists: ListWatchClient,
        jobs: Reflector,
        pods: Reflector,
        job_of: Callable[[str], JobFacts | None],
        pods_of: Callable[[str], Iterable[PodFacts]],
        clock: Clock,
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._lists = lists
        self._jobs = jobs
        self._job_of = job_of
        self._pods_of = pods_of
        self._clock = clock
        self._now = now
        self._applier = StopApplier(client, jobs, pods)

    async def sync(self, uid: str) -> None:
        """Looks at the Job and its Pods, and ends or limits them if it is time.

        Raises:
            KubeError: to be tried again; what was done stays done and is found so.
        """
        job = self._job_of(uid)
        if job is None or (execution_id := execution_id_of(job)) is None:
            self._clock.set(uid, None)
            return
        json_log.bind(execution_id=execution_id, task_uid=job.task_uid)
        seen = Seen(job, tuple(self._pods_of(uid)), self._now())
        decision = decide(seen)
        if decision.explain is not None or _writes_job(decision):
            # An end is never taken back, and watches may lag: it is decided once more on what stands there now.
            fresh = await self._fresh(seen)
            if fresh is None:
                return
            decision = decide(fresh)
            if decision.explain is not None:
                explanation = await read_explanation(self._lists, job.namespace, decision.explain)
                decision = decide(replace(fresh, explanation=explanation))
        await self._applier.apply(decision.actions)
        self._clock.set(uid, decision.wake_at)

    async def request(self, uid: str, stop: StopIntent) -> None:
        """Writes the intent to end the Job; the rest follows by itself. Nothing happens to one that ends already.

        For cancels, for a tick that takes another's place (StopReason.REPLACED), and for a pause (SUSPENDED), which
        ends only what still waits. Returns once the intent stands on the Job.

        Raises:
            KubeConflict: the Job has just changed; ask again.
            KubeError: the outcome is not known; asking again is harmless.
        """
        job = self._job_of(uid)
        if job is None:
            return
        fresh = await self._fresh(Seen(job, (), self._now()))
        if fresh is None or fresh.job.finished or fresh.job.stopping:
            return
        if stop.reason is StopReason.SUSPENDED and not fresh.job.suspended:
            return  # let go meanwhile, by Kueue or by an answer that was lost: a pause ends nothing that runs
        await self._applier.apply(plan_stop(fresh.job, fresh.pods, stop))

    async def _fresh(self, seen: Seen) -> Seen | None:
        """The same Job as the API server has it; None if it is gone.

        The Job first: an attempt that fails or begins after that changes the Job, so that what is written on the ground
        of this look is refused.
        """
        job = seen.job
        selector = f"batch.kubernetes.io/controller-uid={job.uid}"
        try:
            body: Json = await self._client.get(JOBS, job.namespace, job.name)
        except KubeNotFound:
            return None
        if body["metadata"]["uid"] != job.uid:
            return None
        self._jobs.remember(body)
        listing = await self._lists.list(PODS, job.namespace, label_selector=selector)
        pods = tuple(to_pod(pod) for pod in listing.items)
        fresh: JobFacts = to_job(body)
        return replace(seen, job=fresh, pods=pods)


def _writes_job(decision: StopDecision) -> bool:
    return any(isinstance(action, WriteIntent | FinishJob) for action in decision.actions)
