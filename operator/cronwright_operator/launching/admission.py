"""Lets Jobs go that wait suspended, as soon as there is room for them."""

from __future__ import annotations

import asyncio

from cronwright_core.kube.errors import KubeError, KubeNotFound
from cronwright_core.kube.ports import Json, ObjectClient, PatchKind
from cronwright_core.kube.reflector import Reflector
from cronwright_core.kube.resources import JOBS
from cronwright_core.kube.workloads import to_job
from cronwright_operator.launching.ledger import Ledger
from cronwright_operator.workqueue import WorkQueue

_AT_ONCE = 16
_PAUSE_SECONDS = 0.02
"""Changes come in bursts; one look at all that waits costs a sort."""
UNRESOLVED_SECONDS = 60.0
"""Longer than a request can take: one that is under way may yet make the Job."""


class Admissions:
    """`wake` says that something may have changed; `run` decides and lets go."""

    def __init__(self, client: ObjectClient, jobs: Reflector, ledger: Ledger) -> None:
        self._client = client
        self._jobs = jobs
        self._ledger = ledger
        self._wake = asyncio.Event()
        self._queue: WorkQueue[str] = WorkQueue("admit", self._let_go, workers=_AT_ONCE, expected=(KubeError,))

    def wake(self) -> None:
        """A run ended, a limit changed, a slot was given back, or another run waits."""
        self._wake.set()

    async def run(self) -> None:
        """Works until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._queue.run())
            while True:
                await self._wake.wait()
                self._wake.clear()
                for entry in self._ledger.admissions():
                    if entry.job_uid is not None:
                        self._queue.add(entry.job_uid)
                await asyncio.sleep(_PAUSE_SECONDS)

    async def resolve(self) -> None:
        """Reads the Jobs that were to be made and of which nothing has been seen: are they there or not?"""
        for entry in self._ledger.unresolved(UNRESOLVED_SECONDS):
            namespace, _, name = entry.candidate.key.partition("/")
            try:
                self._jobs.remember(await self._client.get(JOBS, namespace, name))
            except KubeNotFound:
                self._ledger.withdraw(entry.candidate.key, entry)

    async def _let_go(self, uid: str) -> None:
        """If we die before this, the Job waits and a successor books it anew; after it, it is seen running."""
        body = self._jobs.get(uid)
        job = to_job(body) if body is not None else None
        if job is None or not job.suspended or job.finished or job.stopping:
            return
        patch: list[Json] = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "replace", "path": "/spec/suspend", "value": False},
        ]
        try:
            body = await self._client.patch(JOBS, job.namespace, job.name, patch, kind=PatchKind.JSON)
        except KubeNotFound:
            return  # its deletion comes by the watch, and takes it from the books
        self._jobs.remember(body)
