"""Whose execution is it? The task's id, name, owner and project, also when the task is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from cronwright_core.domain.cluster import JobFacts
from cronwright_core.domain.project import Project, owner_of
from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.domain.task import TaskSpec
from cronwright_core.kube.errors import KubeNotFound
from cronwright_core.kube.ports import ObjectClient
from cronwright_core.kube.resources import SCHEDULED_TASKS
from cronwright_core.store.records.tasks import TaskIdentity, TaskProjection
from cronwright_core.store.tasks import TaskStore
from cronwright_operator.cache import DefinitionCache


class NotRegistered(Exception):
    """The task has no id yet (PostgreSQL was away when it was first seen); its executions wait."""


class Identities:
    """Answers from the cache of live tasks, else from the projection, where deleted tasks stay as rows.

    A task that was made and deleted while PostgreSQL was away has no row: it gets one when the first of its runs is
    recorded, a deleted one. Without it its Jobs would wait for ever, and their namespace could not be deleted.
    """

    def __init__(
        self, cache: DefinitionCache, tasks: TaskStore, client: ObjectClient, now: Callable[[], datetime]
    ) -> None:
        self._cache = cache
        self._tasks = tasks
        self._client = client
        self._now = now
        self._gone: dict[str, TaskIdentity] = {}

    async def of(self, job: JobFacts) -> TaskIdentity:
        """The identity of the Job's task.

        Raises:
            NotRegistered: the projection does not know the task (yet).
            Unavailable: PostgreSQL does not answer.
            KubeError: the API server does not say whether the task is there.
        """
        task = self._cache.task(job.task_uid)
        if task is not None and task.status.task_id is not None:
            project = self._cache.project(task.namespace, task.spec.project_name)
            if project is not None:
                return TaskIdentity(
                    task_id=task.status.task_id,
                    name=task.spec.display_name,
                    owner=owner_of(task, project) or "",
                    project_id=project.project_id,
                )
        known = self._gone.get(job.task_uid)
        if known is None:
            known = await asyncio.to_thread(self._tasks.find_by_uid, job.task_uid)
            if known is None and task is None and await self._is_gone(job):
                known = await self._register_gone(job)
            if known is None:
                raise NotRegistered(f"the task of Job {job.namespace}/{job.name} has no id yet")
            if task is None:
                self._gone[job.task_uid] = known
        return known

    async def _is_gone(self, job: JobFacts) -> bool:
        """Asked of the API server, unless we saw it go: the row of one that lives would stay a deleted one for long."""
        if self._cache.last_seen(job.task_uid) is not None:
            return True
        if not job.task_name:
            return False  # somebody took the label off: the API server cannot be asked
        try:
            body = await self._client.get(SCHEDULED_TASKS, job.namespace, job.task_name)
        except KubeNotFound:
            return True
        return str(body["metadata"]["uid"]) != job.task_uid

    async def _register_gone(self, job: JobFacts) -> TaskIdentity | None:
        """None: its Project has no id yet either, but will have."""
        last_seen = self._cache.last_seen(job.task_uid)
        project = self._cache.project(job.namespace, last_seen.spec.project_name if last_seen else job.project)
        if project is not None and project.project_id is None:
            return None
        row = TaskProjection.of(last_seen, project) if last_seen is not None else _row_of_unseen(job, project)
        await asyncio.to_thread(self._tasks.register_deleted, row, self._now())
        return await asyncio.to_thread(self._tasks.find_by_uid, job.task_uid)


def _row_of_unseen(job: JobFacts, project: Project | None) -> TaskProjection:
    """What the Job still tells. Whose it was is not known, so administrators alone see its runs."""
    spec = TaskSpec(display_name=job.task_name, project_name=job.project, schedule_type=ScheduleType.ONCE, schedule="")
    return TaskProjection(
        cr_uid=job.task_uid,
        namespace=job.namespace,
        cr_name=job.task_name,
        generation=1,
        creation_time=job.creation_time,
        owner="",
        project_id=project.project_id if project else None,
        spec=spec,
    )
