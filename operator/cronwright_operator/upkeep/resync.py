"""A fresh list of tasks and projects from time to time: kopf reports no deletion that fell into a watch gap."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from cronwright_core.kube.ports import ListWatchClient
from cronwright_core.kube.resources import PROJECTS, SCHEDULED_TASKS
from cronwright_operator.cache import DefinitionCache

logger = logging.getLogger(__name__)


class Resync:
    """Lists and compares with the cache."""

    def __init__(self, client: ListWatchClient, cache: DefinitionCache, namespaces: Sequence[str | None]) -> None:
        self._client = client
        self._cache = cache
        self._namespaces = namespaces

    async def run_once(self) -> None:
        """Brings the cache up to the cluster, projects first: tasks name them.

        Raises:
            KubeError: the list could not be read; the cache is unchanged or partly newer.
        """
        # What the cache holds now and the list does not was deleted; what came into the cache meanwhile is newer.
        known_projects = [project.uid for project in self._cache.projects()]
        known_tasks = [task.uid for task in self._cache.tasks()]
        projects, tasks = set(), set()
        for namespace in self._namespaces:
            for body in (await self._client.list(PROJECTS, namespace)).items:
                projects.add(body["metadata"]["uid"])
                self._cache.put_project(body)
        for namespace in self._namespaces:
            for body in (await self._client.list(SCHEDULED_TASKS, namespace)).items:
                tasks.add(body["metadata"]["uid"])
                self._cache.put_task(body)
        for uid in known_projects:
            if uid not in projects:
                self._cache.remove_project(uid)
        for uid in known_tasks:
            if uid not in tasks:
                self._cache.remove_task(uid)
