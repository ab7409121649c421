"""Watches Jobs and Pods pass by: how late each stage of a run comes.

From what the API server shows, not from what the launcher means to have done: so Jobs of the CronJob controller count
alike. Times are those of this process's clock at the moment at which a change is seen, since Kubernetes tells whole
seconds only; a change that was seen late, after a gap of the watch, counts as of its own stamp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import JobFacts, PodFacts
from cronwright_operator.observability.launching import LaunchMetrics, Stage
from cronwright_operator.reconciling.observed import execution_id_of

_STAMP = timedelta(seconds=1)
"""A stamp of Kubernetes says the second in which something happened."""
MANUAL = "Manual"


class JobObserver:
    """`look(uid)` after each change of a Job or of a Pod of it. Belongs to one event loop; loses nothing of worth.

    By a task's uid, `kind_of` gives the type of its schedule, and `offset_of` by how much its ticks start later than
    their time.
    """

    def __init__(
        self,
        metrics: LaunchMetrics,
        *,
        job_of: Callable[[str], JobFacts | None],
        pods_of: Callable[[str], Iterable[PodFacts]],
        kind_of: Callable[[str], str | None],
        offset_of: Callable[[str], timedelta],
        now: Callable[[], datetime],
    ) -> None:
        self._metrics = metrics
        self._job_of = job_of
        self._pods_of = pods_of
        self._kind_of = kind_of
        self._offset_of = offset_of
        self._now = now
        self._since = now() - _STAMP
        self._seen: dict[str, set[Stage]] = {}

    def begin(self) -> None:
        """From now on this operator is the active one; what happened before was its predecessor's to measure."""
        self._since = self._now() - _STAMP

    def look(self, uid: str) -> None:
        """Takes what is new of this Job."""
        job = self._job_of(uid)
        if job is None:
            self._seen.pop(uid, None)
            return
        first = uid not in self._seen
        seen = self._seen.setdefault(uid, set())
        if len(seen) < len(Stage):
            self._measure(job, seen, first=first)

    def _measure(self, job: JobFacts, seen: set[Stage], *, first: bool) -> None:
        due = self._due_time(job)
        if due is None:
            return
        now = self._now()
        for stage, stamp in _stages(job, min(self._pods_of(job.uid), key=_age, default=None)):
            if stage in seen:
                continue
            seen.add(stage)
            # What happened before this operator was there is its predecessor's to tell, or nobody's.
            if (job.creation_time if stamp is None and first else stamp or now) >= self._since:
                time = now if stamp is None else min(now, stamp + _STAMP)
                kind = MANUAL if job.tick is None else self._kind_of(job.task_uid) or "Unknown"
                self._metrics.reached(stage, (time - due).total_seconds(), kind)

    def _due_time(self, job: JobFacts) -> datetime | None:
        if job.tick is not None:
            return job.tick + self._offset_of(job.task_uid)
        execution_id = execution_id_of(job)
        return None if execution_id is None else naming.execution_time(execution_id)


def _stages(job: JobFacts, pod: PodFacts | None) -> Iterable[tuple[Stage, datetime | None]]:
    """The stages that were reached, with the time that Kubernetes gives, if any."""
    yield Stage.JOB_CREATED, job.creation_time
    if not job.suspended:
        yield Stage.ADMITTED, job.start_time
    if pod is not None:
        yield Stage.POD_CREATED, pod.creation_time
        if pod.acknowledged_time is not None:
            yield Stage.POD_STARTED, pod.acknowledged_time
        if pod.start_time is not None:
            yield Stage.RUNNING, pod.start_time


def _age(pod: PodFacts) -> tuple[datetime, str]:
    return pod.creation_time, pod.name
