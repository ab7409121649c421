"""Tasks: the projection of ScheduledTask resources, with the ids and unique names that only a database can give."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from cronwright_core.domain.errors import Conflict, InvalidInput, Message, NotFound
from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.domain.validation import name_taken, unknown_project
from cronwright_core.store import idempotency, projection
from cronwright_core.store.columns import AnyRow
from cronwright_core.store.listed import ListedTask
from cronwright_core.store.models import projects, task_days, task_stats, tasks
from cronwright_core.store.records.pages import Page
from cronwright_core.store.records.tasks import (
    CreationKey,
    DayCounts,
    LiveTask,
    PendingTask,
    ProjectedTask,
    ReservedTask,
    TaskDraft,
    TaskIdentity,
    TaskProjection,
    TaskRecord,
    TaskSort,
    TaskStatistics,
)
from cronwright_core.store.session import Database
from cronwright_core.store.task_pages import read_page
from cronwright_core.store.task_rows import (
    from_task_spec,
    owned_by,
    select_tasks,
    to_last_execution,
    to_stats,
    to_task_record,
    to_task_spec,
)


def no_such_task() -> NotFound:
    """The answer for a task that is not there, and for one of somebody else."""
    return NotFound(Message("任务不存在", "there is no such task"))


def _known_owner(connection: Connection, cr_uid: str) -> str:
    """Whose task it was when that was last known; nobody's if it never was."""
    return connection.execute(select(tasks.c.owner).where(tasks.c.cr_uid == cr_uid)).scalar_one_or_none() or ""


def _taken(values: Mapping[str, Any]) -> Conflict:
    error = name_taken(values["name"])
    return Conflict(error.message, (error,))


def _unknown_project(values: Mapping[str, Any]) -> InvalidInput:
    error = unknown_project(values.get("project_id"))
    return InvalidInput(error.message, (error,))


_TASKS = projection.Projected(tasks, ("owner", "name"), _taken, no_such_task, _unknown_project)


