"""What is left of a task that is being deleted, or that went without it (`kubectl delete --cascade=orphan`).

Mostly garbage collection deletes CronJob and Jobs with their task, and `stopping` ends what runs. Where it does not - a
foreign finalizer keeps the task, or nobody owns them any more - the CronJob would go on firing, its Jobs would never be
recorded, and what waits would wait for ever.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import OPERATOR, CronJobFacts, JobFacts, StopIntent, StopReason
from cronwright_core.kube.errors import KubeNotFound
from cronwright_core.kube.ports import Json, ListWatchClient, ObjectClient
from cronwright_core.kube.reflector import Reflector
from cronwright_core.kube.resources import SCHEDULED_TASKS
from cronwright_operator.reconciling.actions import AcceptJob, Action, StopExecution, UpdateCronJob
from cronwright_operator.reconciling.observed import execution_id_of

PATIENCE = timedelta(seconds=10)
"""So long garbage collection has its time: mostly nothing is left then."""
_LONGEST_LABEL = 63


def retire(cronjob: CronJobFacts | None) -> list[Action]:
    """Suspends a CronJob that shall fire no more."""
    if cronjob is None or cronjob.suspend or cronjob.deleting:
        return []
    # The hash goes, so that the spec is written anew, status first, when the task is a Cron task again.
    metadata = {"uid": cronjob.uid, "annotations": {naming.SPEC_HASH_ANNOTATION: None}}
    return [UpdateCronJob(cronjob.namespace, cronjob.name, {"metadata": metadata, "spec": {"suspend": True}})]


def end_all(cronjob: CronJobFacts | None, jobs: Iterable[JobFacts], now: datetime) -> tuple[Action, ...]:
    """No further run, and an end for what waits or runs; each is accepted first, so that it is recorded. Pure.

    If we die in between, the next look finds the rest. A Job that is being deleted is ended by that.
    """
    stop = StopIntent(StopReason.TASK_DELETED, OPERATOR, now, "its task was deleted")
    actions = retire(cronjob)
    for job in sorted(jobs, key=lambda job: (job.creation_time, job.name)):
        execution_id = execution_id_of(job)
        if execution_id is None or job.deletion_time is not None:
            continue
        if not job.accepted:
            actions.append(AcceptJob(job, execution_id))
        if not job.finished and not job.stopping:
            actions.append(StopExecution(job.uid, stop))
    return tuple(actions)


class Leftovers:
    """`sync(uid)` for a task that is not known any more."""

    def __init__(
        self,
        *,
        client: ObjectClient,
        lists: ListWatchClient,
        jobs: Reflector,
        cronjobs: Reflector,
        jobs_of: Callable[[str], Iterable[JobFacts]],
        cronjob_of: Callable[[str], CronJobFacts | None],
        end: Callable[[Iterable[Action]], Awaitable[None]],
        look_again_after: Callable[[str, float], None],
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._lists = lists
        self._jobs = jobs
        self._cronjobs = cronjobs
        self._jobs_of = jobs_of
        self._cronjob_of = cronjob_of
        self._end = end
        self._look_again_after = look_again_after
        self._now = now
        self._since: dict[str, datetime] = {}

    async def sync(self, uid: str) -> None:
        """Ends what the task has left, once garbage collection has had its time.

        Raises:
            KubeError: to be tried again.
        """
        now = self._now()
        cronjob, jobs = self._cronjob_of(uid), tuple(self._jobs_of(uid))
        actions = end_all(cronjob, jobs, now)
        if not actions:
            self._since.pop(uid, None)
            return
        left = PATIENCE - abs(now - self._since.setdefault(uid, now))
        if left > timedelta():
            self._look_again_after(uid, left.total_seconds())
            return
        body = self._cronjobs.get(cronjob.uid) if cronjob is not None else self._jobs.get(jobs[0].uid)
        # An end is never taken back, and what we know of tasks may be wrong: the API server is asked.
        if body is None or await self._stands(uid, body):
            return
        await self._end(actions)

    async def _stands(self, uid: str, body: Json) -> bool:
        namespace = body["metadata"]["namespace"]
        name = (body["metadata"].get("labels") or {}).get(naming.TASK_NAME_LABEL, "")
        found: Iterable[Mapping[str, Any]]
        if not name or len(name) >= _LONGEST_LABEL:  # it may be the beginning of a longer name only
            found = (await self._lists.list(SCHEDULED_TASKS, namespace)).items
        else:
            try:
                found = (await self._client.get(SCHEDULED_TASKS, namespace, name),)
            except KubeNotFound:
                return False
        return any(task["metadata"]["uid"] == uid for task in found)
