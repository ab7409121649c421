"""Manual runs that were cancelled before they had a Job -> rows with status CANCELLED."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cronwright_core.domain import naming
from cronwright_core.domain.execution import ExecutionKey, ExecutionKind, ExecutionState, stopped_status
from cronwright_core.domain.task import ScheduledTask
from cronwright_operator.cache import DefinitionCache
from cronwright_operator.reconciling.actions import RecordCancelled
from cronwright_operator.recording.batching import RecordBatcher
from cronwright_operator.recording.identity import NotRegistered
from cronwright_operator.recording.unrun import build_unrun


class CancelledRequests:
    """Records a request that never became a Job."""

    def __init__(self, batcher: RecordBatcher, cache: DefinitionCache, now: Callable[[], datetime]) -> None:
        self._batcher = batcher
        self._cache = cache
        self._now = now

    async def record(self, task: ScheduledTask, cancelled: RecordCancelled) -> None:
        """Returns once the row is committed. The same request again writes the same row.

        Raises:
            NotRegistered: the task has no id yet.
            Unavailable: PostgreSQL does not answer soon; the request must stay on the task until it does.
        """
        if task.status.task_id is None:
            raise NotRegistered(f"ScheduledTask {task.namespace}/{task.name} has no id yet")
        project = self._cache.project(task.namespace, task.spec.project_name)
        request, stop = cancelled.request, cancelled.stop
        stem = naming.cronjob_name(task.name, task.uid)
        state = ExecutionState(
            status=stopped_status(stop), end_time=stop.at, reason=stop.reason.value, message=stop.message
        )
        execution = build_unrun(
            task,
            project,
            ExecutionKey(task.uid, ExecutionKind.ADHOC, cancelled.time, request.key),
            state,
            self._now(),
            job_name=naming.request_job_name(stem, task.uid, request.key),
            requested_by=cancelled.requested_by,
        )
        await self._batcher.record_soon([execution])
