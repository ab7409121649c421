"""Rows that wait for something that will not come: found after an absence, and closed with an honest reason."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from cronwright_core.domain import naming
from cronwright_core.domain.execution import Execution, ExecutionKey, ExecutionKind
from cronwright_core.kube.errors import KubeNotFound
from cronwright_core.kube.ports import ObjectClient
from cronwright_core.kube.reflector import Reflector
from cronwright_core.kube.resources import JOBS, SCHEDULED_TASKS
from cronwright_core.store.errors import CursorMoved
from cronwright_core.store.executions import ExecutionStore
from cronwright_core.store.logs import LogStore
from cronwright_core.store.projects import ProjectStore
from cronwright_core.store.records.executions import UnfinishedExecution
from cronwright_core.store.tasks import TaskStore
from cronwright_operator.cache import DefinitionCache
from cronwright_operator.upkeep.lost import lost_state, missing_output
from cronwright_operator.watched import is_watched

logger = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=60)
"""A row younger than this may still be in somebody's hands."""


class Orphans:
    """Closes executions whose Job is gone, and drops pending rows of tasks that were never created."""

    def __init__(
        self,
        client: ObjectClient,
        cache: DefinitionCache,
        jobs: Reflector,
        executions: ExecutionStore,
        logs: LogStore,
        tasks: TaskStore,
        projects: ProjectStore,
        namespaces: Collection[str | None],
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._namespaces = namespaces
        self._cache = cache
        self._jobs = jobs
        self._executions = executions
        self._logs = logs
        self._tasks = tasks
        self._projects = projects
        self._now = now

    async def sweep(self) -> None:
        """One look. Raises Unavailable if PostgreSQL does not answer."""
        before = self._now() - PATIENCE
        await self._close_executions(before)
        await self._drop_pending(before)

    async def _close_executions(self, before: datetime) -> None:
        rows = await asyncio.to_thread(self._executions.unfinished)
        jobs = {(body["metadata"]["namespace"], body["metadata"]["name"]) for body in self._jobs}
        lost = [
            row
            for row in rows
            if row.created_at < before
            and (row.namespace, row.job_name) not in jobs
            and is_watched(self._namespaces, row.namespace)
            and await self._is_lost(row)
        ]
        if not lost:
            return
        closed = [execution for row in lost if (execution := await self._close(row)) is not None]
        await asyncio.to_thread(self._executions.record, closed)

    async def _close(self, row: UnfinishedExecution) -> Execution | None:
        """The row with its end, once the marks in its output are stored; None: somebody still writes its output."""
        record = await asyncio.to_thread(self._executions.get, row.execution_id, owner=None)
        attempts = await asyncio.to_thread(self._executions.attempts, row.execution_id)
        cursors = await asyncio.to_thread(self._logs.cursors, row.execution_id)
        now = self._now()
        try:
            # Before the end, which is the last thing written: readers of a final status find the whole log. If we die
            # in between, the streams are complete and the row is not: the next sweep marks nothing and closes it.
            await asyncio.to_thread(self._logs.append, missing_output(row, attempts, cursors, now))
        except CursorMoved as error:
            logger.info("execution %s is closed later: %s", row.execution_id, error)
            return None
        state = lost_state(row, record, attempts, now)
        logger.warning("execution %s: %s", row.execution_id, state.message)
        return Execution(
            execution_id=row.execution_id,
            key=ExecutionKey(row.task_uid, row.kind, row.time, row.request_key),
            task_id=row.task_id,
            task_name=record.task_name,
            owner=record.owner,
            project_id=record.project_id,
            namespace=row.namespace,
            job_name=row.job_name,
            job_uid=row.job_uid,
            created_time=record.created_at,
            state=state,
            requested_by=record.requested_by,
            error_message=f"{state.reason}: {state.message}",
        )

    async def _is_lost(self, row: UnfinishedExecution) -> bool:
        """Asked of the API server itself, as a final state is never taken back: copies may lag, a watch may be deaf."""
        # The request first, then the Job: the Job is made before the request is taken off, so between them they are
        # never both missing.
        if row.kind is ExecutionKind.ADHOC and row.job_uid is None and await self._is_requested(row):
            return False
        try:
            await self._client.get(JOBS, row.namespace, row.job_name)
        except KubeNotFound:
            return True
        return False

    async def _is_requested(self, row: UnfinishedExecution) -> bool:
        place = await asyncio.to_thread(self._tasks.locate, row.task_uid)
        if place is None:
            return False
        try:
            body = await self._client.get(SCHEDULED_TASKS, *place)
        except KubeNotFound:
            return False
        annotations = body["metadata"].get("annotations") or {}
        return body["metadata"]["uid"] == row.task_uid and naming.TRIGGER_PREFIX + row.request_key in annotations

    async def _drop_pending(self, before: datetime) -> None:
        task_names = {task.task_id_label for task in self._cache.tasks()}
        for pending in await asyncio.to_thread(self._tasks.stale_pending, before):
            if pending.task_id not in task_names:
                await asyncio.to_thread(self._tasks.discard, pending.task_id)
                logger.warning("task %d was never created in the cluster; its reservation is dropped", pending.task_id)
        project_ids = {project.project_id_label for project in self._cache.projects()}
        for project in await asyncio.to_thread(self._projects.stale_pending, before):
            if project.project_id not in project_ids:
                await asyncio.to_thread(self._projects.discard, project.project_id)
