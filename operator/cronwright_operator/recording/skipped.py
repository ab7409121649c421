"""Ticks that did not run -> rows with status CANCELLED and the reason: the answer to "why did it not run?"."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from datetime import datetime

from cronwright_core.domain import naming
from cronwright_core.domain.errors import Unavailable
from cronwright_core.domain.execution import Execution, ExecutionKey, ExecutionKind, ExecutionState, ExecutionStatus
from cronwright_core.domain.task import ScheduledTask
from cronwright_operator.cache import DefinitionCache
from cronwright_operator.reconciling.actions import RecordSkipped
from cronwright_operator.recording.batching import RecordBatcher

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0
_MAX_WAITING = 100_000


class SkippedTicks:
    """Keeps skipped ticks in memory until they are written. Bounded; what does not fit is counted in the log."""

    def __init__(self, batcher: RecordBatcher, cache: DefinitionCache, now: Callable[[], datetime]) -> None:
        self._batcher = batcher
        self._cache = cache
        self._now = now
        self._waiting: deque[tuple[ScheduledTask, RecordSkipped]] = deque()
        self._wake = asyncio.Event()

    def add(self, task: ScheduledTask, skipped: RecordSkipped) -> None:
        """Takes a tick; returns at once."""
        if len(self._waiting) >= _MAX_WAITING:
            logger.error("too many skipped ticks wait for PostgreSQL; one of task %s is not recorded", task.uid)
            return
        self._waiting.append((task, skipped))
        self._wake.set()

    async def run(self) -> None:
        """Writes until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            # One round over what waits: a task that has no id yet must not hold up the others.
            again = False
            for _ in range(len(self._waiting)):
                task, skipped = self._waiting.popleft()
                try:
                    written = await self._write(task, skipped)
                except Unavailable as error:
                    logger.warning("skipped ticks wait: %s", error)
                    written = False
                except Exception:
                    logger.exception("a skipped tick of task %s cannot be recorded and is dropped", task.uid)
                    written = True
                if not written:
                    self._waiting.append((task, skipped))
                    again = True
            if again:
                self._wake.set()
                await asyncio.sleep(_RETRY_SECONDS)

    async def _write(self, task: ScheduledTask, skipped: RecordSkipped) -> bool:
        current = self._cache.task(task.uid)
        if current is None:
            return True  # deleted meanwhile: nobody can ask any more
        if current.status.task_id is None:
            return False
        project = self._cache.project(current.namespace, current.spec.project_name)
        execution_id = naming.execution_id(task.uid, ExecutionKind.SCHEDULED, skipped.tick, "")
        state = ExecutionState(
            status=ExecutionStatus.CANCELLED,
            end_time=self._now(),
            reason=skipped.reason,
            message=skipped.message,
        )
        await self._batcher.record(
            Execution(
                execution_id=execution_id,
                key=ExecutionKey(task.uid, ExecutionKind.SCHEDULED, skipped.tick),
                task_id=current.status.task_id,
                task_name=current.spec.display_name,
                owner=current.spec.owner or (project.spec.owner if project else None) or "",
                project_id=project.project_id if project else None,
                namespace=task.namespace,
                job_name="",
                job_uid=None,
                created_time=self._now(),
                state=state,
                error_message=f"{skipped.reason}: {skipped.message}",
            )
        )
        return True
