"""Wiring: who knows whom. What starts in which order stands in `running.py`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from itertools import chain
from typing import Any

from cronwright_core.domain.cluster import JobFacts
from cronwright_core.domain.errors import NotFound, Unavailable
from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.domain.usage import Usage
from cronwright_core.kube.client import KEEP_SECONDS, KubeClient
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
from cronwright_operator.launching.admission import Admissions
from cronwright_operator.launching.burst import Burst
from cronwright_operator.launching.clock import Clock, system_now
from cronwright_operator.launching.connections import Connections
from cronwright_operator.launching.ledger import Ledger
from cronwright_operator.launching.limits import build_limits
from cronwright_operator.launching.waits import Waits
from cronwright_operator.leadership import Leadership, LeadershipLost
from cronwright_operator.observability.jobs import JobObserver
from cronwright_operator.observability.metrics import OperatorMetrics
from cronwright_operator.reconciling.apply import Applier, NameNotOurs
from cronwright_operator.reconciling.events import EventPoster
from cronwright_operator.reconciling.leftovers import Leftovers
from cronwright_operator.reconciling.skips import SkipReport
from cronwright_operator.reconciling.sync import TaskSync
from cronwright_operator.reconciling.views import JobViews
from cronwright_operator.recording.batching import RecordBatcher
from cronwright_operator.recording.cancelled import CancelledRequests
from cronwright_operator.recording.concealing import Redaction
from cronwright_operator.recording.following import LogFollower
from cronwright_operator.recording.identity import Identities, NotRegistered
from cronwright_operator.recording.past_outcomes import PastOutcomes
from cronwright_operator.recording.recorder import PodsStillEnding, Recorder
from cronwright_operator.recording.redaction import compile_patterns
from cronwright_operator.recording.release import hold_for
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
from cronwright_operator.workqueue import GoesFirst, Key, Priority, WorkQueue
from cronwright_operator.workspaces.cleaning import WorkspaceCleaning
from cronwright_operator.workspaces.job import CleanerImage

logger = logging.getLogger(__name__)

TROUBLE = (KubeError, Unavailable, NotRegistered, NameNotOurs, PodsStillEnding)
"""What passes by itself, and is tried again."""
_QUEUE_TROUBLE = (*TROUBLE, LeadershipLost)
"""A queue's work meets a lost lease before `Leadership.keep` ends it all; it is no bug of the key at hand."""


