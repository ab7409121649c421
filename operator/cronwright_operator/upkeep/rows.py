"""Rows and resources, compared from time to time: tasks deleted while nobody watched, and rows that are missing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from cronwright_core.kube.errors import KubeNotFound
from cronwright_core.kube.ports import ObjectClient
from cronwright_core.kube.resources import PROJECTS, SCHEDULED_TASKS, Resource
from cronwright_core.store.projects import ProjectStore
from cronwright_core.store.tasks import TaskStore
from cronwright_operator.cache import DefinitionCache
from cronwright_operator.upkeep.projection import Projector
from cronwright_operator.watched import is_watched


class RowReconciliation:
    """Asks for a look (`look((kind, uid))`) at each row without a resource and each resource without a row."""

    def __init__(
        self,
        client: ObjectClient,
        cache: DefinitionCache,
        projector: Projector,
        tasks: TaskStore,
        projects: ProjectStore,
        namespaces: Collection[str | None],
        *,
        look: Callable[[tuple[str, str]], None],
    ) -> None:
        self._client = client
        self._cache = cache
        self._projector = projector
        self._tasks = tasks
        self._projects = projects
        self._namespaces = namespaces
        self._look = look

    async def sweep(self) -> None:
        """One comparison. Raises Unavailable or KubeError if somebody does not answer."""
        tasks = await asyncio.to_thread(self._tasks.live)
        projects = await asyncio.to_thread(self._projects.live)
        for project in projects:
            known = self._cache.project_by_uid(project.cr_uid) is not None
            if not known and await self._is_gone(PROJECTS, project.namespace, project.cr_name, project.cr_uid):
                self._look(("project", project.cr_uid))
        for task in tasks:
            known = self._cache.task(task.cr_uid) is not None
            if not known and await self._is_gone(SCHEDULED_TASKS, task.namespace, task.cr_name, task.cr_uid):
                self._look(("task", task.cr_uid))
        # A database that was restored from a backup lacks rows; ids come back from the resources' status.
        self._register_missing("project", {p.uid for p in self._cache.projects()} - {p.cr_uid for p in projects})
        self._register_missing("task", {t.uid for t in self._cache.tasks()} - {t.cr_uid for t in tasks})

    def _register_missing(self, kind: str, uids: set[str]) -> None:
        for uid in uids:
            self._projector.forget(uid)
            self._look((kind, uid))

    async def _is_gone(self, resource: Resource, namespace: str, name: str, uid: str) -> bool:
        """Asked of the API server itself: the cache may lag behind a task that REST has just made."""
        if not is_watched(self._namespaces, namespace):
            return False
        try:
            current = await self._client.get(resource, namespace, name)
        except KubeNotFound:
            return True
        return bool(current["metadata"]["uid"] != uid)
