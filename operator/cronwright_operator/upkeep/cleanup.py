"""Removes Jobs that are recorded and no longer needed in the cluster."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cronwright_core.domain.cluster import CronJobFacts, JobFacts
from cronwright_core.domain.task import ScheduledTask
from cronwright_core.kube.errors import KubeConflict, KubeNotFound
from cronwright_core.kube.ports import ObjectClient
from cronwright_core.kube.resources import JOBS
from cronwright_operator.cache import DefinitionCache
from cronwright_operator.recording.release import would_come_back

logger = logging.getLogger(__name__)

_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Keep:
    """How long recorded Jobs are kept, and how many at most: of one task, and with so many Pods in all."""

    time: timedelta
    per_task: int
    pods: int


def may_delete(job: JobFacts, task: ScheduledTask | None, cronjob: CronJobFacts | None) -> bool:
    """Whether a Job may go: its record is committed and nobody would make it again."""
    if job.recorded_time is None or job.has_finalizer or job.deletion_time is not None:
        return False
    return not would_come_back(job, task, cronjob)


def surplus(jobs: Iterable[JobFacts], keep: Keep, now: datetime) -> list[JobFacts]:
    """Of the recorded Jobs those that are too old or too many, the oldest record first. `may_delete` is asked later."""
    kept_of_task: Counter[str] = Counter()
    pods = 0
    gone: list[JobFacts] = []
    recorded = [(job.recorded_time, job.name, job) for job in jobs if job.recorded_time and not job.deletion_time]
    for time, _, job in sorted(recorded, key=lambda item: item[:2], reverse=True):
        weight = max(1, job.succeeded_pods + job.failed_pods)
        if now - time >= keep.time or kept_of_task[job.task_uid] >= keep.per_task or pods + weight > keep.pods:
            gone.append(job)
        else:
            kept_of_task[job.task_uid] += 1
            pods += weight
    return gone[::-1]


class Cleanup:
    """Sweeps over the copies of Jobs and CronJobs; each sweep deletes what may go."""

    def __init__(
        self,
        client: ObjectClient,
        cache: DefinitionCache,
        jobs: Callable[[], Iterable[JobFacts]],
        cronjob_of: Callable[[str], CronJobFacts | None],
        *,
        keep: Keep,
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._cache = cache
        self._jobs = jobs
        self._cronjob_of = cronjob_of
        self._keep = keep
        self._now = now

    async def sweep(self) -> int:
        """Deletes what may go, by uid and in the background; returns how many."""
        waiting = iter(
            [
                job
                for job in surplus(self._jobs(), self._keep, self._now())
                if may_delete(job, self._cache.task(job.task_uid), self._cronjob_of(job.task_uid))
            ]
        )
        deleted = 0

        async def work() -> None:
            nonlocal deleted
            for job in waiting:
                deleted += await self._delete(job)

        await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
        if deleted:
            logger.info("%d recorded Jobs deleted", deleted)
        return deleted

    async def _delete(self, job: JobFacts) -> bool:
        try:
            await self._client.delete(JOBS, job.namespace, job.name, uid=job.uid)
        except (KubeNotFound, KubeConflict):
            return False
        return True
