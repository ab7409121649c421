"""Watches Jobs and Pods pass by: how late each stage of a run comes, and how many are open.

From what the API server shows, not from what the launcher means to have done: so Jobs of the CronJob controller count
alike. Times are those of this process's clock at the moment at which a change is seen, since Kubernetes tells whole
seconds only; a change that was seen late, after a gap of the watch, counts as of its own stamp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import JobFacts, PodFacts
from cronwright_operator.observability.launching import LaunchMetrics, Stage
from cronwright_operator.reconciling.observed import execution_id_of

_STAMP = timedelta(seconds=1)
"""A stamp of Kubernetes says the second in which something happened."""
MANUAL = "Manual"
WAITING, RUNNING, UNRECORDED = "waiting", "running", "unrecorded"


@dataclass(slots=True)
class _Seen:
    stages: set[Stage] = field(default_factory=set)
    state: str | None = None


class JobObserver:
    """`look(uid)` after each change of a Job or of a Pod of it. Belongs to one event loop; loses nothing of worth."""

    def __init__(
        self,
        metrics: LaunchMetrics,
        *,
        job_of: Callable[[str], JobFacts | None],
        pods_of: Callable[[str], Iterable[PodFacts]],
        kind_of: Callable[[str], str | None],
        now: Callable[[], datetime],
    ) -> None:
        self._metrics = metrics
        self._job_of = job_of
        self._pods_of = pods_of
        self._kind_of = kind_of
        self._now = now
        self._since = now()
        self._seen: dict[str, _Seen] = {}
        self._open = {WAITING: 0, RUNNING: 0, UNRECORDED: 0}

    def look(self, uid: str) -> None:
        """Takes what is new of this Job."""
        job = self._job_of(uid)
        seen = self._seen.get(uid)
        if job is None:
            if seen is not None:
                self._count(seen, None)
                del self._seen[uid]
            return
        first = seen is None
        if seen is None:
            seen = self._seen[uid] = _Seen()
        self._count(seen, _state_of(job))
        if len(seen.stages) < len(Stage):
            self._measure(job, seen, first=first)

    def open_executions(self) -> Mapping[str, int]:
        """How many executions wait, run, or have ended and are not recorded yet."""
        return dict(self._open)

    def _count(self, seen: _Seen, state: str | None) -> None:
        if seen.state == state:
            return
        if seen.state is not None:
            self._open[seen.state] -= 1
        if state is not None:
            self._open[state] += 1
        seen.state = state

    def _measure(self, job: JobFacts, seen: _Seen, *, first: bool) -> None:
        due = _due_time(job)
        if due is None:
            return
        now = self._now()
        for stage, stamp in _stages(job, min(self._pods_of(job.uid), key=_age, default=None)):
            if stage in seen.stages:
                continue
            seen.stages.add(stage)
            # What happened before this operator was there is its predecessor's to tell, or nobody's.
            before_us = (job.creation_time if stamp is None and first else stamp or now) < self._since - _STAMP
            if not before_us:
                time = now if stamp is None else min(now, stamp + _STAMP)
                kind = MANUAL if job.tick is None else self._kind_of(job.task_uid) or "Unknown"
                self._metrics.reached(stage, (time - due).total_seconds(), kind)


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


def _state_of(job: JobFacts) -> str | None:
    if job.recorded_time is not None or _due_time(job) is None:
        return None
    if job.finished:
        return UNRECORDED
    return WAITING if job.suspended else RUNNING


def _due_time(job: JobFacts) -> datetime | None:
    if job.tick is not None:
        return job.tick
    execution_id = execution_id_of(job)
    return None if execution_id is None else naming.execution_time(execution_id)


def _age(pod: PodFacts) -> tuple[datetime, str]:
    return pod.creation_time, pod.name
