"""Gather -> decide -> apply, for one task."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cronwright_core.domain.cluster import CronJobFacts
from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.domain.task import ScheduledTask, TaskStatus
from cronwright_core.domain.times import lags
from cronwright_operator.cache import DefinitionCache
from cronwright_operator.launching.burst import Burst
from cronwright_operator.launching.clock import Clock
from cronwright_operator.launching.ledger import Ledger
from cronwright_operator.reconciling.actions import AcceptJob, CoverTick, Decision, WriteStatus
from cronwright_operator.reconciling.apply import Applier
from cronwright_operator.reconciling.events import EventPoster
from cronwright_operator.reconciling.observed import JobView, Observed, Registration
from cronwright_operator.reconciling.prepared import PreparedDecisions
from cronwright_operator.reconciling.ticks import tick_candidate
from cronwright_operator.reconciling.views import JobViews

logger = logging.getLogger(__name__)

TOLD_AFTER = timedelta(seconds=1)
"""For so long at most it waits to be told that a run has begun: of one that takes less only its tick and its end are
written to the task's status. Each write costs the API server, kopf and us about 5 ms."""
TOLD_AFTER_BESIDE_A_CROWD = timedelta(seconds=5)
GONE_AFTER = timedelta(seconds=3)
"""So long after a first look the API server is asked again before a tick counts as one without a Job: a CronJob
controller that had read the CronJob before it was changed makes its Job some moments later."""
_GOES_ON = frozenset(status.value for status in ExecutionStatus if not status.ended)


@dataclass(frozen=True, slots=True)
class _Missing:
    """A tick of which the API server has no Job: when it said so first, and whether it has said so again."""

    since: datetime
    sure: bool = False


