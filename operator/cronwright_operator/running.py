"""An operator's life: it waits for the Lease, lists, works, and ends. What starts in which order stands here.

One event loop holds everything but kopf, which has a thread and loop of its own. PostgreSQL is called in threads only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from cronwright_core import __version__
from cronwright_core.domain.gate import Block
from cronwright_core.domain.timezones import tz_release
from cronwright_core.kube.errors import KubeError
from cronwright_operator.health import Health, HealthServer, judge_watches
from cronwright_operator.kopf_thread import KopfThread
from cronwright_operator.launching.clock import system_now
from cronwright_operator.launching.ledger import Place
from cronwright_operator.launching.waits import REFRESH_SECONDS
from cronwright_operator.leadership import LeadershipLost
from cronwright_operator.observability.state import Sources
from cronwright_operator.upkeep.installation import Installation
from cronwright_operator.wiring import TROUBLE, Parts

logger = logging.getLogger(__name__)

LOAD_SECONDS = 5.0
"""How long a start waits for PostgreSQL at most: launching does not depend on it."""
WATCHED = ("pods", "jobs", "cronjobs")
"""What the reflectors watch, in their order."""


class Operator:
    """The whole operator. `run` returns when asked to stop, and raises when it has lost the lease."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._settings = parts.settings
        self._reflectors = dict(zip(WATCHED, parts.workloads.reflectors, strict=True))
        self._health = HealthServer(self._live, self._ready, parts.metrics.render)
        self._kopf: KopfThread | None = None
        self._installation = Installation(
            parts.heartbeats,
            identity=lambda: parts.leadership.installation,
            holder=self._settings.pod_name,
            version=__version__,
            tz_release=tz_release(),
            details=self._details,
            now=system_now,
        )
        self._working = False
        parts.metrics.show(self._state())

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
            self._parts.follower.close()
            if self._kopf is not None:
                await asyncio.to_thread(self._kopf.stop)
            await self._parts.leadership.release()
            await self._health.stop()
            await asyncio.to_thread(self._parts.database.dispose)

    async def _lead(self) -> None:
        parts = self._parts
        await parts.leadership.acquire()
        parts.job_observer.begin()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(parts.leadership.keep())
                for reflector in parts.workloads.reflectors:
                    group.create_task(reflector.run())
                await self._complete_first_lists()
                await parts.projector.load(LOAD_SECONDS)
                self._kopf = KopfThread(parts.on_event, self._settings.namespaces)
                self._kopf.start()
                self._working = True
                logger.info("first lists are complete; working")
                for work in (
                    parts.task_queue.run,
                    parts.job_queue.run,
                    parts.row_queue.run,
                    parts.workspace_queue.run,
                    parts.stop_queue.run,
                    parts.admissions.run,
                    parts.clock.run,
                    parts.burst.run,
                    parts.connections.run,
                    parts.stop_clock.run,
                    parts.batcher.run,
                    parts.skipped.run,
                    parts.past_outcomes.run,
                    parts.events.run,
                ):
                    group.create_task(work())
                for seconds, sweep in self._sweeps():
                    group.create_task(self._every(seconds, sweep))
                group.create_task(self._every(self._settings.resync_seconds, parts.resync.run_once))
                group.create_task(self._every(30, parts.cleanup.sweep))
                group.create_task(self._every(30, parts.admissions.resolve))
                group.create_task(self._every(REFRESH_SECONDS, parts.waits.refresh))
                group.create_task(self._every(60, parts.retry_refused))
                group.create_task(self._every(10, self._installation.beat))
                if self._settings.workspace_max_age_hours:
                    group.create_task(self._every(self._settings.workspace_clean_seconds, self._clean_by_schedule))
                if parts.sampler is not None:
                    group.create_task(self._every(self._settings.node_metrics_seconds, parts.sampler.sample))
        except* LeadershipLost as lost:
            raise LeadershipLost(str(lost.exceptions[0])) from None

    async def _complete_first_lists(self) -> None:
        """Nothing is decided on half a picture: a tick looks missed if its Job has not been listed yet."""
        for reflector in self._parts.workloads.reflectors:
            await reflector.wait_synced()
        while True:
            try:
                await self._parts.resync.run_once()
                return
            except KubeError as error:
                logger.warning("the first list of tasks failed: %s", error)
                await asyncio.sleep(1)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[Any]]) -> None:
        while True:
            try:
                await work()
            except TROUBLE as error:
                logger.warning("%s: %s", getattr(work, "__qualname__", work), error)
            except LeadershipLost:
                raise
            except Exception:  # one upkeep task's bug must not end the operator
                logger.exception("%s failed", getattr(work, "__qualname__", work))
            await asyncio.sleep(seconds)

    def _sweeps(self) -> tuple[tuple[float, Callable[[], Awaitable[None]]], ...]:
        """What ends or deletes rows that this cluster knows nothing of, and how many seconds apart."""
        ours = self._installation.when_ours
        return (
            (300, ours(self._parts.reconciliation.sweep)),
            (60, ours(self._parts.orphans.sweep)),
            (600, ours(self._parts.retention.sweep)),
        )

    def _details(self) -> Mapping[str, Any]:
        """What endpoint 13 tells of this operator."""
        figures = self._parts.sampler.figures() if self._parts.sampler is not None else self._parts.without_kubelets
        return {
            "tasks": sum(1 for _ in self._parts.cache.tasks()),
            "queued": self._parts.task_queue.depth(),
            "usage": figures.to_json(),
        }

    async def _clean_by_schedule(self) -> None:
        await self._parts.cleaning.schedule(timedelta(hours=self._settings.workspace_max_age_hours))

    def _live(self) -> Health:
        if not self._working:
            return Health()  # who waits, or lists for the first time, watches nothing
        ages = {kind: reflector.age_seconds() for kind, reflector in self._reflectors.items()}
        return judge_watches(ages, kopf_watches=self._kopf is None or self._kopf.alive)

    def _ready(self) -> Health:
        # A standby is ready: it waits for the lease, and nothing else is asked of it but to see it. A version that
        # cannot must not replace one that can.
        if not self._parts.leadership.hears:
            return Health(("the lease cannot be read",))
        if self._parts.leadership.held and not self._working:
            return Health(("the first lists are not complete",))
        return Health()

    def _state(self) -> Sources:
        queues = self._parts.queues()
        for name in queues:
            self._parts.metrics.queues.known(name)
        return Sources(
            leader=lambda: self._parts.leadership.held,
            shares_database=lambda: self._installation.shares_database,
            tasks=self._parts.cache.tasks,
            next_due=self._parts.clock.next_due,
            watch_ages=lambda: {kind: r.age_seconds() for kind, r in self._reflectors.items() if r.synced},
            kopf_restarts=lambda: self._kopf.restarts if self._kopf is not None else 0,
            queue_depths=lambda: {name: queue.depth() for name, queue in queues.items()},
            open_executions=lambda: {
                place.value.lower(): self._parts.ledger.count(place) for place in Place if place is not Place.NOWHERE
            },
            blocked_executions=lambda: dict.fromkeys(Block, 0) | self._parts.ledger.waiting_by_block(),
        )
