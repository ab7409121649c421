"""What the Jobs of a task look like, computed once for each of their states.

A task keeps the Jobs of its last runs for an hour, fifty of them if it runs each minute, and each look at the task
needs the state of each. Hardly one has changed since the last look: computed anew they took ten times as long as the
decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cronwright_core.domain.cluster import JobFacts, PodFacts
from cronwright_core.domain.execution import execution_state, with_deletion
from cronwright_core.domain.waits import Wait, with_wait
from cronwright_operator.reconciling.observed import JobView, execution_id_of


@dataclass(frozen=True, slots=True)
class _Known:
    """What a view was computed from, and the view; None: the Job is none of ours."""

    job: JobFacts
    pods: tuple[PodFacts, ...]
    wait: Wait | None
    view: JobView | None


class JobViews:
    """`of(task_uid)` gives the views of a task's Jobs as they are now; an unchanged Job's is the same object again."""

    def __init__(
        self,
        *,
        jobs_of: Callable[[str], Iterable[JobFacts]],
        pods_of: Callable[[str], Iterable[PodFacts]],
        wait_of: Callable[[JobFacts], Wait | None],
    ) -> None:
        self._jobs_of = jobs_of
        self._pods_of = pods_of
        self._wait_of = wait_of
        self._known: dict[str, dict[str, _Known]] = {}

    def of(self, task_uid: str) -> tuple[JobView, ...]:
        """One view for each Job that is a tick's or a request's."""
        before = self._known.get(task_uid, {})
        known: dict[str, _Known] = {}
        for job in self._jobs_of(task_uid):
            pods, wait = tuple(self._pods_of(job.uid)), self._wait_of(job)
            found = before.get(job.uid)
            # Compared by identity first, which is all that it takes for what no event has touched.
            if found is None or (found.job, found.pods, found.wait) != (job, pods, wait):
                found = _Known(job, pods, wait, _view(job, pods, wait))
            known[job.uid] = found
        if known:
            self._known[task_uid] = known
        else:
            self.forget(task_uid)
        return tuple(found.view for found in known.values() if found.view is not None)

    def forget(self, task_uid: str) -> None:
        """The task is gone."""
        self._known.pop(task_uid, None)


def _view(job: JobFacts, pods: tuple[PodFacts, ...], wait: Wait | None) -> JobView | None:
    execution_id = execution_id_of(job)
    if execution_id is None:
        return None  # somebody's own Job with our labels: neither a tick nor a request
    state = execution_state(with_deletion(job, task_gone=False), pods)
    return JobView(job, with_wait(state, wait), execution_id)
