"""Whether what waits is let go in order: nothing is overtaken by what could have waited, for the same room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from cronwright_core.domain.cluster import JobFacts
from cronwright_core.domain.gate import Candidate, precedence
from cronwright_core.kube.ports import Json
from cronwright_core.kube.resources import JOBS
from cronwright_core.kube.workloads import to_job

KNOWN_SECONDS = 3.0
"""What has been there for so long the operator knows."""
MEANWHILE_SECONDS = 1.5
"""Several are let go at once, and one request may be slower than the next."""
UNDISTURBED_SECONDS = 40.0
"""A patch that failed is tried again after half a minute at most."""


class Order:
    """A hook of the API server. `fits(job)`: its own task and Project have room for it; `priority_of(task_uid)` is None
    for a task that is not compared."""

    def __init__(
        self,
        *,
        tell: Callable[[str], None],
        fits: Callable[[JobFacts], bool],
        priority_of: Callable[[str], int | None],
        quiet_for: Callable[[], float],
    ) -> None:
        self._tell = tell
        self._fits = fits
        self._priority_of = priority_of
        self._quiet_for = quiet_for
        self._waiting: dict[str, tuple[float, JobFacts]] = {}

    @property
    def waiting(self) -> Mapping[str, tuple[float, JobFacts]]:
        return self._waiting

    def changed(self, plural: str, by: str, old: Json | None, new: Json | None) -> None:
        if plural != JOBS.plural:
            return
        job = to_job(new or old or {})
        loop = asyncio.get_running_loop()
        if new is not None and job.suspended and not job.finished and not job.stopping:
            self._waiting.setdefault(job.uid, (loop.time(), job))
            return
        since = self._waiting.pop(job.uid, None)
        let_go = since is not None and new is not None and by == "operator" and job.stop is None
        if let_go and self._quiet_for() > UNDISTURBED_SECONDS:
            overtaken = [other for other in self._overtaken(job) if loop.time() - other[0] > KNOWN_SECONDS]
            loop.call_later(MEANWHILE_SECONDS, self._judge, job, [other.uid for _, other in overtaken])

    def _overtaken(self, job: JobFacts) -> list[tuple[float, JobFacts]]:
        mine = self._precedence(job)
        if mine is None:
            return []
        return [
            (time, other)
            for time, other in self._waiting.values()
            if (theirs := self._precedence(other)) is not None and theirs < mine and self._fits(other)
        ]

    def _judge(self, job: JobFacts, overtaken: list[str]) -> None:
        for uid in overtaken:
            if uid in self._waiting and self._fits(self._waiting[uid][1]):
                self._tell(f"{job.name} was let go before {self._waiting[uid][1].name}, whose turn it was")

    def _precedence(self, job: JobFacts) -> tuple[float, str] | None:
        priority = self._priority_of(job.task_uid)
        if priority is None:
            return None
        since = job.tick or job.creation_time
        return precedence(Candidate(f"{job.namespace}/{job.name}", job.task_uid, "", priority, since))
