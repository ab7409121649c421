"""One operator's life: the launching half of `cronwright_operator.wiring`, wired as there, on a link instead of a
network. Everything that decides or writes is the product's own; what it knew is gone when it ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import StopIntent
from cronwright_core.domain.execution import ExecutionKind
from cronwright_core.domain.task import ScheduledTask
from cronwright_core.kube.errors import KubeError
from cronwright_core.kube.ports import Json
from cronwright_core.kube.reflector import Reflector
from cronwright_core.kube.resources import PROJECTS, SCHEDULED_TASKS
from cronwright_operator.cache import DefinitionCache
from cronwright_operator.launching.admission import Admissions
from cronwright_operator.launching.burst import Burst
from cronwright_operator.launching.clock import Clock
from cronwright_operator.launching.ledger import Ledger
from cronwright_operator.launching.limits import build_limits
from cronwright_operator.launching.waits import REFRESH_SECONDS, Waits
from cronwright_operator.reconciling.actions import Action, Event, RecordCancelled
from cronwright_operator.reconciling.apply import Applier, NameNotOurs, Unfinished
from cronwright_operator.reconciling.leftovers import Leftovers
from cronwright_operator.reconciling.observed import Registration
from cronwright_operator.reconciling.sync import TaskSync
from cronwright_operator.reconciling.views import JobViews
from cronwright_operator.recording.past_outcomes import PastOutcomes
from cronwright_operator.recording.release import hold_for
from cronwright_operator.recording.skipped import SkippedTicks
from cronwright_operator.stopping.sync import StopSync
from cronwright_operator.upkeep.cleanup import Cleanup, Keep
from cronwright_operator.workloads import Workloads
from cronwright_operator.workqueue import BUG, Priority, WorkQueue
from support.launch_model.database import TROUBLE as DATABASE_TROUBLE
from support.launch_model.database import Database, EndRecorder, Row, SkipBatcher
from support.launch_model.link import Link

_TROUBLE = (KubeError, NameNotOurs, *DATABASE_TROUBLE)


class Operator:
    """`run` until cancelled. `bugs` tells of errors that no queue expects."""

    def __init__(
        self,
        link: Link,
        database: Database,
        now: Callable[[], datetime],
        *,
        total: int,
        step_in: bool,
        keep_seconds: int,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._link, self._database, self._now = link, database, now
        self.bugs: list[str] = []
        self._tasks = self._queue("reconcile", self._sync_task)
        self._jobs = self._queue("record", self._sync_job)
        self._stops_queue = self._queue("stop", self._sync_stop)
        self.cache = DefinitionCache(self._task_changed, lambda _: self._admissions.wake())
        limits = build_limits(self.cache, total=total, unrecorded=0)
        self.ledger = Ledger(
            limits,
            priority_of=self._priority_of,
            offset_of=self.cache.offset_of,
            changed=lambda: self._admissions.wake(),
            clock=loop.time,
        )
        self._waits = Waits(self.ledger, limits, lambda _, task_uid: self._tasks.add(task_uid))
        self.workloads = Workloads(
            link,
            (None,),
            wake_task=self._tasks.add,
            wake_job=self._job_changed,
            see_job=self.ledger.see,
            forget_job=self.ledger.forget,
            pause=lambda: self._burst.pause(),
        )
        self._admissions = Admissions(link, self.workloads.jobs, self.ledger)
        self._definitions = tuple(
            Reflector(
                link, resource, namespaces=(None,), label_selector="", listener=self._listener(resource == PROJECTS)
            )
            for resource in (SCHEDULED_TASKS, PROJECTS)
        )
        self._clock = Clock(lambda uid: self._tasks.add(uid, Priority.URGENT), now)
        self._stop_clock = Clock(self._stops_queue.add, now)
        stops = StopSync(
            client=link,
            lists=link,
            jobs=self.workloads.jobs,
            pods=self.workloads.pods,
            job_of=self.workloads.job,
            pods_of=self.workloads.pods_of,
            clock=self._stop_clock,
            now=now,
        )
        self._stops = stops
        batcher: Any = SkipBatcher(database, link)
        self._skipped = SkippedTicks(batcher, self.cache, link, now)
        self._recorder = EndRecorder(
            link,
            database,
            self.workloads.jobs,
            self.workloads.pods_of,
            now,
            wake_task=self._tasks.add,
            hold_for=lambda job: hold_for(
                job,
                self.cache.task(job.task_uid),
                self.workloads.cronjob_of(job.task_uid),
                offset=self.cache.offset_of(job.task_uid),
                now=now(),
            ),
            look_again=self._jobs.add_after,
        )
        applier = Applier(
            link,
            self.cache,
            self.workloads.jobs,
            self.workloads.cronjobs,
            ledger=self.ledger,
            skipped=self._skipped.record,
            told=lambda task, skipped: None,
            stop=stops.request,
            gone=lambda uid, tick: self._task_sync.gone(uid, tick),
            cancelled=self._record_cancelled,
        )
        events: Any = _Events()
        # Already with one tick, so that what is put off meets every crash.
        self._burst = Burst(
            lambda: chain(self.ledger.held_ticks(), self.workloads.uncovered_ticks()), self._tasks.add, now, many=1
        )
        applier.apply = _noting(applier.apply)  # type: ignore[method-assign]
        self._past_outcomes = PastOutcomes(database.status_of, self._tasks.add)
        leftovers = Leftovers(
            client=link,
            lists=link,
            jobs=self.workloads.jobs,
            cronjobs=self.workloads.cronjobs,
            jobs_of=self.workloads.jobs_of,
            cronjob_of=self.workloads.cronjob_of,
            end=applier.end,
            look_again_after=self._tasks.add_after,
            now=now,
        )
        self._task_sync = TaskSync(
            cache=self.cache,
            cronjob_of=self.workloads.cronjob_of,
            views=JobViews(jobs_of=self.workloads.jobs_of, pods_of=self.workloads.pods_of, wait_of=self._waits.of),
            registration=lambda _: Registration(task_id=1),
            outcome=lambda _: None,
            past_outcome=self._past_outcomes.of,
            project_refused=lambda _: False,
            applier=applier,
            events=events,
            clock=self._clock,
            ledger=self.ledger,
            step_in=step_in,
            burst=self._burst,
            priority_class=lambda _: None,
            leftovers=leftovers.sync,
            look_again=self._tasks.add,
            look_again_after=self._tasks.add_after,
            now=now,
        )
        keep = Keep(timedelta(seconds=keep_seconds), 1000, 10_000)
        self._cleanup = Cleanup(
            link, self.cache, self.workloads.all_jobs, self.workloads.cronjob_of, keep=keep, now=now
        )

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for reflector in (*self.workloads.reflectors, *self._definitions):
                group.create_task(reflector.run())
            for reflector in (*self.workloads.reflectors, *self._definitions):
                await reflector.wait_synced()
            for work in (
                self._tasks.run,
                self._jobs.run,
                self._stops_queue.run,
                self._admissions.run,
                self._clock.run,
                self._burst.run,
                self._stop_clock.run,
                self._skipped.run,
                self._past_outcomes.run,
            ):
                group.create_task(work())
            group.create_task(self._every(30, self._cleanup.sweep))
            group.create_task(self._every(30, self._admissions.resolve))
            group.create_task(self._every(REFRESH_SECONDS, self._waits.refresh))

    def _queue(self, name: str, work: Callable[[str], Awaitable[None]]) -> WorkQueue[str]:
        def observe(_: str, seconds: float, failure: str | None) -> None:
            if failure == BUG:
                self.bugs.append(name)

        return WorkQueue(name, work, workers=4, expected=_TROUBLE, observe=observe)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[Any]]) -> None:
        while True:
            with contextlib.suppress(KubeError):
                await work()
            await asyncio.sleep(seconds)

    def _listener(self, projects: bool) -> Callable[[Json | None, Json | None], None]:
        put = self.cache.put_project if projects else self.cache.put_task
        remove = self.cache.remove_project if projects else self.cache.remove_task

        def changed(old: Json | None, new: Json | None) -> None:
            if new is not None:
                put(new)
            elif old is not None:
                remove(old["metadata"]["uid"])

        return changed

    def _task_changed(self, uid: str, asked: bool) -> None:
        self._tasks.add(uid, Priority.ASKED if asked else Priority.USUAL)
        self._admissions.wake()

    def _job_changed(self, uid: str) -> None:
        self._stops_queue.add(uid)
        self._jobs.add(uid)

    def _priority_of(self, task_uid: str) -> int:
        task = self.cache.task(task_uid)
        return task.spec.priority if task is not None else 0

    async def _sync_task(self, uid: str) -> None:
        await self._task_sync.sync(uid)

    async def _sync_job(self, uid: str) -> None:
        await self._recorder.sync(uid)

    async def _sync_stop(self, uid: str) -> None:
        await self._stops.sync(uid)

    async def _record_cancelled(self, task: ScheduledTask, cancelled: RecordCancelled) -> None:
        stop: StopIntent = cancelled.stop
        key = cancelled.request.key
        row = Row("CANCELLED", stop.reason.value, stop.message, None, (task.uid, key))
        id_ = naming.execution_id(task.uid, ExecutionKind.ADHOC, cancelled.time, key)
        await self._link.commit(lambda: self._database.store(id_, row), "record's commit")


DECIDED_ON: ContextVar[int] = ContextVar("DECIDED_ON", default=0)
"""The generation of the task on which the work that is being carried out was decided."""


def _noting(apply: Callable[..., Awaitable[Unfinished]]) -> Callable[..., Awaitable[Unfinished]]:
    async def noting(task: ScheduledTask, actions: tuple[Action, ...], now: datetime) -> Unfinished:
        DECIDED_ON.set(task.generation)
        return await apply(task, actions, now)

    return noting


class _Events:
    """Takes events and posts none."""

    async def post(self, task: ScheduledTask, event: Event, now: datetime) -> None:
        return None
