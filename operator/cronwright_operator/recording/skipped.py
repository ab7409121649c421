"""Ticks that did not run -> rows with status CANCELLED and the reason: the answer to "why did it not run?".

A row is committed before the watermark passes its tick, or else the tick goes into the account in the task's status
(`domain.skips`) by the same write: an operator that ends in between loses none. Nothing is held in memory but the
account of a task that is deleted before it could be written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import chain

from cronwright_core.domain.errors import Unavailable
from cronwright_core.domain.execution import Execution, ExecutionKey, ExecutionKind, ExecutionState, ExecutionStatus
from cronwright_core.domain.skips import SkippedTick, UnrecordedSkips
from cronwright_core.domain.task import ScheduledTask
from cronwright_core.kube.codec import from_unrecorded_skips
from cronwright_core.kube.errors import KubeConflict, KubeError, KubeInvalid, KubeNotFound
from cronwright_core.kube.ports import Json, ObjectClient, PatchKind
from cronwright_core.kube.resources import SCHEDULED_TASKS
from cronwright_operator.cache import DefinitionCache
from cronwright_operator.recording.batching import RecordBatcher
from cronwright_operator.recording.unrun import build_unrun

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 5.0
_WAIT_AT_ONCE = 2
"""So many workers of the launching wait for a commit; where more ticks are skipped at once, the status has them."""
_SETTLE_AT_ONCE = 32


class SkippedTicks:
    """`record` for the moment at which ticks are skipped, `run` for what had to wait."""

    def __init__(
        self,
        batcher: RecordBatcher,
        cache: DefinitionCache,
        client: ObjectClient,
        now: Callable[[], datetime],
        *,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._batcher = batcher
        self._cache = cache
        self._client = client
        self._now = now
        self._look_seconds = look_seconds
        self._waiting_now = 0

    async def record(self, task: ScheduledTask, skipped: Sequence[SkippedTick]) -> bool:
        """Whether all rows are committed. If not, some may be; recording them again changes nothing.

        Returns soon also if PostgreSQL is away or slow, and at once if others wait for it: launching does not.
        """
        if task.status.task_id is None or self._waiting_now >= _WAIT_AT_ONCE:
            return False
        self._waiting_now += 1
        try:
            return await self._commit(task, skipped)
        finally:
            self._waiting_now -= 1

    async def _commit(self, task: ScheduledTask, skipped: Sequence[SkippedTick]) -> bool:
        try:
            await self._batcher.record_soon([self._row(task, skip) for skip in skipped])
        except Unavailable as error:
            logger.info("%d skipped ticks of task %s wait in its status: %s", len(skipped), task.uid, error)
            return False
        except Exception:
            # Refused for what it holds, for ever: it must not hold up the watermark.
            logger.exception("a skipped tick of task %s cannot be recorded and is dropped", task.uid)
        return True

    async def run(self) -> None:
        """Writes what stands in the accounts until cancelled."""
        while True:
            waiting = self._waiting()
            while waiting and not self._batcher.away:
                # Together, so that they share commits.
                await asyncio.gather(*(self._try_to_settle(task) for task in waiting[:_SETTLE_AT_ONCE]))
                del waiting[:_SETTLE_AT_ONCE]
            await asyncio.sleep(self._look_seconds)

    def _waiting(self) -> list[ScheduledTask]:
        tasks = chain(self._cache.tasks(), self._cache.unsettled())
        found = [task for task in tasks if task.status.unrecorded_skips != UnrecordedSkips()]
        return [task for task in found if task.status.task_id is not None]

    async def _try_to_settle(self, task: ScheduledTask) -> None:
        try:
            await self._settle(task)
        except KubeError as error:
            logger.info("skipped ticks of task %s still stand in its status: %s", task.uid, error)

    async def _settle(self, task: ScheduledTask) -> None:
        account = task.status.unrecorded_skips
        if not await self._commit(task, account.rows()):
            return
        if self._cache.task(task.uid) is None:
            self._cache.settle(task.uid)
            return
        # If we die here the rows are written again, which changes nothing. The account goes only if it is still what
        # was recorded: a tick that was skipped meanwhile stays, and all are written again.
        patch: list[Json] = [
            {"op": "test", "path": "/metadata/uid", "value": task.uid},
            {"op": "test", "path": "/status/unrecordedSkips", "value": from_unrecorded_skips(account)},
            {"op": "remove", "path": "/status/unrecordedSkips"},
        ]
        try:
            body = await self._client.patch(
                SCHEDULED_TASKS, task.namespace, task.name, patch, subresource="status", kind=PatchKind.JSON
            )
        except (KubeNotFound, KubeConflict, KubeInvalid):
            return
        self._cache.put_task(body)

    def _row(self, task: ScheduledTask, skipped: SkippedTick) -> Execution:
        now = self._now()
        state = ExecutionState(
            status=ExecutionStatus.CANCELLED, end_time=now, reason=skipped.reason, message=skipped.message
        )
        project = self._cache.project(task.namespace, task.spec.project_name)
        return build_unrun(task, project, ExecutionKey(task.uid, ExecutionKind.SCHEDULED, skipped.tick), state, now)
