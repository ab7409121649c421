"""Gather -> decide -> apply, for one task."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime

from cronwright_core.domain.cluster import CronJobFacts, JobFacts, PodFacts
from cronwright_core.domain.execution import ExecutionStatus, execution_state, with_deletion
from cronwright_core.domain.gate import Gate
from cronwright_operator.cache import DefinitionCache
from cronwright_operator.launching.clock import Clock
from cronwright_operator.reconciling.apply import Applier
from cronwright_operator.reconciling.events import EventPoster
from cronwright_operator.reconciling.observed import JobView, Observed, Registration, execution_id_of
from cronwright_operator.reconciling.reconcile import reconcile

logger = logging.getLogger(__name__)


class TaskSync:
    """`sync(uid)` for the queue of tasks."""

    def __init__(
        self,
        *,
        cache: DefinitionCache,
        cronjob_of: Callable[[str], CronJobFacts | None],
        jobs_of: Callable[[str], Iterable[JobFacts]],
        pods_of: Callable[[str], Iterable[PodFacts]],
        registration: Callable[[str], Registration],
        outcome: Callable[[str], ExecutionStatus | None],
        project_refused: Callable[[str], bool],
        applier: Applier,
        events: EventPoster,
        clock: Clock,
        gate: Gate,
        now: Callable[[], datetime],
    ) -> None:
        self._cache = cache
        self._cronjob_of = cronjob_of
        self._jobs_of = jobs_of
        self._pods_of = pods_of
        self._registration = registration
        self._outcome = outcome
        self._project_refused = project_refused
        self._applier = applier
        self._events = events
        self._clock = clock
        self._gate = gate
        self._now = now

    async def sync(self, uid: str) -> None:
        """Looks at the task, decides, and carries it out.

        Raises:
            KubeError, NameNotOurs: to be tried again; whatever was done stays done and is found so.
        """
        task = self._cache.task(uid)
        if task is None:
            self._clock.set(uid, None)
            return
        now = self._now()
        project = self._cache.project(task.namespace, task.spec.project_name)
        seen = Observed(
            task=task,
            project=project,
            project_refused=project is not None and self._project_refused(project.uid),
            cronjob=self._cronjob_of(uid),
            jobs=tuple(self._views(uid)),
            registration=self._registration(uid),
            now=now,
            last_outcome=self._outcome(task.status.last_execution_id) if task.status.last_execution_id else None,
        )
        decision = reconcile(seen, self._gate)
        # Before the actions: one of them may fail for as long as PostgreSQL is away, and the next tick must not.
        self._clock.set(uid, decision.wake_at)
        await self._applier.apply(task, decision.actions, now)
        for event in decision.events:
            await self._events.post(task, event, now)

    def _views(self, uid: str) -> Iterable[JobView]:
        for job in self._jobs_of(uid):
            execution_id = execution_id_of(job)
            if execution_id is None:
                continue  # somebody's own Job with our labels: neither a tick nor a request
            yield JobView(
                job, execution_state(with_deletion(job, task_gone=False), tuple(self._pods_of(job.uid))), execution_id
            )