class TaskSync:
    """`sync(uid)` for the queue of tasks."""

    def __init__(
        self,
        *,
        cache: DefinitionCache,
        cronjob_of: Callable[[str], CronJobFacts | None],
        views: JobViews,
        registration: Callable[[str], Registration],
        outcome: Callable[[str], ExecutionStatus | None],
        past_outcome: Callable[[str, str], ExecutionStatus | None],
        project_refused: Callable[[str], bool],
        applier: Applier,
        events: EventPoster,
        clock: Clock,
        ledger: Ledger,
        step_in: bool,
        burst: Burst,
        priority_class: Callable[[int], str | None],
        leftovers: Callable[[str], Awaitable[None]],
        look_again: Callable[[str], None],
        look_again_after: Callable[[str, float], None],
        now: Callable[[], datetime],
    ) -> None:
        self._cache = cache
        self._cronjob_of = cronjob_of
        self._views = views
        self._registration = registration
        self._outcome = outcome
        self._past_outcome = past_outcome
        self._project_refused = project_refused
        self._applier = applier
        self._events = events
        self._clock = clock
        self._ledger = ledger
        self._step_in = step_in
        self._burst = burst
        self._priority_class = priority_class
        self._leftovers = leftovers
        self._look_again = look_again
        self._look_again_after = look_again_after
        self._now = now
        self._prepared = PreparedDecisions()
        self._missing: dict[str, dict[datetime, _Missing]] = {}
        self._untold_since: dict[str, datetime] = {}

    def gone(self, uid: str, tick: datetime) -> None:
        """Notes that the API server has no Job of a tick, and asks for a look: soon for a second answer, at once when
        that is the same."""
        now = self._now()
        ticks = self._missing.setdefault(uid, {})
        missing = ticks.setdefault(tick, _Missing(now))
        left = GONE_AFTER - abs(now - missing.since)
        if left > timedelta():
            self._look_again_after(uid, left.total_seconds())
            return
        ticks[tick] = replace(missing, sure=True)
        self._look_again(uid)

    async def sync(self, uid: str) -> None:
        """Looks at the task, decides, and carries it out.

        Raises:
            KubeError, NameNotOurs, Unavailable, NotRegistered: to be tried again; whatever was done stays done and is
                found so.
        """
        task = self._cache.task(uid)
        if task is None:
            self._clock.set(uid, None)
            self._ledger.release(uid)
            self._views.forget(uid)
            self._prepared.forget(uid)
            self._missing.pop(uid, None)
            self._untold_since.pop(uid, None)
            await self._leftovers(uid)
            return
        if self._burst.has_put_off(task) and self._ledger.held(uid) is None:
            return  # what its Jobs and Pods do meanwhile is seen when the burst is over
        now = self._now()
        candidate = tick_candidate(task, "", now)
        project = self._cache.project(task.namespace, task.spec.project_name)
        views = self._views.of(uid)
        seen = Observed(
            task=task,
            project=project,
            project_refused=project is not None and self._project_refused(project.uid),
            cronjob=self._cronjob_of(uid),
            jobs=views,
            registration=self._registration(uid),
            now=now,
            reserved=self._ledger.held(uid),
            room=self._ledger.room(candidate),
            step_in=self._step_in,
            gone_ticks=self._gone_ticks(task),
            priority_class=self._priority_class(task.spec.priority),
            last_outcome=self._last_outcome(task, views),
        )
        decision = self._prepared.decide(seen)
        # At once, before anything is awaited: who decides next must find the slot taken.
        self._ledger.hold(candidate, decision.reserve)
        if decision.reserve is not None and decision.reserve > now:
            room = self._ledger.room(candidate)
            self._prepared.prepare(replace(seen, reserved=decision.reserve, room=room), decision.reserve)
        # Before the actions: one of them may fail for as long as PostgreSQL is away, and the next tick must not.
        self._clock.set(uid, decision.wake_at)
        if self._can_wait(task, decision) and self._burst.lasts():
            await self._applier.apply(task, tuple(a for a in decision.actions if isinstance(a, CoverTick)), now)
            self._burst.put_off(task, decision.wake_at)
            return
        if self._can_be_told_later(task, decision, now):
            return
        unfinished = await self._applier.apply(task, decision.actions, now)
        for event in decision.events:
            if unfinished.unrecorded is None or not event.of_record:
                await self._events.post(task, event, now)
        unfinished.raise_any()

    def _can_be_told_later(self, task: ScheduledTask, decision: Decision, now: datetime) -> bool:
        """Whether the status is not written yet, as it would only tell how runs get on, and their ends may come soon.

        If we die before it is written, a successor finds the same in the Jobs.
        """
        if not _only_tells_how_runs_get_on(task, decision):
            self._untold_since.pop(task.uid, None)
            return False
        since = self._untold_since.setdefault(task.uid, now)
        longest = TOLD_AFTER_BESIDE_A_CROWD if self._burst.crowded() else TOLD_AFTER
        left = longest - abs(now - since)
        if left <= timedelta():
            del self._untold_since[task.uid]
            return False
        self._look_again_after(task.uid, left.total_seconds())
        return True

    @staticmethod
    def _can_wait(task: ScheduledTask, decision: Decision) -> bool:
        """Whether a decision does nothing that others wait for but, at most, to tell the CronJob controller.

        If we die before the rest is done, a successor finds it to be done.
        """
        return bool(decision.actions) and all(
            isinstance(action, CoverTick | AcceptJob)
            or (
                isinstance(action, WriteStatus) and _matters_now(task, action.status) == _matters_now(task, task.status)
            )
            for action in decision.actions
        )

    def _gone_ticks(self, task: ScheduledTask) -> frozenset[datetime]:
        watermark = task.status.last_schedule_time
        ticks = {tick: found for tick, found in self._missing.pop(task.uid, {}).items() if lags(watermark, tick)}
        if ticks:
            self._missing[task.uid] = ticks
        return frozenset(tick for tick, missing in ticks.items() if missing.sure)

    def _last_outcome(self, task: ScheduledTask, views: Iterable[JobView]) -> ExecutionStatus | None:
        """How the execution ended that the status names, if we have recorded it, or nothing else would tell it."""
        last = task.status.last_execution_id
        if last is None:
            return None
        found = self._outcome(last)
        goes_on = task.status.last_execution_status in _GOES_ON
        if found is None and goes_on and all(view.execution_id != last for view in views):
            # Released, and its Job gone, before its end was written here by whoever recorded it.
            return self._past_outcome(task.uid, last)
        return found


def _only_tells_how_runs_get_on(task: ScheduledTask, decision: Decision) -> bool:
    """Whether a decision does no more than to tell of runs that none has come to its end. An end is told at once: what
    is shown as active can be cancelled, and makes others wait."""
    match decision:
        case Decision(actions=(WriteStatus(status=new),), events=()):
            pass
        case _:
            return False
    old = task.status
    if not {run.execution_id for run in old.active} <= {run.execution_id for run in new.active}:
        return False
    same = replace(
        new,
        active=old.active,
        last_execution_id=old.last_execution_id,
        last_execution_status=old.last_execution_status,
    )
    return same == old


def _matters_now(task: ScheduledTask, status: TaskStatus) -> tuple[object, ...]:
    """What of a status is not put off: a claim, which is noted before a tick is taken from the controller; an edit,
    from whose moment on other times count; and that a tick was decided, where no CronJob's status tells of it: its Job
    may be recorded, and deleted by somebody, before this is written."""
    decided = (
        () if task.spec.schedule_type is ScheduleType.CRON else (status.last_schedule_time, status.completion_time)
    )
    return status.claimed_time, status.observed_generation, status.schedule_hash, status.anchor_time, *decided
