"""Says of each run that waits what it waits for, and looks now and then whether that has changed."""

from __future__ import annotations

from collections.abc import Callable

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import JobFacts
from cronwright_core.domain.gate import Candidate, Limits
from cronwright_core.domain.waits import Wait, wait_for_block, wait_for_kueue
from cronwright_operator.launching.ledger import Ledger, Place

REFRESH_SECONDS = 5.0
"""So often at most the record of a run that waits is written anew for this."""


class Waits:
    """`of(job)` for whoever shows a Job's state; `tell(job_uid, task_uid)` is called when the answer is another one."""

    def __init__(self, ledger: Ledger, limits: Limits, tell: Callable[[str, str], None]) -> None:
        self._ledger = ledger
        self._limits = limits
        self._tell = tell
        self._told: dict[str, Wait] = {}

    def of(self, job: JobFacts) -> Wait | None:
        """What the Job waits for; None: it does not wait."""
        if not job.suspended or job.finished or job.stopping:
            return None
        if job.queue_name is not None:
            return wait_for_kueue(job.queue_name)
        key = naming.run_key(job.namespace, job.name)
        project = naming.project_key(job.namespace, job.project)
        return self._explained(Candidate(key, job.task_uid, project, 0, job.creation_time))

    async def refresh(self) -> None:
        """Tells of the runs that wait for something else than at the last look. One look at all that wait."""
        told: dict[str, Wait] = {}
        for entry in self._ledger.entries():
            if entry.place is not Place.WAITING or entry.job_uid is None or not entry.ours:
                continue
            wait = told[entry.job_uid] = self._explained(entry.candidate)
            if self._told.get(entry.job_uid) != wait:
                self._tell(entry.job_uid, entry.candidate.task)
        self._told = told

    def _explained(self, candidate: Candidate) -> Wait:
        return wait_for_block(self._ledger.block_of(candidate.key), candidate, self._limits)
