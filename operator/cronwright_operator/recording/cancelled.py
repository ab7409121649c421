"""Manual runs that were cancelled before they had a Job -> rows with status CANCELLED."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cronwright_core.domain import naming
from cronwright_core.domain.execution import Execution, ExecutionKey, ExecutionKind, ExecutionState, stopped_status
from cronwright_core.domain.task import ScheduledTask
from cronwright_operator.cache import DefinitionCache
from cronwright_operator.reconciling.actions import RecordCancelled
from cronwright_operator.recording.batching import RecordBatcher
from cronwright_operator.recording.identity import NotRegistered


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
        request, stop, kind = cancelled.request, cancelled.stop, ExecutionKind.ADHOC
        stem = naming.cronjob_name(task.name, task.uid)
        state = ExecutionState(
            status=stopped_status(stop), end_time=stop.at, reason=stop.reason.value, message=stop.message
        )
        await self._batcher.record_soon(
            [
                Execution(
                    execution_id=naming.execution_id(task.uid, kind, cancelled.time, request.key),
                    key=ExecutionKey(task.uid, kind, cancelled.time, request.key),
                    task_id=task.status.task_id,
                    task_name=task.spec.display_name,
                    owner=task.spec.owner or (project.spec.owner if project else None) or "",
                    project_id=project.project_id if project else None,
                    namespace=task.namespace,
                    job_name=naming.request_job_name(stem, task.uid, request.key),
                    job_uid=None,
                    created_time=self._now(),
                    state=state,
                    requested_by=cancelled.requested_by,
                    error_message=f"{stop.reason.value}: {stop.message}",
                )
            ]
        )
