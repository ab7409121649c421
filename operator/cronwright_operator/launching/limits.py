"""The limits in force, read where they stand: in the tasks, in the Projects, and in the settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cronwright_core.domain import naming
from cronwright_core.domain.gate import Limits
from cronwright_operator.cache import DefinitionCache


class TaskLimits(Mapping[str, int]):
    """`maxInstances` by the task's uid. Nothing of a deleted task starts any more: what waits is about to be deleted,
    and what runs is being ended."""

    def __init__(self, cache: DefinitionCache) -> None:
        self._cache = cache

    def __getitem__(self, uid: str) -> int:
        task = self._cache.task(uid)
        return task.spec.max_instances if task is not None and not task.deleting else 0

    def __iter__(self) -> Iterator[str]:
        return (task.uid for task in self._cache.tasks())

    def __len__(self) -> int:
        return sum(1 for _ in self)


class ProjectLimits(Mapping[str, int]):
    """`maxConcurrentExecutions` by `naming.project_key`; a Project without one has no limit."""

    def __init__(self, cache: DefinitionCache) -> None:
        self._cache = cache

    def __getitem__(self, key: str) -> int:
        namespace, _, name = key.partition("/")
        project = self._cache.project(namespace, name)
        if project is None:
            # A label holds the first 63 characters of a name only.
            project = next((p for p in self._cache.projects() if naming.project_key(p.namespace, p.name) == key), None)
        if project is None or project.spec.max_concurrent_executions is None:
            raise KeyError(key)
        return project.spec.max_concurrent_executions

    def __iter__(self) -> Iterator[str]:
        for project in self._cache.projects():
            if project.spec.max_concurrent_executions is not None:
                yield naming.project_key(project.namespace, project.name)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def build_limits(cache: DefinitionCache, *, total: int, unrecorded: int) -> Limits:
    """Limits that follow the cache; 0 stands for no limit in `total` and `unrecorded`."""
    return Limits(TaskLimits(cache), ProjectLimits(cache), total or None, unrecorded or None)
