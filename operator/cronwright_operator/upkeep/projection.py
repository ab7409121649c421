"""ScheduledTasks and Projects -> rows of the projection, and their ids -> status. No launch waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from cronwright_core.domain.errors import Conflict, Unavailable
from cronwright_core.domain.project import Project, owner_of
from cronwright_core.domain.task import Condition, ScheduledTask
from cronwright_core.domain.times import whole_seconds
from cronwright_core.domain.validation import check_image
from cronwright_core.kube.codec import from_conditions
from cronwright_core.kube.errors import KubeNotFound
from cronwright_core.kube.ports import ObjectClient
from cronwright_core.kube.resources import PROJECTS
from cronwright_core.kube.status import replace_status
from cronwright_core.store.projects import ProjectStore
from cronwright_core.store.records.projects import ProjectProjection
from cronwright_core.store.records.tasks import TaskProjection
from cronwright_core.store.tasks import TaskStore
from cronwright_operator.cache import DefinitionCache
from cronwright_operator.reconciling.observed import Registration

logger = logging.getLogger(__name__)


class Projector:
    """Registers tasks and projects; `registration` answers the reconciler from memory."""

    def __init__(
        self,
        cache: DefinitionCache,
        tasks: TaskStore,
        projects: ProjectStore,
        client: ObjectClient,
        *,
        registered: Callable[[str], None],
        now: Callable[[], datetime],
    ) -> None:
        self._cache = cache
        self._tasks = tasks
        self._projects = projects
        self._client = client
        self._registered = registered
        self._now = now
        self._registrations: dict[str, Registration] = {}
        self._refused_projects: set[str] = set()
        self._names: dict[str, tuple[str, ...]] = {}
        self._written: dict[str, object] = {}

    def registration(self, uid: str) -> Registration:
        """What is known of the task's row; nothing while PostgreSQL has not answered yet."""
        return self._registrations.get(uid, Registration())

    def project_refused(self, uid: str) -> bool:
        """Whether the Project's name is taken, so that no run of it could be recorded."""
        return uid in self._refused_projects

    def refused(self) -> tuple[list[str], list[str]]:
        """The uids of tasks and Projects whose name was taken: to be tried again, as nobody tells when it is free."""
        tasks = [uid for uid, registration in self._registrations.items() if registration.name_taken]
        return tasks, list(self._refused_projects)

    def forget(self, uid: str) -> None:
        """Takes back what is believed of a row, so that the next sync registers it anew."""
        for key in (uid, _observed_key(uid)):
            self._written.pop(key, None)

    async def load(self, timeout_seconds: float) -> None:
        """Takes over what the rows say of tasks that have not changed since: at a start, one read instead of thousands.

        No more than a saving: without it, or without PostgreSQL, each task is registered as if it were new.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                rows = await asyncio.to_thread(self._tasks.projected)
        except (Unavailable, TimeoutError) as error:
            logger.warning("the rows of the tasks could not be read at the start: %s", error or "no answer in time")
            return
        for row in rows:
            task = self._cache.task(row.cr_uid)
            project = self._cache.project(task.namespace, task.spec.project_name) if task is not None else None
            if task is None or project is None:
                continue
            content = (row.generation, row.task_id, row.project_id, row.owner)
            if content == (task.generation, task.status.task_id, project.project_id, owner_of(task, project)):
                self._registrations[row.cr_uid] = Registration(task_id=row.task_id)
                self._written[row.cr_uid] = content
                self._written[_observed_key(row.cr_uid)] = {
                    "next_run_time": row.next_run_time,
                    "ready": row.ready,
                    "reason": row.reason,
                    "message": row.message,
                    "completed": row.completed,
                }

    async def sync_task(self, uid: str) -> bool:
        """Brings the task's row up to its resource, its deletion included; returns whether a name became free.

        Raises:
            Unavailable: PostgreSQL does not answer; to be tried again.
        """
        task = self._cache.task(uid)
        if task is None:
            await asyncio.to_thread(self._tasks.mark_deleted, uid, self._now())
            self._registrations.pop(uid, None)
            self.forget(uid)
            return self._renamed(uid)
        project = self._cache.project(task.namespace, task.spec.project_name)
        if project is not None and project.project_id is None:
            return False  # its tasks are woken when the project has its id
        known = self._registrations.get(uid)
        owner = owner_of(task, project)
        content = (task.generation, task.status.task_id, project.project_id if project else None, owner)
        if known is None or known.name_taken or self._written.get(uid) != content:
            registration = await self._register(task, project)
            self._written[uid] = content
            # The API writes the next run of its own edits, and a new generation takes the judgement off the row. What
            # came of it here may be what it was before (paused and resumed between two looks): it is written all the
            # same, or the row would show what will not be.
            self._written.pop(_observed_key(uid), None)
            if registration != known:
                self._registrations[uid] = registration
                self._registered(uid)
        await self._observe(task)
        # Where the owner is not known it stays as it was, and so does the name that the row holds under it.
        before = self._names.get(uid, ("",))[0]
        return self._renamed(uid, before if owner is None else owner, task.spec.display_name)

    async def sync_project(self, uid: str) -> bool:
        """Brings the project's row and status up to its resource; returns whether a name became free.

        Raises:
            Unavailable: PostgreSQL does not answer; to be tried again.
        """
        project = self._cache.project_by_uid(uid)
        if project is None:
            await asyncio.to_thread(self._projects.mark_deleted, uid, self._now())
            self._refused_projects.discard(uid)
            self.forget(uid)
            return self._renamed(uid)
        errors = check_image(project.spec.container.image)
        ready, reason, message = not errors, "Accepted", "its tasks can run"
        project_id = project.project_id
        if errors:
            reason, message = "InvalidSpec", "; ".join(f"{e.kube_field}: {e.message.en}" for e in errors)
        try:
            project_id = await asyncio.to_thread(self._projects.register, _project_projection(project), self._now())
            await asyncio.to_thread(self._projects.set_observed, uid, ready=ready, reason=reason, message=message)
            freed = uid in self._refused_projects
            self._refused_projects.discard(uid)
        except Conflict as error:
            ready, reason, message = False, "NameTaken", error.message.en
            freed = uid not in self._refused_projects
            self._refused_projects.add(uid)
        if freed:
            for task in self._cache.tasks():
                if (task.namespace, task.spec.project_name) == (project.namespace, project.name):
                    self._registered(task.uid)
        await self._write_project_status(project, project_id, ready, reason, message)
        return self._renamed(uid, project.spec.display_name)

    def _renamed(self, uid: str, *name: str) -> bool:
        """Notes the name under which a row stands (none: it is deleted); whether it gave up another one."""
        before = self._names.pop(uid, name)
        if name:
            self._names[uid] = name
        return before != name

    async def _register(self, task: ScheduledTask, project: Project | None) -> Registration:
        projection = TaskProjection.of(task, project)
        try:
            return Registration(task_id=await asyncio.to_thread(self._tasks.register, projection, self._now()))
        except Conflict as error:
            logger.info("ScheduledTask %s/%s: %s", task.namespace, task.name, error)
            return Registration(name_taken=True)

    async def _observe(self, task: ScheduledTask) -> None:
        ready = task.status.ready
        observed: dict[str, Any] = {
            "next_run_time": task.status.next_schedule_time,
            "ready": ready.status if ready else None,
            "reason": ready.reason if ready else None,
            "message": ready.message if ready else None,
            "completed": task.status.completion_time is not None,
        }
        key = _observed_key(task.uid)
        if self._registrations[task.uid].task_id is None or task.status.observed_generation != task.generation:
            return
        if self._written.get(key) != observed:
            await asyncio.to_thread(self._tasks.set_observed, task.uid, generation=task.generation, **observed)
            self._written[key] = observed

    async def _write_project_status(
        self, project: Project, project_id: int | None, ready: bool, reason: str, message: str
    ) -> None:
        content = (project.generation, project_id, ready, reason, message)
        if self._written.get(project.uid) == content:
            return
        condition = Condition("Ready", ready, reason, message, whole_seconds(self._now()), project.generation)
        status = {
            "projectId": project_id,
            "observedGeneration": project.generation,
            "conditions": from_conditions([condition]),
        }
        try:
            body = await replace_status(self._client, PROJECTS, project.namespace, project.name, project.uid, status)
        except KubeNotFound:
            return
        self._written[project.uid] = content
        self._cache.put_project(body)


def _observed_key(uid: str) -> str:
    return f"{uid}/observed"


def _project_projection(project: Project) -> ProjectProjection:
    return ProjectProjection(
        cr_uid=project.uid,
        namespace=project.namespace,
        cr_name=project.name,
        generation=project.generation,
        creation_time=project.creation_time,
        spec=project.spec,
        project_id=project.project_id,
        labelled_project_id=project.project_id_label,
    )
