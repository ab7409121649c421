"""Wiring: who knows whom, and what starts in which order.

One event loop holds everything but kopf, which has a thread and loop of its own. PostgreSQL is called in threads only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from cronwright_core import __version__
from cronwright_core.domain.cluster import JobFacts
from cronwright_core.domain.errors import Unavailable
from cronwright_core.domain.gate import Block
from cronwright_core.domain.timezones import tz_release
from cronwright_core.domain.usage import Usage
from cronwright_core.kube.client import KubeClient
from cronwright_core.kube.errors import KubeError
from cronwright_core.kube.kubelet import NodeStatistics
from cronwright_core.kube.kubelet_logs import NodeLogFiles
from cronwright_core.store.executions import ExecutionStore
from cronwright_core.store.heartbeat import HeartbeatStore
from cronwright_core.store.logs import LogStore
from cronwright_core.store.projects import ProjectStore
from cronwright_core.store.retention import RetentionStore
from cronwright_core.store.session import Database
from cronwright_core.store.tasks import TaskStore
from cronwright_core.store.workspaces import WorkspaceStore
from cronwright_operator.cache import DefinitionCache
from cronwright_operator.fencing import FencedClient
from cronwright_operator.health import Health, HealthServer, judge_watches
from cronwright_operator.kopf_thread import KopfThread
from cronwright_operator.launching.admission import Admissions
from cronwright_operator.launching.clock import Clock, system_now
from cronwright_operator.launching.ledger import Ledger, Place
from cronwright_operator.launching.limits import build_limits
from cronwright_operator.launching.waits import REFRESH_SECONDS, Waits
from cronwright_operator.leadership import Leadership, LeadershipLost
from cronwright_operator.observability.jobs import JobObserver
from cronwright_operator.observability.metrics import OperatorMetrics
from cronwright_operator.observability.state import Sources
from cronwright_operator.reconciling.apply import Applier, NameNotOurs
from cronwright_operator.reconciling.events import EventPoster
from cronwright_operator.reconciling.skips import SkipReport
from cronwright_operator.reconciling.sync import TaskSync
from cronwright_operator.recording.batching import RecordBatcher
from cronwright_operator.recording.cancelled import CancelledRequests
from cronwright_operator.recording.concealing import Redaction
from cronwright_operator.recording.following import LogFollower
from cronwright_operator.recording.identity import Identities, NotRegistered
from cronwright_operator.recording.recorder import PodsStillEnding, Recorder
from cronwright_operator.recording.redaction import compile_patterns
from cronwright_operator.recording.release import would_come_back
from cronwright_operator.recording.skipped import SkippedTicks
from cronwright_operator.recording.sources import LogSources
from cronwright_operator.settings import OperatorSettings
from cronwright_operator.stopping.sync import StopSync
from cronwright_operator.upkeep.cleanup import Cleanup, Keep
from cronwright_operator.upkeep.orphans import Orphans
from cronwright_operator.upkeep.projection import Projector
from cronwright_operator.upkeep.resync import Resync
from cronwright_operator.upkeep.retention import RetentionSweep
from cronwright_operator.upkeep.rows import RowReconciliation
from cronwright_operator.usage.figures import SWITCHED_OFF, ClusterFigures
from cronwright_operator.usage.sampler import Sampler
from cronwright_operator.watched import AllBut, WithoutNamespaces, is_watched
from cronwright_operator.workloads import Workloads
from cronwright_operator.workqueue import WorkQueue
from cronwright_operator.workspaces.cleaning import WorkspaceCleaning
from cronwright_operator.workspaces.job import CleanerImage

logger = logging.getLogger(__name__)

LOAD_SECONDS = 5.0
"""How long a start waits for PostgreSQL at most: launching does not depend on it."""
WATCHED = ("pods", "jobs", "cronjobs")
"""What the reflectors watch, in their order."""
_TROUBLE = (KubeError, Unavailable, NotRegistered, NameNotOurs, PodsStillEnding)
_QUEUE_TROUBLE = (*_TROUBLE, LeadershipLost)
"""A queue's work meets a lost lease before `Leadership.keep` ends it all; it is no bug of the key at hand."""


