"""Removes Jobs that are recorded and no longer needed in the cluster."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from cronwright_core.domain.cluster import CronJobFacts, JobFacts
from cronwright_core.domain.task import ScheduledTask
from cronwright_core.kube.errors import KubeConflict, KubeNotFound
from cronwright_core.kube.ports import ObjectClient
from cronwright_core.kube.reflector import Reflector
from cronwright_core.kube.resources import JOBS
from cronwright_core.kube.workloads import to_cronjob, to_job
from cronwright_operator.cache import DefinitionCache

logger = logging.getLogger(__name__)


def may_delete(
    job: JobFacts, task: ScheduledTask | None, cronjob: CronJobFacts | None, now: datetime, keep: timedelta
) -> bool:
    """Whether a Job may go: its record is committed, its time is over, and nobody would make it again.

    A tick that the CronJob's lastScheduleTime does not cover is made again by the CronJob controller (tried), one that
    the task's does not cover by us; a manual run comes back while its request still stands on the task.
    """
    if job.recorded_time is None or job.deletion_time is not None or now - job.recorded_time < keep:
        return False
    if task is None:
        return True
    if job.request_key is not None:
        return all(request.key != job.request_key for request in task.triggers)
    if job.tick is None or task.status.last_schedule_time is None or task.status.last_schedule_time < job.tick:
        return False
    if job.owner_kind == "CronJob" and cronjob is not None and cronjob.uid == job.owner_uid:
        return cronjob.last_schedule_time is not None and cronjob.last_schedule_time >= job.tick
    return True


class Cleanup:
    """Sweeps over the copies of Jobs and CronJobs; each sweep deletes what may go."""

    def __init__(
        self,
        client: ObjectClient,
        cache: DefinitionCache,
        jobs: Reflector,
        cronjobs: Reflector,
        *,
        keep: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._cache = cache
        self._jobs = jobs
        self._cronjobs = cronjobs
        self._keep = keep
        self._now = now

    async def sweep(self) -> int:
        """Deletes what may go, by uid and in the background; returns how many."""
        cronjobs = {facts.uid: facts for facts in _cronjobs(self._cronjobs)}
        deleted = 0
        for body in list(self._jobs):
            job = to_job(body)
            cronjob = cronjobs.get(job.owner_uid) if job.owner_uid is not None else None
            if not may_delete(job, self._cache.task(job.task_uid), cronjob, self._now(), self._keep):
                continue
            try:
                await self._client.delete(JOBS, job.namespace, job.name, uid=job.uid)
            except (KubeNotFound, KubeConflict):
                continue
            deleted += 1
        if deleted:
            logger.info("%d recorded Jobs deleted", deleted)
        return deleted


def _cronjobs(reflector: Reflector) -> Iterable[CronJobFacts]:
    return (to_cronjob(body) for body in reflector)