class TaskStore:
    """Reads and writes tasks. Every method is one transaction, and raises Unavailable if the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def reserve(self, draft: TaskDraft, now: datetime) -> int:
        """Makes a pending row, invisible to readers, and returns its id; the name is the draft's from here on.

        For a rename, whoever registers the resource under its new name consumes the row.

        Raises:
            Conflict: the owner has a live task of that name. A pending row older than 60 s, or for the rename of the
                same resource, is replaced instead.
            InvalidInput: there is no such project.
        """
        with self._database.transaction() as connection:
            return _reserve(connection, draft, now)

    def find_created(self, key: CreationKey, now: datetime) -> ReservedTask | None:
        """What the key has made within a day, or None.

        Raises:
            Conflict: it was used for another request, or the task has been deleted.
        """
        with self._database.transaction() as connection:
            return _reserved(idempotency.find(connection, "task", key, now))

    def reserve_once(self, draft: TaskDraft, key: CreationKey, now: datetime) -> ReservedTask:
        """As `reserve`, for the first of all requests with the key; the others get the first one's row.

        Raises:
            Conflict, InvalidInput: as `reserve` and `find_created`.
        """
        with self._database.transaction() as connection:
            known = _reserved(idempotency.find(connection, "task", key, now))
            if known is not None:
                return known
            task_id = _reserve(connection, draft, now)
            idempotency.bind(connection, "task", key, task_id, now)
            return ReservedTask(task_id=task_id, active=False, project_id=draft.project_id, spec=draft.spec)

    def activate(
        self,
        task_id: int,
        *,
        cr_uid: str,
        namespace: str,
        cr_name: str,
        generation: int,
        next_run_time: datetime | None,
        now: datetime,
    ) -> TaskRecord:
        """Completes a pending row once its resource exists. Idempotent; no matter if the operator was first.

        Raises:
            NotFound: the row was given up meanwhile (older than a minute), or the task is deleted already. If the
                resource exists, the operator registers it anew.
            Conflict: the id belongs to another resource.
        """
        resource = projection.Resource(cr_uid=cr_uid, namespace=namespace, cr_name=cr_name, generation=generation)
        with self._database.transaction() as connection:
            projection.activate(connection, _TASKS, task_id, resource, {}, now)
            # The operator may have been first, and have judged the task: then it knows the next run better.
            connection.execute(
                update(tasks)
                .where(tasks.c.id == task_id, tasks.c.ready.is_(None), tasks.c.generation <= generation)
                .values(next_run_time=next_run_time)
            )
            return _get(connection, task_id, owner=None)

    def discard(self, task_id: int) -> None:
        """Gives up a pending row and its name; a row that is not pending stays."""
        with self._database.transaction() as connection:
            projection.discard(connection, tasks, task_id)

    def stale_pending(self, older_than: datetime) -> list[PendingTask]:
        """The pending rows made before `older_than`, oldest first."""
        with self._database.transaction() as connection:
            return [
                PendingTask(
                    task_id=row.id, owner=row.owner, name=row.name, project_id=row.project_id, created_at=row.created_at
                )
                for row in projection.stale_pending(connection, tasks, older_than)
            ]

    def register(self, task: TaskProjection, now: datetime, *, only_newer: bool = False) -> int:
        """Projects a resource as the operator saw it (or as the API server answered the API), and returns its id.

        Idempotent; an older generation than the row's changes nothing, and `updated_at` moves only if something that
        users see has changed. A row marked deleted within the last ten minutes stays deleted.

        `only_newer`: the row's own generation changes nothing either. For the API, which knows the spec, but owner and
        project only as they stood in the row some calls ago: what the operator has written since for the same
        generation is right, and it would not write it again.

        Raises:
            Conflict: another live task of the owner has the name; nothing is changed.
            InvalidInput: there is no such project.
        """
        resource = projection.Resource(
            cr_uid=task.cr_uid, namespace=task.namespace, cr_name=task.cr_name, generation=task.generation
        )
        with self._database.transaction() as connection:
            owner = task.owner if task.owner is not None else _known_owner(connection, task.cr_uid)
            values = {"owner": owner, "project_id": task.project_id, **from_task_spec(task.spec)}
            return projection.register(
                connection,
                _TASKS,
                resource,
                values,
                created_at=task.creation_time,
                own_id=task.task_id,
                labelled_id=task.labelled_task_id,
                now=now,
                only_newer=only_newer,
            )

    def register_deleted(self, task: TaskProjection, now: datetime) -> None:
        """Projects a resource that was deleted before it had a row; one that has a row keeps it as it is.

        Raises:
            InvalidInput: there is no such project.
        """
        resource = projection.Resource(
            cr_uid=task.cr_uid, namespace=task.namespace, cr_name=task.cr_name, generation=task.generation
        )
        values = {"owner": task.owner or "", "project_id": task.project_id, **from_task_spec(task.spec)}
        with self._database.transaction() as connection:
            projection.register_deleted(connection, _TASKS, resource, values, created_at=task.creation_time, now=now)

    def set_observed(
        self,
        cr_uid: str,
        *,
        generation: int,
        next_run_time: datetime | None,
        ready: bool | None,
        reason: str | None,
        message: str | None,
        completed: bool,
    ) -> None:
        """Writes what the operator has judged of this generation, if it differs. `updated_at` stays. An unknown uid is
        no error, nor is a row that the API has brought to a newer generation meanwhile: it waits for its own judgement.
        """
        values = {
            "next_run_time": next_run_time,
            "ready": ready,
            "ready_reason": reason,
            "ready_message": message,
            "completed": completed,
        }
        with self._database.transaction() as connection:
            projection.set_columns(connection, tasks, cr_uid, values, generation=generation)

    def set_next_run(
        self, cr_uid: str, next_run_time: datetime | None, *, generation: int, completed: bool = False
    ) -> None:
        """Writes when an edit, of which this generation came, makes the task run next, or that it has had its only run:
        for the API, so that the writer's next read shows it. Once the operator has judged that generation it knows
        better, and nothing changes.
        """
        with self._database.transaction() as connection:
            connection.execute(
                update(tasks)
                .where(tasks.c.cr_uid == cr_uid, tasks.c.generation == generation, tasks.c.ready.is_(None))
                .values(next_run_time=next_run_time, completed=completed)
            )

    def mark_deleted(self, cr_uid: str, now: datetime) -> None:
        """Soft-deletes the task and frees its name. Idempotent; an unknown uid is no error."""
        with self._database.transaction() as connection:
            projection.mark_deleted(connection, tasks, cr_uid, now)

    def projected(self) -> list[ProjectedTask]:
        """All active rows as the operator wrote them: for one that has just started, instead of a read for each."""
        columns = (
            tasks.c.cr_uid,
            tasks.c.id.label("task_id"),
            tasks.c.generation,
            tasks.c.owner,
            tasks.c.project_id,
            tasks.c.next_run_time,
            tasks.c.ready,
            tasks.c.ready_reason.label("reason"),
            tasks.c.ready_message.label("message"),
            tasks.c.completed,
        )
        with self._database.transaction() as connection:
            rows = connection.execute(select(*columns).where(tasks.c.state == "active")).all()
        return [ProjectedTask(**row._mapping) for row in rows]

    def live(self) -> list[LiveTask]:
        """All active rows, to be compared with the cluster's resources."""
        with self._database.transaction() as connection:
            return [
                LiveTask(cr_uid=row.cr_uid, namespace=row.namespace, cr_name=row.cr_name, task_id=row.id)
                for row in projection.live(connection, tasks)
            ]

    def find_by_uid(self, cr_uid: str) -> TaskIdentity | None:
        """Whose executions a resource's are; deleted tasks too, as their last runs are still to be recorded."""
        columns = (tasks.c.id, tasks.c.name, tasks.c.owner, tasks.c.project_id)
        with self._database.transaction() as connection:
            row = connection.execute(select(*columns).where(tasks.c.cr_uid == cr_uid)).one_or_none()
        if row is None:
            return None
        return TaskIdentity(task_id=row.id, name=row.name, owner=row.owner, project_id=row.project_id)

    def locate(self, cr_uid: str) -> tuple[str, str] | None:
        """Namespace and name of a resource that was projected, deleted or not; None: never seen."""
        with self._database.transaction() as connection:
            row = connection.execute(
                select(tasks.c.namespace, tasks.c.cr_name).where(tasks.c.cr_uid == cr_uid)
            ).one_or_none()
        return None if row is None else (row.namespace, row.cr_name)

    def get(self, task_id: int, *, owner: str | None) -> TaskRecord:
        """One task. `owner` None: an administrator asks. Raises NotFound, for somebody else's task too."""
        return self._database.read(lambda connection: _get(connection, task_id, owner=owner))

    def statistics(self, task_id: int, *, owner: str | None, days: int) -> TaskStatistics:
        """A task's statistics, with the last `days` days that had executions. Raises NotFound as `get`; two reads."""
        if not projection.in_range(task_id):
            raise no_such_task()
        known = tasks.c.id == task_id, tasks.c.state == "active", owned_by(owner)
        counts = select(task_stats).select_from(tasks.outerjoin(task_stats, task_stats.c.task_id == tasks.c.id))
        trend = (
            select(task_days.c.day, task_days.c.success, task_days.c.failed, task_days.c.cancelled)
            .where(task_days.c.task_id == task_id)
            .order_by(task_days.c.day.desc())
            .limit(days)
        )

        def work(connection: Connection) -> TaskStatistics:
            row = connection.execute(counts.where(*known)).one_or_none()
            if row is None:
                raise no_such_task()
            return TaskStatistics(
                stats=to_stats(row),
                last_execution=to_last_execution(row),
                days=tuple(DayCounts(*day) for day in connection.execute(trend)),
            )

        return self._database.read(work)

    def list(
        self,
        *,
        owner: str | None,
        page: int,
        size: int,
        status: ExecutionStatus | None = None,
        is_active: bool | None = None,
        search: str | None = None,
        project_id: int | None = None,
        schedule_type: ScheduleType | None = None,
        sort: TaskSort = "-created_at",
    ) -> Page[ListedTask]:
        """A page of tasks; one statement whatever the size. `owner` None: everybody's.

        `search` is a part of the name, upper and lower case alike; no character of it has a special meaning. `sort` is
        a column, with a minus from the greatest down; equal ones come in order of id, nulls last.
        """
        return self._database.read(
            lambda connection: read_page(
                connection,
                owner=owner,
                page=page,
                size=size,
                status=status,
                is_active=is_active,
                search=search,
                project_id=project_id,
                schedule_type=schedule_type,
                sort=sort,
            )
        )


def _reserve(connection: Connection, draft: TaskDraft, now: datetime) -> int:
    # Locked until the row is committed, so that a project cannot be deleted as unused at the same moment.
    state = connection.execute(
        select(projects.c.state).where(projects.c.id == draft.project_id).with_for_update(read=True, key_share=True)
    ).scalar_one_or_none()
    if state != "active":
        raise _unknown_project({"project_id": draft.project_id})
    values = {
        "owner": draft.owner,
        "project_id": draft.project_id,
        "namespace": draft.namespace,
        "cr_name": draft.cr_name,
        **from_task_spec(draft.spec),
    }
    return projection.reserve(connection, _TASKS, values, now)


def _reserved(row: AnyRow | None) -> ReservedTask | None:
    if row is None:
        return None
    active = row.state == "active"
    return ReservedTask(task_id=row.id, active=active, project_id=row.project_id, spec=to_task_spec(row))


def _get(connection: Connection, task_id: int, *, owner: str | None) -> TaskRecord:
    if not projection.in_range(task_id):
        raise no_such_task()
    row = connection.execute(select_tasks().where(tasks.c.id == task_id, owned_by(owner))).one_or_none()
    if row is None:
        raise no_such_task()
    return to_task_record(row)
