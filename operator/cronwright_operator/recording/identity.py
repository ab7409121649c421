"""Whose execution is it? The task's id, name, owner and project, also when the task is gone."""

from __future__ import annotations

import asyncio

from cronwright_core.domain.cluster import JobFacts
from cronwright_core.store.records.tasks import TaskIdentity
from cronwright_core.store.tasks import TaskStore
from cronwright_operator.cache import DefinitionCache


class NotRegistered(Exception):
    """The task has no id yet (PostgreSQL was away when it was first seen); its executions wait."""


class Identities:
    """Answers from the cache of live tasks, else from the projection, where deleted tasks stay as rows."""

    def __init__(self, cache: DefinitionCache, tasks: TaskStore) -> None:
        self._cache = cache
        self._tasks = tasks
        self._gone: dict[str, TaskIdentity] = {}

    async def of(self, job: JobFacts) -> TaskIdentity:
        """The identity of the Job's task.

        Raises:
            NotRegistered: the projection does not know the task (yet).
            Unavailable: PostgreSQL does not answer.
        """
        task = self._cache.task(job.task_uid)
        if task is not None and task.status.task_id is not None:
            project = self._cache.project(task.namespace, task.spec.project_name)
            if project is not None:
                owner = task.spec.owner or project.spec.owner or ""
                return TaskIdentity(
                    task_id=task.status.task_id,
                    name=task.spec.display_name,
                    owner=owner,
                    project_id=project.project_id,
                )
        known = self._gone.get(job.task_uid)
        if known is None:
            known = await asyncio.to_thread(self._tasks.find_by_uid, job.task_uid)
            if known is None:
                raise NotRegistered(f"the task of Job {job.namespace}/{job.name} has no id yet")
            if task is None:
                self._gone[job.task_uid] = known
        return known
