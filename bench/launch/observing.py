"""When Jobs were seen, released and given a Pod, and when a CronJob's status covered its tick: by watches.

A watch tells late: of 1000 Jobs that the API server had stored after 2.3 s it told the last after 3.1 to 6.5 s, busy as
it was with other requests. So when a Job was *made* stands in its audit log (`bench.audit_log`), and what is here is
what everybody else sees, the job controller included.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import Any

from cronwright_core.kube.client import KubeClient
from cronwright_core.kube.errors import KubeError
from cronwright_core.kube.resources import CRON_JOBS, JOBS, PODS, Resource


@dataclass
class Seen:
    """Wall times in seconds, by name: of each Job its first sight, its first sight unsuspended and its first Pod; of
    each CronJob the first sight of a `lastScheduleTime`."""

    jobs: dict[str, float] = field(default_factory=dict)
    admitted: dict[str, float] = field(default_factory=dict)
    pods: dict[str, float] = field(default_factory=dict)
    covered: dict[str, float] = field(default_factory=dict)


class Observer:
    """Watches one namespace while it is open."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._tasks: list[asyncio.Task[None]] = []
        self.seen = Seen()

    async def __aenter__(self) -> Observer:
        for resource, take in ((JOBS, self._job), (PODS, self._pod), (CRON_JOBS, self._cron_job)):
            listing = await self._client.list(resource, self._namespace)
            self._tasks.append(asyncio.create_task(self._follow(resource, listing.resource_version, take)))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _follow(self, resource: Resource, version: str, take: Any) -> None:
        while True:
            with contextlib.suppress(KubeError):
                async for events in self._client.watch(resource, self._namespace, resource_version=version):
                    for event in events:
                        version = event.object["metadata"]["resourceVersion"]
                        if event.type in ("ADDED", "MODIFIED"):
                            take(event.object, time.time())

    def _job(self, body: dict[str, Any], now: float) -> None:
        name = body["metadata"]["name"]
        self.seen.jobs.setdefault(name, now)
        if not body["spec"].get("suspend"):
            self.seen.admitted.setdefault(name, now)

    def _pod(self, body: dict[str, Any], now: float) -> None:
        job = body["metadata"].get("labels", {}).get("batch.kubernetes.io/job-name")
        if job:
            self.seen.pods.setdefault(job, now)

    def _cron_job(self, body: dict[str, Any], now: float) -> None:
        if body.get("status", {}).get("lastScheduleTime"):
            self.seen.covered.setdefault(body["metadata"]["name"], now)