class Operator:
    """The whole operator. `run` returns when asked to stop, and raises when it has lost the lease."""

    def __init__(
        self,
        settings: OperatorSettings,
        client: KubeClient,
        kubelets: NodeStatistics | None,
        without_kubelets: ClusterFigures = SWITCHED_OFF,
        metrics: OperatorMetrics | None = None,
        log_files: NodeLogFiles | None = None,
    ) -> None:
        self._settings = settings
        self._client = client
        self._metrics = metrics = metrics or OperatorMetrics()
        namespaces: tuple[str | None, ...] = settings.namespaces or (None,)
        lists = WithoutNamespaces(client, settings.ignored_namespaces)
        # Whose rows and events count; what is listed and watched is narrowed by `lists`.
        self._watched = settings.namespaces or AllBut(settings.ignored_namespaces)
        database = Database(
            settings.database_url,
            application_name="cronwright-operator",
            pool_size=10,
            observe=metrics.database.observe,
        )
        metrics.database.watch_pool(database.usage)
        self._database = database
        tasks, projects = TaskStore(database), ProjectStore(database)
        executions = ExecutionStore(database)
        logs = LogStore(database, stream_limit=settings.log_limit_mib * 1024 * 1024)
        self._heartbeats = HeartbeatStore(database)
        self._leadership = Leadership(
            client,
            namespace=settings.pod_namespace,
            name=settings.lease_name,
            identity=settings.pod_name,
            now=system_now,
        )
        fenced = FencedClient(client, self._leadership.check)

        def queue(
            name: str,
            work: Callable[[str], Awaitable[None]],
            workers: int,
            member: str,
            behind: WorkQueue[str] | None = None,
        ) -> WorkQueue[str]:
            return WorkQueue(
                name,
                work,
                workers=workers,
                expected=_QUEUE_TROUBLE,
                about=lambda uid: {member: uid},
                observe=metrics.queues.worked,
                behind=behind,
            )

        workers = settings.reconcile_workers
        self._task_queue = queue("reconcile", self._sync_task, workers, "task_uid")
        # Where many runs are due at once their Jobs come first. A Job waits for its record; its time does not wait.
        self._job_queue = queue("record", self._sync_job, settings.record_workers, "job_uid", self._task_queue)
        self._stop_queue = queue("stop", self._sync_stop, workers, "job_uid")
        self._workspace_queue = queue("workspaces", self._sync_workspace, 2, "project_uid")
        self._row_queue: WorkQueue[tuple[str, str]] = WorkQueue(
            "rows",
            self._sync_row,
            workers=4,
            expected=_QUEUE_TROUBLE,
            about=lambda key: {f"{key[0]}_uid": key[1]},
            observe=metrics.queues.worked,
            behind=self._task_queue,
        )

        self._cache = DefinitionCache(self._task_changed, self._project_changed)
        limits = build_limits(self._cache, total=settings.max_concurrent_executions, unrecorded=settings.max_unrecorded)
        self._ledger = Ledger(limits, priority_of=self._cache.priority_of, changed=self._gate_changed)
        self._waits = Waits(self._ledger, limits, self._wait_changed)
        self._workloads = Workloads(
            lists,
            namespaces,
            wake_task=self._task_queue.add,
            wake_job=self._job_changed,
            see_job=self._ledger.see,
            forget_job=self._ledger.forget,
        )
        self._admissions = Admissions(fenced, self._workloads.jobs, self._ledger)
        self._job_observer = JobObserver(
            metrics.launch,
            job_of=self._workloads.job,
            pods_of=self._workloads.pods_of,
            kind_of=self._cache.kind_of,
            offset_of=self._cache.offset_of,
            now=system_now,
        )
        self._without_kubelets = without_kubelets
        self._sampler = (
            Sampler(client, kubelets, lambda: list(self._workloads.pods), tell=self._job_queue.add, now=system_now)
            if kubelets is not None
            else None
        )
        self._clock = Clock(self._task_due)
        self._batcher = RecordBatcher(executions.record)
        self._skipped = SkippedTicks(self._batcher, self._cache, fenced, system_now)
        self._projector = Projector(
            self._cache, tasks, projects, fenced, registered=self._task_queue.add, now=system_now
        )
        self._stop_clock = Clock(self._stop_queue.add)
        self._stops = StopSync(
            client=fenced,
            lists=client,
            jobs=self._workloads.jobs,
            pods=self._workloads.pods,
            pods_of=self._workloads.pods_of,
            clock=self._stop_clock,
            now=system_now,
        )
        self._events = EventPoster(fenced, settings.pod_name, metrics.events.count)
        skips = SkipReport(self._events, metrics.launch.tick_skipped, system_now)
        applier = Applier(
            fenced,
            self._cache,
            self._workloads.jobs,
            self._workloads.cronjobs,
            skipped=self._skipped.record,
            told=skips.add,
            ledger=self._ledger,
            stop=self._stops.request,
            gone=lambda uid, tick: self._task_sync.gone(uid, tick),
            cancelled=CancelledRequests(self._batcher, self._cache, system_now).record,
        )
        self._follower = LogFollower(poll_seconds=settings.log_poll_seconds)
        self._recorder = Recorder(
            objects=fenced,
            sources=LogSources(client, log_files, setting=settings.log_source),
            redaction=Redaction(
                self._workloads.jobs.get,
                client=client if settings.log_redact_secrets else None,
                variables=settings.log_redact_variables,
                patterns=compile_patterns(settings.log_redact_patterns),
            ),
            jobs=self._workloads.jobs,
            pods_of=self._workloads.pods_of,
            lists=client,
            executions=executions,
            logs=logs,
            identities=Identities(self._cache, tasks),
            batcher=self._batcher,
            follower=self._follower,
            task_gone=lambda uid: self._cache.task(uid) is None,
            would_come_back=self._would_come_back,
            wake_task=self._task_queue.add,
            look_again=self._job_queue.add_after,
            usage_of_pod=self._sampler.usage if self._sampler is not None else lambda _: Usage(),
            wait_of=self._waits.of,
            now=system_now,
            metrics=metrics.recording,
        )
        self._task_sync = TaskSync(
            cache=self._cache,
            cronjob_of=self._workloads.cronjob_of,
            jobs_of=self._workloads.jobs_of,
            pods_of=self._workloads.pods_of,
            registration=self._projector.registration,
            outcome=self._recorder.outcome,
            project_refused=self._projector.project_refused,
            applier=applier,
            events=self._events,
            clock=self._clock,
            ledger=self._ledger,
            step_in=settings.cron_jobs_step_in,
            priority_class=settings.priority_class,
            look_again=self._task_queue.add,
            wait_of=self._waits.of,
            now=system_now,
        )
        self._cleaning = WorkspaceCleaning(
            client=fenced,
            lists=client,
            cache=self._cache,
            jobs=lambda: list(self._workloads.jobs),
            pods_of=self._workloads.pods_of,
            store=WorkspaceStore(database),
            image=CleanerImage(settings.image, settings.image_pull_policy, settings.workspace_user),
            look_again=self._workspace_queue.add_after,
            now=system_now,
        )
        self._resync = Resync(lists, self._cache, namespaces)
        self._cleanup = Cleanup(
            fenced,
            self._cache,
            self._workloads.all_jobs,
            self._workloads.cronjob_of,
            keep=Keep(
                timedelta(seconds=settings.keep_finished_seconds),
                settings.keep_finished_per_task,
                settings.keep_finished_pods,
            ),
            now=system_now,
        )
        self._retention = RetentionSweep(
            RetentionStore(database),
            default_days=settings.retention_days,
            busy=self._workloads.task_uids,
            now=system_now,
        )
        self._orphans = Orphans(
            client, self._cache, self._workloads.jobs, executions, tasks, projects, self._watched, now=system_now
        )
        self._reconciliation = RowReconciliation(
            client, self._cache, self._projector, tasks, projects, self._watched, look=self._row_queue.add
        )
        metrics.show(self._state())
        self._health = HealthServer(self._live, self._ready, metrics.render)
        self._kopf: KopfThread | None = None
        self._working = False

    async def run(self, stop: asyncio.Event) -> None:
        """Runs until `stop` is set.

        Raises:
            LeadershipLost: the lease is gone; the process must end, as others may write now.
        """
        await self._health.start(self._settings.health_host, self._settings.health_port)
        work = asyncio.create_task(self._lead(), name="operator")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                await work
        finally:
            stopping.cancel()
            work.cancel()
            await asyncio.gather(work, stopping, return_exceptions=True)
            self._follower.close()
            if self._kopf is not None:
                await asyncio.to_thread(self._kopf.stop)
            await self._leadership.release()
            await self._health.stop()
            await asyncio.to_thread(self._database.dispose)

    async def _lead(self) -> None:
        await self._leadership.acquire()
        self._job_observer.begin()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._leadership.keep())
                for reflector in self._workloads.reflectors:
                    group.create_task(reflector.run())
                await self._complete_first_lists()
                await self._projector.load(LOAD_SECONDS)
                self._kopf = KopfThread(self._on_event, self._settings.namespaces)
                self._kopf.start()
                self._working = True
                logger.info("first lists are complete; working")
                for work in (
                    self._task_queue.run,
                    self._job_queue.run,
                    self._row_queue.run,
                    self._workspace_queue.run,
                    self._stop_queue.run,
                    self._admissions.run,
                    self._clock.run,
                    self._stop_clock.run,
                    self._batcher.run,
                    self._skipped.run,
                    self._events.run,
                ):
                    group.create_task(work())
                group.create_task(self._every(300, self._reconciliation.sweep))
                group.create_task(self._every(self._settings.resync_seconds, self._resync.run_once))
                group.create_task(self._every(30, self._cleanup.sweep))
                group.create_task(self._every(60, self._orphans.sweep))
                group.create_task(self._every(30, self._admissions.resolve))
                group.create_task(self._every(REFRESH_SECONDS, self._waits.refresh))
                group.create_task(self._every(600, self._retention.sweep))
                group.create_task(self._every(60, self._retry_refused))
                group.create_task(self._every(10, self._beat))
                if self._settings.workspace_max_age_hours:
                    group.create_task(self._every(self._settings.workspace_clean_seconds, self._clean_by_schedule))
                if self._sampler is not None:
                    group.create_task(self._every(self._settings.node_metrics_seconds, self._sampler.sample))
        except* LeadershipLost as lost:
            raise LeadershipLost(str(lost.exceptions[0])) from None

    async def _complete_first_lists(self) -> None:
        """Nothing is decided on half a picture: a tick looks missed if its Job has not been listed yet."""
        for reflector in self._workloads.reflectors:
            await reflector.wait_synced()
        while True:
            try:
                await self._resync.run_once()
                return
            except KubeError as error:
                logger.warning("the first list of tasks failed: %s", error)
                await asyncio.sleep(1)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[Any]]) -> None:
        while True:
            try:
                await work()
            except _TROUBLE as error:
                logger.warning("%s: %s", getattr(work, "__qualname__", work), error)
            except LeadershipLost:
                raise
            except Exception:  # one upkeep task's bug must not end the operator
                logger.exception("%s failed", getattr(work, "__qualname__", work))
            await asyncio.sleep(seconds)

    async def _retry_refused(self) -> None:
        tasks, projects = self._projector.refused()
        for uid in tasks:
            self._row_queue.add(("task", uid))
        for uid in projects:
            self._row_queue.add(("project", uid))

    async def _beat(self) -> None:
        figures = self._sampler.figures() if self._sampler is not None else self._without_kubelets
        details = {
            "tasks": sum(1 for _ in self._cache.tasks()),
            "queued": self._task_queue.depth(),
            "usage": figures.to_json(),
        }
        await asyncio.to_thread(
            self._heartbeats.beat,
            holder=self._settings.pod_name,
            version=__version__,
            tz_release=tz_release(),
            details=details,
            now=system_now(),
        )

    async def _sync_task(self, uid: str) -> None:
        await self._task_sync.sync(uid)

    async def _sync_job(self, uid: str) -> None:
        await self._recorder.sync(uid)

    async def _sync_stop(self, uid: str) -> None:
        await self._stops.sync(uid)

    async def _sync_workspace(self, uid: str) -> None:
        await self._cleaning.sync(uid)

    async def _clean_by_schedule(self) -> None:
        await self._cleaning.schedule(timedelta(hours=self._settings.workspace_max_age_hours))

    async def _sync_row(self, key: tuple[str, str]) -> None:
        kind, uid = key
        freed = await (self._projector.sync_task(uid) if kind == "task" else self._projector.sync_project(uid))
        if freed:
            await self._retry_refused()  # somebody may have waited for the name

    def _would_come_back(self, job: JobFacts) -> bool:
        return would_come_back(job, self._cache.task(job.task_uid), self._workloads.cronjob_of(job.task_uid))

    def _job_changed(self, uid: str) -> None:
        self._job_observer.look(uid)
        self._stop_queue.add(uid)
        self._job_queue.add(uid)

    def _task_due(self, uid: str) -> None:
        self._task_queue.add(uid, urgent=True)

    def _gate_changed(self) -> None:
        self._admissions.wake()

    def _wait_changed(self, job_uid: str, task_uid: str) -> None:
        self._job_queue.add(job_uid)
        self._task_queue.add(task_uid)

    def _task_changed(self, uid: str) -> None:
        self._task_queue.add(uid)
        self._admissions.wake()
        self._row_queue.add(("task", uid))

    def _project_changed(self, uid: str) -> None:
        self._admissions.wake()
        self._workspace_queue.add(uid)
        self._row_queue.add(("project", uid))

    def _on_event(self, kind: str, type_: str | None, body: dict[str, Any]) -> None:
        # kopf watches all namespaces or some, and cannot leave any out.
        if is_watched(self._watched, body["metadata"]["namespace"]):
            self._cache.take(kind, body, deleted=type_ == "DELETED")

    def _live(self) -> Health:
        if not self._working:
            return Health()  # who waits, or lists for the first time, watches nothing
        reflectors = zip(WATCHED, self._workloads.reflectors, strict=True)
        ages = {name: reflector.age_seconds() for name, reflector in reflectors}
        return judge_watches(ages, kopf_watches=self._kopf is None or self._kopf.alive)

    def _ready(self) -> Health:
        # A standby is ready: it waits for the lease, and nothing else is asked of it but to see it. A version that
        # cannot must not replace one that can.
        if not self._leadership.hears:
            return Health(("the lease cannot be read",))
        if self._leadership.held and not self._working:
            return Health(("the first lists are not complete",))
        return Health()

    def _state(self) -> Sources:
        queues: dict[str, WorkQueue[Any]] = {
            "reconcile": self._task_queue,
            "record": self._job_queue,
            "stop": self._stop_queue,
            "workspaces": self._workspace_queue,
            "rows": self._row_queue,
        }
        for name in queues:
            self._metrics.queues.known(name)
        kinds = {reflector: kind for kind, reflector in zip(WATCHED, self._workloads.reflectors, strict=True)}
        return Sources(
            leader=lambda: self._leadership.held,
            tasks=self._cache.tasks,
            next_due=self._clock.next_due,
            watch_ages=lambda: {kind: r.age_seconds() for r, kind in kinds.items() if r.synced},
            kopf_restarts=lambda: self._kopf.restarts if self._kopf is not None else 0,
            queue_depths=lambda: {name: queue.depth() for name, queue in queues.items()},
            open_executions=lambda: {
                place.value.lower(): self._ledger.count(place) for place in Place if place is not Place.NOWHERE
            },
            blocked_executions=lambda: dict.fromkeys(Block, 0) | self._ledger.waiting_by_block(),
        )