class Parts:
    """All parts of an operator, and what a change that one of them sees wakes in the others. Nothing runs yet."""

    def __init__(
        self,
        settings: OperatorSettings,
        client: KubeClient,
        kubelets: NodeStatistics | None,
        without_kubelets: ClusterFigures = SWITCHED_OFF,
        metrics: OperatorMetrics | None = None,
        log_files: NodeLogFiles | None = None,
    ) -> None:
        self.settings = settings
        self._client = client
        self.metrics = metrics = metrics or OperatorMetrics()
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
        self.database = database
        tasks, projects = TaskStore(database), ProjectStore(database)
        executions = ExecutionStore(database)
        logs = LogStore(database, stream_limit=settings.log_limit_mib * 1024 * 1024)
        self.heartbeats = HeartbeatStore(database)
        self.leadership = Leadership(
            client,
            namespace=settings.pod_namespace,
            name=settings.lease_name,
            identity=settings.pod_name,
            now=system_now,
        )
        fenced = FencedClient(client, self.leadership.check)

        def queue(
            name: str,
            work: Callable[[Key], Awaitable[None]],
            workers: int,
            about: Callable[[Key], Mapping[str, object]],
            behind: Sequence[GoesFirst] = (),
            *,
            pods_first: bool = False,
        ) -> WorkQueue[Key]:
            return WorkQueue(
                name,
                work,
                workers=workers,
                expected=_QUEUE_TROUBLE,
                about=about,
                observe=metrics.queues.worked,
                behind=behind,
                at_once=(lambda: self.burst.at_once(workers)) if pods_first else None,
            )

        workers = settings.reconcile_workers
        self.task_queue = queue("reconcile", self._sync_task, workers, lambda uid: {"task_uid": uid}, pods_first=True)
        self.burst = Burst(
            lambda: chain(self.ledger.held_ticks(), self.workloads.uncovered_ticks()),
            self.task_queue.add,
            system_now,
            without_pod=lambda: self.workloads.without_pod(),
        )
        # Where many runs are due at once their Jobs come first. A Job waits for its record; its time does not wait.
        jobs_first = (self.task_queue, self.burst)
        self.job_queue = queue(
            "record",
            self._sync_job,
            settings.record_workers,
            lambda uid: {"job_uid": uid},
            jobs_first,
            pods_first=True,
        )
        self.row_queue = queue("rows", self._sync_row, 4, lambda key: {f"{key[0]}_uid": key[1]}, jobs_first)
        # A Job that was just made has nothing to be stopped for.
        self.stop_queue = queue("stop", self._sync_stop, workers, lambda uid: {"job_uid": uid}, (self.task_queue,))
        self.workspace_queue = queue("workspaces", self._sync_workspace, 2, lambda uid: {"project_uid": uid})

        self.cache = DefinitionCache(
            self._task_changed, self._project_changed, lambda uid: self.row_queue.add(("task", uid))
        )
        limits = build_limits(self.cache, total=settings.max_concurrent_executions, unrecorded=settings.max_unrecorded)
        self.ledger = Ledger(
            limits,
            priority_of=self.cache.priority_of,
            offset_of=self.cache.offset_of,
            changed=self._gate_changed,
        )
        self.waits = Waits(self.ledger, limits, self._wait_changed)
        self.workloads = Workloads(
            lists,
            namespaces,
            wake_task=self.task_queue.add,
            wake_job=self._job_changed,
            see_job=self.ledger.see,
            forget_job=self.ledger.forget,
            pause=self.burst.pause,
        )
        self.admissions = Admissions(fenced, self.workloads.jobs, self.ledger)
        self.job_observer = JobObserver(
            metrics.launch,
            job_of=self.workloads.job,
            pods_of=self.workloads.pods_of,
            kind_of=self.cache.kind_of,
            offset_of=self.cache.offset_of,
            now=system_now,
        )
        self.without_kubelets = without_kubelets
        self.sampler = (
            Sampler(client, kubelets, lambda: list(self.workloads.pods), tell=self.job_queue.add, now=system_now)
            if kubelets is not None
            else None
        )
        self.clock = Clock(self._task_due)
        self.connections = Connections(
            self.clock, client.open_connections, most=workers, keep_seconds=KEEP_SECONDS, now=system_now
        )
        self.batcher = RecordBatcher(executions.record)
        self.skipped = SkippedTicks(self.batcher, self.cache, fenced, system_now)
        self.projector = Projector(self.cache, tasks, projects, fenced, registered=self.task_queue.add, now=system_now)
        self.stop_clock = Clock(self.stop_queue.add)
        self._stops = StopSync(
            client=fenced,
            lists=client,
            jobs=self.workloads.jobs,
            pods=self.workloads.pods,
            job_of=self.workloads.job,
            pods_of=self.workloads.pods_of,
            clock=self.stop_clock,
            now=system_now,
        )
        self.events = EventPoster(fenced, settings.pod_name, metrics.events.count)
        skips = SkipReport(self.events, metrics.launch.tick_skipped, system_now)
        applier = Applier(
            fenced,
            self.cache,
            self.workloads.jobs,
            self.workloads.cronjobs,
            skipped=self.skipped.record,
            told=skips.add,
            ledger=self.ledger,
            stop=self._stops.request,
            gone=lambda uid, tick: self._task_sync.gone(uid, tick),
            cancelled=CancelledRequests(self.batcher, self.cache, system_now).record,
        )
        self.follower = LogFollower(poll_seconds=settings.log_poll_seconds, crowded=self.burst.crowded)
        self._recorder = Recorder(
            objects=fenced,
            sources=LogSources(client, log_files, setting=settings.log_source),
            redaction=Redaction(
                self.workloads.jobs.get,
                client=client if settings.log_redact_secrets else None,
                variables=settings.log_redact_variables,
                patterns=compile_patterns(settings.log_redact_patterns),
            ),
            jobs=self.workloads.jobs,
            pods_of=self.workloads.pods_of,
            lists=client,
            executions=executions,
            logs=logs,
            identities=Identities(self.cache, tasks, client, system_now),
            batcher=self.batcher,
            follower=self.follower,
            task_gone=self.cache.is_gone,
            hold_for=self._hold_for,
            wake_task=self.task_queue.add,
            look_again=self.job_queue.add_after,
            usage_of_pod=self.sampler.usage if self.sampler is not None else lambda _: Usage(),
            wait_of=self.waits.of,
            now=system_now,
            metrics=metrics.recording,
        )
        self.past_outcomes = PastOutcomes(
            lambda id_: asyncio.to_thread(_status_of, executions, id_), self.task_queue.add
        )
        leftovers = Leftovers(
            client=fenced,
            lists=client,
            jobs=self.workloads.jobs,
            cronjobs=self.workloads.cronjobs,
            jobs_of=self.workloads.jobs_of,
            cronjob_of=self.workloads.cronjob_of,
            end=applier.end,
            look_again_after=self.task_queue.add_after,
            now=system_now,
        )
        self._task_sync = TaskSync(
            cache=self.cache,
            cronjob_of=self.workloads.cronjob_of,
            views=JobViews(jobs_of=self.workloads.jobs_of, pods_of=self.workloads.pods_of, wait_of=self.waits.of),
            registration=self.projector.registration,
            outcome=self._recorder.outcome,
            past_outcome=self.past_outcomes.of,
            project_refused=self.projector.project_refused,
            applier=applier,
            events=self.events,
            clock=self.clock,
            ledger=self.ledger,
            step_in=settings.cron_jobs_step_in,
            burst=self.burst,
            priority_class=settings.priority_class,
            leftovers=leftovers.sync,
            look_again=self.task_queue.add,
            look_again_after=self.task_queue.add_after,
            now=system_now,
        )
        self.cleaning = WorkspaceCleaning(
            client=fenced,
            lists=client,
            cache=self.cache,
            jobs=lambda: list(self.workloads.jobs),
            pods_of=self.workloads.pods_of,
            store=WorkspaceStore(database),
            image=CleanerImage(settings.image, settings.image_pull_policy, settings.workspace_user),
            look_again=self.workspace_queue.add_after,
            now=system_now,
        )
        self.resync = Resync(lists, self.cache, namespaces)
        self.cleanup = Cleanup(
            fenced,
            self.cache,
            self.workloads.all_jobs,
            self.workloads.cronjob_of,
            keep=Keep(
                timedelta(seconds=settings.keep_finished_seconds),
                settings.keep_finished_per_task,
                settings.keep_finished_pods,
            ),
            now=system_now,
        )
        self.retention = RetentionSweep(
            RetentionStore(database),
            default_days=settings.retention_days,
            busy=self.workloads.task_uids,
            now=system_now,
        )
        self.orphans = Orphans(
            client, self.cache, self.workloads.jobs, executions, logs, tasks, projects, self._watched, now=system_now
        )
        self.reconciliation = RowReconciliation(
            client, self.cache, self.projector, tasks, projects, self._watched, look=self.row_queue.add
        )

    async def retry_refused(self) -> None:
        """Tries again what was not registered, as a name was taken or a Project was missing."""
        tasks, projects = self.projector.refused()
        for uid in tasks:
            self.row_queue.add(("task", uid))
        for uid in projects:
            self.row_queue.add(("project", uid))

    def queues(self) -> dict[str, WorkQueue[Any]]:
        """The work queues by the names that their metrics carry."""
        return {
            "reconcile": self.task_queue,
            "record": self.job_queue,
            "stop": self.stop_queue,
            "workspaces": self.workspace_queue,
            "rows": self.row_queue,
        }

    async def _sync_task(self, uid: str) -> None:
        await self._task_sync.sync(uid)

    async def _sync_job(self, uid: str) -> None:
        await self._recorder.sync(uid)

    async def _sync_stop(self, uid: str) -> None:
        await self._stops.sync(uid)

    async def _sync_workspace(self, uid: str) -> None:
        await self.cleaning.sync(uid)

    async def _sync_row(self, key: tuple[str, str]) -> None:
        kind, uid = key
        freed = await (self.projector.sync_task(uid) if kind == "task" else self.projector.sync_project(uid))
        if freed:
            await self.retry_refused()  # somebody may have waited for the name

    def _hold_for(self, job: JobFacts) -> timedelta | None:
        task, cronjob = self.cache.task(job.task_uid), self.workloads.cronjob_of(job.task_uid)
        return hold_for(job, task, cronjob, offset=self.cache.offset_of(job.task_uid), now=system_now())

    def _job_changed(self, uid: str) -> None:
        self.job_observer.look(uid)
        self.stop_queue.add(uid)
        self.job_queue.add(uid)

    def _task_due(self, uid: str) -> None:
        self.task_queue.add(uid, Priority.URGENT)

    def _gate_changed(self) -> None:
        self.admissions.wake()

    def _wait_changed(self, job_uid: str, task_uid: str) -> None:
        self.job_queue.add(job_uid)
        self.task_queue.add(task_uid)

    def _task_changed(self, uid: str, asked: bool) -> None:
        self.task_queue.add(uid, Priority.ASKED if asked else Priority.USUAL)
        self.admissions.wake()
        self.row_queue.add(("task", uid))

    def _project_changed(self, uid: str) -> None:
        self.admissions.wake()
        self.workspace_queue.add(uid)
        self.row_queue.add(("project", uid))

    def on_event(self, kind: str, type_: str | None, body: dict[str, Any]) -> None:
        """Takes what kopf has seen of a ScheduledTask or a Project."""
        # kopf watches all namespaces or some, and cannot leave any out.
        if is_watched(self._watched, body["metadata"]["namespace"]):
            self.cache.take(kind, body, deleted=type_ == "DELETED")


def _status_of(executions: ExecutionStore, execution_id: str) -> ExecutionStatus | None:
    try:
        return executions.get(execution_id, owner=None).status
    except NotFound:
        return None
