"""Jobs, Pods and CronJobs as last seen, indexed by task and by Job; a change wakes whom it concerns.

Half of what the controllers write changes nothing that we look at (how many Pods are ready, which are counted yet): it
is kept, and wakes nobody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import datetime

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import CronJobFacts, JobFacts, PodFacts
from cronwright_core.domain.times import lags
from cronwright_core.kube.ports import Json, ListWatchClient
from cronwright_core.kube.reflector import Listener, Reflector, at_once
from cronwright_core.kube.resources import CRON_JOBS, JOBS, PODS, Resource
from cronwright_core.kube.workloads import to_cronjob, to_job, to_pod


class Workloads:
    """Three reflectors and the indexes over them. `wake_task(uid)` and `wake_job(uid)` are called on changes;
    `see_job` and `forget_job` keep the books of the launch gate; `pause` is the reflectors'."""

    def __init__(
        self,
        client: ListWatchClient,
        namespaces: Sequence[str | None],
        *,
        wake_task: Callable[[str], None],
        wake_job: Callable[[str], None],
        see_job: Callable[[JobFacts], None],
        forget_job: Callable[[JobFacts], None],
        pause: Callable[[], Awaitable[None]] = at_once,
    ) -> None:
        self._see_job = see_job
        self._forget_job = forget_job
        self._wake_task = wake_task
        self._wake_job = wake_job
        self._jobs_of_task: dict[str, dict[str, JobFacts]] = {}
        self._jobs: dict[str, JobFacts] = {}
        self._pods_of_job: dict[str, dict[str, PodFacts]] = {}
        self._cronjobs: dict[str, CronJobFacts] = {}
        self._uncovered: dict[str, datetime] = {}
        self._without_pod: dict[str, datetime] = {}

        def reflect(resource: Resource, listener: Listener) -> Reflector:
            return Reflector(
                client,
                resource,
                namespaces=tuple(namespaces),
                label_selector=naming.MANAGED_SELECTOR,
                listener=listener,
                pause=pause,
            )

        self.jobs = reflect(JOBS, self._job_changed)
        self.pods = reflect(PODS, self._pod_changed)
        self.cronjobs = reflect(CRON_JOBS, self._cronjob_changed)

    @property
    def reflectors(self) -> tuple[Reflector, Reflector, Reflector]:
        """All three; decisions wait until each has been listed."""
        return self.pods, self.jobs, self.cronjobs

    def all_jobs(self) -> Iterable[JobFacts]:
        """All Jobs of all tasks."""
        return [job for jobs in self._jobs_of_task.values() for job in jobs.values()]

    def task_uids(self) -> set[str]:
        """The tasks that have Jobs."""
        return set(self._jobs_of_task)

    def jobs_of(self, task_uid: str) -> Iterable[JobFacts]:
        """The Jobs of a task."""
        return tuple(self._jobs_of_task.get(task_uid, {}).values())

    def job(self, uid: str) -> JobFacts | None:
        """The Job, or None if it is gone."""
        return self._jobs.get(uid)

    def pods_of(self, job_uid: str) -> Iterable[PodFacts]:
        """The Pods of a Job."""
        return tuple(self._pods_of_job.get(job_uid, {}).values())

    def cronjob_of(self, task_uid: str) -> CronJobFacts | None:
        """The CronJob of a task."""
        return self._cronjobs.get(task_uid)

    def uncovered_ticks(self) -> Iterable[datetime]:
        """The newest ticks of tasks whose Job we made, and whose CronJob's status does not hold them yet."""
        return self._uncovered.values()

    def without_pod(self) -> Collection[datetime]:
        """When the Jobs were made that may run and have not got their first Pod yet."""
        return self._without_pod.values()

    def _job_changed(self, old: Json | None, new: Json | None) -> None:
        body = new or old
        assert body is not None  # noqa: S101 - a change has at least one side
        facts = to_job(body)
        jobs = self._jobs_of_task.setdefault(facts.task_uid, {})
        if new is None:
            jobs.pop(facts.uid, None)
            self._jobs.pop(facts.uid, None)
            if not jobs:
                del self._jobs_of_task[facts.task_uid]
            self._without_pod.pop(facts.uid, None)
            self._forget_job(facts)
        else:
            before = self._jobs.get(facts.uid)
            jobs[facts.uid] = self._jobs[facts.uid] = facts
            if facts == before:
                return
            self._note_without_pod(facts)
            if before is None:
                self._note_uncovered(facts)
            self._see_job(facts)
        self._wake_job(facts.uid)
        self._wake_task(facts.task_uid)

    def _note_without_pod(self, job: JobFacts) -> None:
        idle = job.suspended or job.finished or job.stopping or job.failed_pods or job.succeeded_pods
        if idle or job.uid in self._pods_of_job:
            self._without_pod.pop(job.uid, None)
        else:
            self._without_pod[job.uid] = job.creation_time

    def _note_uncovered(self, job: JobFacts) -> None:
        cronjob = self._cronjobs.get(job.task_uid)
        if job.tick is None or not job.stepped_in or cronjob is None or cronjob.uid != job.owner_uid:
            return
        if lags(cronjob.last_schedule_time, job.tick):
            self._uncovered[job.task_uid] = job.tick

    def _pod_changed(self, old: Json | None, new: Json | None) -> None:
        body = new or old
        assert body is not None  # noqa: S101
        facts = to_pod(body)
        if facts.job_uid is None:
            return
        pods = self._pods_of_job.setdefault(facts.job_uid, {})
        before = pods.get(facts.uid)
        if new is not None:
            self._without_pod.pop(facts.job_uid, None)
            pods[facts.uid] = facts
            if facts == before:
                return
        else:
            pods.pop(facts.uid, None)
            if not pods:
                del self._pods_of_job[facts.job_uid]
        self._wake_job(facts.job_uid)
        if new is None or before is None or (before.start_time, before.phase) != (facts.start_time, facts.phase):
            # The task's status shows RUNNING once the program runs; the Job alone does not tell. And a Job that is
            # being deleted ends with its Pods.
            task_uid = (body["metadata"].get("labels") or {}).get(naming.TASK_UID_LABEL)
            if task_uid:
                self._wake_task(task_uid)

    def _cronjob_changed(self, old: Json | None, new: Json | None) -> None:
        body = new or old
        assert body is not None  # noqa: S101
        task_uid = (body["metadata"].get("labels") or {}).get(naming.TASK_UID_LABEL, "")
        facts = to_cronjob(body)
        if new is None:
            if self._cronjobs.get(task_uid) is not None and self._cronjobs[task_uid].uid == facts.uid:
                del self._cronjobs[task_uid]
                self._uncovered.pop(task_uid, None)
        else:
            before = self._cronjobs.get(task_uid)
            self._cronjobs[task_uid] = facts
            if not lags(facts.last_schedule_time, self._uncovered.get(task_uid)):
                self._uncovered.pop(task_uid, None)
            if facts == before:
                return
        self._wake_task(task_uid)
