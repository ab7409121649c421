"""ScheduledTasks and Projects as last seen. Written by kopf's events and by the periodic list, read by decisions.

Lives in the operator's main loop; kopf's thread hands events over with `call_soon_threadsafe`.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta

from cronwright_core.domain.project import Project
from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.domain.skips import UnrecordedSkips
from cronwright_core.domain.task import ScheduledTask
from cronwright_core.domain.ticks import spread_offset
from cronwright_core.kube.codec import to_project, to_task
from cronwright_core.kube.deletions import Deletions
from cronwright_core.kube.ports import Json

logger = logging.getLogger(__name__)

_MAX_LAST_SEEN = 1000


class DefinitionCache:
    """All tasks by uid and all projects by (namespace, name); `on_task` and `on_project` hear of each change,
    `on_task` also whether somebody asks for something by it: what we have written ourselves comes back, too.

    `on_conditions` hears, in place of `on_task`, of a task of which nothing but its conditions changed: no decision
    follows from these, and one that is refused each time with other words would be taken again for its own echo.
    """

    def __init__(
        self,
        on_task: Callable[[str, bool], None],
        on_project: Callable[[str], None],
        on_conditions: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._on_task = on_task
        self._on_conditions = on_conditions
        self._on_project = on_project
        self._tasks: dict[str, ScheduledTask] = {}
        self._projects: dict[str, Project] = {}
        self._project_uids: dict[tuple[str, str], str] = {}
        self._removed = Deletions()
        self._last_seen: OrderedDict[str, ScheduledTask] = OrderedDict()

    def task(self, uid: str) -> ScheduledTask | None:
        """The task, or None if it is gone."""
        return self._tasks.get(uid)

    def is_gone(self, uid: str) -> bool:
        """Whether the task was deleted, or is being deleted."""
        task = self._tasks.get(uid)
        return task is None or task.deleting

    def last_seen(self, uid: str) -> ScheduledTask | None:
        """How a task was when it was deleted, if PostgreSQL does not know all of it: it has no id yet, or an account of
        skipped ticks. Of the newest thousand of these."""
        return self._last_seen.get(uid)

    def unsettled(self) -> Iterable[ScheduledTask]:
        """The deleted tasks that `last_seen` knows."""
        return self._last_seen.values()

    def settle(self, uid: str) -> None:
        """Forgets a deleted task of which all is recorded."""
        self._last_seen.pop(uid, None)

    def tasks(self) -> Iterable[ScheduledTask]:
        """All tasks."""
        return self._tasks.values()

    def project(self, namespace: str, name: str) -> Project | None:
        """The project of that name, or None."""
        uid = self._project_uids.get((namespace, name))
        return self._projects.get(uid) if uid is not None else None

    def project_by_uid(self, uid: str) -> Project | None:
        """The project, or None if it is gone."""
        return self._projects.get(uid)

    def projects(self) -> Iterable[Project]:
        """All projects."""
        return self._projects.values()

    def priority_of(self, task_uid: str) -> int:
        """The task's priority as it is now; 0 for one that is gone."""
        task = self._tasks.get(task_uid)
        return task.spec.priority if task is not None else 0

    def kind_of(self, task_uid: str) -> str | None:
        """`Cron`, `Interval`, `Date` or `Once`; None for a task that is gone."""
        task = self._tasks.get(task_uid)
        return task.spec.schedule_type.capitalize() if task is not None else None

    def offset_of(self, task_uid: str) -> timedelta:
        """By how much later than its time each tick of the task starts."""
        task = self._tasks.get(task_uid)
        if task is None or (task.spec.schedule_type is ScheduleType.ONCE and not task.spec.schedule):
            return timedelta()
        return spread_offset(task_uid, task.spec.spread_seconds)

    def take(self, kind: str, body: Json, *, deleted: bool) -> None:
        """Takes an event of a watch; `kind` is ScheduledTask or Project."""
        uid = body["metadata"]["uid"]
        if kind == "ScheduledTask":
            self.remove_task(uid) if deleted else self.put_task(body)
        else:
            self.remove_project(uid) if deleted else self.put_project(body)

    def put_task(self, body: Json) -> None:
        """Takes a task as read or written; an older one than is known is ignored."""
        try:
            task = to_task(body)
        except (KeyError, ValueError, TypeError, OverflowError) as error:
            # The CRD's schema makes this impossible but for objects of an older CRD.
            metadata = body.get("metadata") or {}
            logger.error(
                "ScheduledTask %s/%s cannot be read: %r", metadata.get("namespace"), metadata.get("name"), error
            )
            return
        if task.uid in self._removed:
            return  # a list or an answer that was under way when it was deleted: no ghost
        old = self._tasks.get(task.uid)
        if old is not None and int(old.resource_version) >= int(task.resource_version):
            return
        self._tasks[task.uid] = task
        if old is not None and old.status.conditions != task.status.conditions and _but_conditions(old, task) == task:
            self._on_conditions(task.uid)
            return
        self._on_task(task.uid, old is None or _asked_of(old) != _asked_of(task))

    def remove_task(self, uid: str) -> None:
        """Forgets a deleted task."""
        self._removed.add(uid)
        task = self._tasks.pop(uid, None)
        if task is None:
            return
        if task.status.task_id is None or task.status.unrecorded_skips != UnrecordedSkips():
            self._last_seen[uid] = task
            if len(self._last_seen) > _MAX_LAST_SEEN:
                self._last_seen.popitem(last=False)
        self._on_task(uid, False)

    def put_project(self, body: Json) -> None:
        """Takes a project as read or written."""
        try:
            project = to_project(body)
        except (KeyError, ValueError, TypeError, OverflowError) as error:
            metadata = body.get("metadata") or {}
            logger.error("Project %s/%s cannot be read: %r", metadata.get("namespace"), metadata.get("name"), error)
            return
        if project.uid in self._removed:
            return
        old = self._projects.get(project.uid)
        if old is not None and int(old.resource_version) >= int(project.resource_version):
            return
        self._projects[project.uid] = project
        self._project_uids[project.namespace, project.name] = project.uid
        self._on_project(project.uid)
        # A change of status alone concerns no task.
        if old is None or old.generation != project.generation or old.project_id != project.project_id:
            self._wake_tasks_of(project)

    def remove_project(self, uid: str) -> None:
        """Forgets a deleted project."""
        self._removed.add(uid)
        project = self._projects.pop(uid, None)
        if project is None:
            return
        if self._project_uids.get((project.namespace, project.name)) == uid:
            del self._project_uids[project.namespace, project.name]
        self._on_project(uid)
        self._wake_tasks_of(project)

    def _wake_tasks_of(self, project: Project) -> None:
        for task in self._tasks.values():
            if task.namespace == project.namespace and task.spec.project_name == project.name:
                self._on_task(task.uid, False)


def _but_conditions(old: ScheduledTask, new: ScheduledTask) -> ScheduledTask:
    """The older one with the newer one's version and conditions."""
    status = replace(old.status, conditions=new.status.conditions)
    return replace(old, resource_version=new.resource_version, status=status)


def _asked_of(task: ScheduledTask) -> tuple[object, ...]:
    """What users write; the API server counts up the generation with each change of the spec and with a deletion."""
    return task.generation, task.triggers, task.cancels, task.queue_labels
