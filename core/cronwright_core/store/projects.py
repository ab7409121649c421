"""Projects: the projection of Project resources."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update
from sqlalchemy.exc import IntegrityError

from cronwright_core.domain.errors import Conflict, FieldError, Message, NotFound
from cronwright_core.domain.project import ContainerTemplate, ProjectSpec, Workspace
from cronwright_core.store import idempotency, projection
from cronwright_core.store.columns import AnyRow
from cronwright_core.store.errors import StoreError
from cronwright_core.store.models import projects, tasks
from cronwright_core.store.paging import offset_of
from cronwright_core.store.records.pages import Page
from cronwright_core.store.records.projects import (
    LiveProject,
    PendingProject,
    ProjectDraft,
    ProjectProjection,
    ProjectRecord,
    ReservedProject,
)
from cronwright_core.store.records.tasks import CreationKey
from cronwright_core.store.session import Database


def no_such_project() -> NotFound:
    """The answer for a project that is not there."""
    return NotFound(Message("项目不存在", "there is no such project"))


def _taken(values: Mapping[str, Any]) -> Conflict:
    name = values["display_name"]
    message = Message(f"项目名称已存在：{name}", f"there is a project of this name already: {name}")
    return Conflict(message, (FieldError("name", message, "spec.displayName"),))


def _bad_reference(values: Mapping[str, Any]) -> StoreError:
    return StoreError("a row of projects violates a constraint")


_PROJECTS = projection.Projected(projects, ("display_name",), _taken, no_such_project, _bad_reference)


class ProjectStore:
    """Reads and writes projects. Every method is one transaction, and raises Unavailable if the database does not
    answer.

    Who may see or use a project is for the caller to decide (`ProjectRecord.may_use`), except in `list`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def reserve(self, draft: ProjectDraft, now: datetime) -> int:
        """Makes a pending row, invisible to readers, and returns its id; as for tasks. Raises Conflict if the name is
        taken."""
        with self._database.transaction() as connection:
            return _reserve(connection, draft, now)

    def find_created(self, key: CreationKey, now: datetime) -> ReservedProject | None:
        """What the key has made within a day, or None.

        Raises:
            Conflict: it was used for another request, or the project has been deleted.
        """
        with self._database.transaction() as connection:
            return _reserved(idempotency.find(connection, "project", key, now))

    def reserve_once(self, draft: ProjectDraft, key: CreationKey, now: datetime) -> ReservedProject:
        """As `reserve`, for the first of all requests with the key; the others get the first one's row.

        Raises:
            Conflict: as `reserve` and `find_created`.
        """
        with self._database.transaction() as connection:
            known = _reserved(idempotency.find(connection, "project", key, now))
            if known is not None:
                return known
            project_id = _reserve(connection, draft, now)
            idempotency.bind(connection, "project", key, project_id, now)
            return ReservedProject(project_id=project_id, active=False, spec=draft.spec)

    def retire(self, project_id: int, now: datetime) -> None:
        """Marks a project that no live task uses as deleted; from here on no task can be reserved in it.

        Raises:
            NotFound
            Conflict: tasks use it; the message says how many.
        """
        if not projection.in_range(project_id):
            raise no_such_project()
        with self._database.transaction() as connection:
            # The lock makes creations of tasks in this project, which share it, wait for the outcome.
            row = connection.execute(
                select(projects.c.cr_uid)
                .where(projects.c.id == project_id, projects.c.state == "active")
                .with_for_update()
            ).one_or_none()
            if row is None:
                raise no_such_project()
            used = connection.execute(
                select(func.count())
                .select_from(tasks)
                .where(tasks.c.project_id == project_id, tasks.c.state != "deleted")
            ).scalar_one()
            if used:
                raise Conflict(
                    Message(
                        f"项目正在被{used}个任务使用，无法删除",
                        f"the project is used by {used} tasks and cannot be deleted",
                    )
                )
            projection.mark_deleted(connection, projects, row.cr_uid, now)

    def restore(self, project_id: int) -> None:
        """Takes `retire` back: its resource could not be deleted. If its name was taken meanwhile the row stays."""
        with suppress(Conflict), self._database.transaction() as connection:
            try:
                connection.execute(
                    update(projects)
                    .where(projects.c.id == project_id, projects.c.state == "deleted")
                    .values(state="active", deleted_at=None)
                )
            except IntegrityError as error:
                raise _taken({"display_name": ""}) from error

    def activate(
        self, project_id: int, *, cr_uid: str, namespace: str, cr_name: str, generation: int, now: datetime
    ) -> ProjectRecord:
        """Completes a pending row once its resource exists. Idempotent. Raises NotFound and Conflict as for tasks."""
        resource = projection.Resource(cr_uid=cr_uid, namespace=namespace, cr_name=cr_name, generation=generation)
        with self._database.transaction() as connection:
            projection.activate(connection, _PROJECTS, project_id, resource, {}, now)
            return _one(connection, projects.c.id == project_id)

    def discard(self, project_id: int) -> None:
        """Gives up a pending row and its name; a row that is not pending stays."""
        with self._database.transaction() as connection:
            projection.discard(connection, projects, project_id)

    def stale_pending(self, older_than: datetime) -> list[PendingProject]:
        """The pending rows made before `older_than`, oldest first."""
        with self._database.transaction() as connection:
            return [
                PendingProject(project_id=row.id, display_name=row.display_name, created_at=row.created_at)
                for row in projection.stale_pending(connection, projects, older_than)
            ]

    def register(self, project: ProjectProjection, now: datetime) -> int:
        """Projects a resource and returns its id; idempotent, never back to an older generation.

        Raises:
            Conflict: another live project has the display name; nothing is changed.
        """
        resource = projection.Resource(
            cr_uid=project.cr_uid, namespace=project.namespace, cr_name=project.cr_name, generation=project.generation
        )
        with self._database.transaction() as connection:
            return projection.register(
                connection,
                _PROJECTS,
                resource,
                from_project_spec(project.spec),
                created_at=project.creation_time,
                own_id=project.project_id,
                labelled_id=project.labelled_project_id,
                now=now,
            )

    def set_observed(self, cr_uid: str, *, ready: bool | None, reason: str | None, message: str | None) -> None:
        """Writes what the operator has judged, if it differs. An unknown uid is no error."""
        with self._database.transaction() as connection:
            projection.set_columns(
                connection, projects, cr_uid, {"ready": ready, "ready_reason": reason, "ready_message": message}
            )

    def mark_deleted(self, cr_uid: str, now: datetime) -> None:
        """Soft-deletes the project and frees its name; its tasks keep the reference. Idempotent."""
        with self._database.transaction() as connection:
            projection.mark_deleted(connection, projects, cr_uid, now)

    def live(self) -> list[LiveProject]:
        """All active rows, to be compared with the cluster's resources."""
        with self._database.transaction() as connection:
            return [
                LiveProject(cr_uid=row.cr_uid, namespace=row.namespace, cr_name=row.cr_name, project_id=row.id)
                for row in projection.live(connection, projects)
            ]

    def get(self, project_id: int) -> ProjectRecord:
        """One project. Raises NotFound."""
        if not projection.in_range(project_id):
            raise no_such_project()
        with self._database.transaction() as connection:
            return _one(connection, projects.c.id == project_id)

    def get_by_cr(self, namespace: str, name: str) -> ProjectRecord:
        """The project of the resource `name` in `namespace`. Raises NotFound."""
        with self._database.transaction() as connection:
            return _one(connection, and_(projects.c.namespace == namespace, projects.c.cr_name == name))

    def list(self, *, user: str | None, page: int, size: int) -> Page[ProjectRecord]:
        """A page of the projects that the user owns or is a member of, newest first. None: all of them."""
        condition: ColumnElement[bool] = projects.c.state == "active"
        if user is not None:
            condition = and_(condition, or_(projects.c.owner == user, projects.c.members.contains([user])))
        with self._database.transaction() as connection:
            total = connection.execute(select(func.count()).select_from(projects).where(condition)).scalar_one()
            rows = connection.execute(
                select(projects)
                .where(condition)
                .order_by(projects.c.id.desc())
                .limit(size)
                .offset(offset_of(page, size))
            ).all()
        return Page(total, page, size, tuple(to_project_record(row) for row in rows))


def from_project_spec(spec: ProjectSpec) -> dict[str, Any]:
    """The columns of a project that users see."""
    container = spec.container
    workspace = spec.workspace
    return {
        "display_name": spec.display_name,
        "description": spec.description,
        "owner": spec.owner,
        "members": list(spec.members),
        "image": container.image,
        "max_concurrent_executions": spec.max_concurrent_executions,
        "allow_overrides": spec.allow_overrides,
        "spec": {
            "command": list(container.command),
            "args": list(container.args),
            "env": [dict(variable) for variable in container.env],
            "resources": dict(container.resources),
            "service_account_name": spec.service_account_name,
            "image_pull_policy": spec.image_pull_policy,
            "image_pull_secrets": list(spec.image_pull_secrets),
            "security_context": dict(spec.security_context),
            "retention_days": spec.retention_days,
            "workspace": {"claim_name": workspace.claim_name, "mount_path": workspace.mount_path}
            if workspace
            else None,
            **_placement(spec),
        },
    }


def _placement(spec: ProjectSpec) -> dict[str, Any]:
    """Only what is set: else an upgrade would write, and date anew, the row of every project."""
    given = {
        "node_selector": dict(spec.node_selector),
        "tolerations": [dict(toleration) for toleration in spec.tolerations],
        "pod_annotations": dict(spec.pod_annotations),
    }
    return {name: value for name, value in given.items() if value}


def to_project_record(row: AnyRow) -> ProjectRecord:
    """A row of `projects`."""
    further = row.spec
    return ProjectRecord(
        project_id=row.id,
        namespace=row.namespace,
        cr_uid=row.cr_uid,
        cr_name=row.cr_name,
        generation=row.generation,
        spec=ProjectSpec(
            display_name=row.display_name,
            container=ContainerTemplate(
                image=row.image,
                command=tuple(further["command"]),
                args=tuple(further["args"]),
                env=tuple(further["env"]),
                resources=further["resources"],
            ),
            description=row.description,
            owner=row.owner,
            members=tuple(row.members),
            service_account_name=further["service_account_name"],
            image_pull_policy=further["image_pull_policy"],
            image_pull_secrets=tuple(further["image_pull_secrets"]),
            security_context=further["security_context"],
            workspace=Workspace(**further["workspace"]) if further["workspace"] else None,
            max_concurrent_executions=row.max_concurrent_executions,
            # A row of the release before has none.
            retention_days=further.get("retention_days"),
            allow_overrides=row.allow_overrides,
            node_selector=further.get("node_selector", {}),
            tolerations=tuple(further.get("tolerations", ())),
            pod_annotations=further.get("pod_annotations", {}),
        ),
        ready=row.ready,
        ready_reason=row.ready_reason,
        ready_message=row.ready_message,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _reserve(connection: Connection, draft: ProjectDraft, now: datetime) -> int:
    values = {"namespace": draft.namespace, "cr_name": draft.cr_name, **from_project_spec(draft.spec)}
    return projection.reserve(connection, _PROJECTS, values, now)


def _reserved(row: AnyRow | None) -> ReservedProject | None:
    if row is None:
        return None
    return ReservedProject(project_id=row.id, active=row.state == "active", spec=to_project_record(row).spec)


def _one(connection: Connection, condition: ColumnElement[bool]) -> ProjectRecord:
    row = connection.execute(select(projects).where(projects.c.state == "active", condition)).one_or_none()
    if row is None:
        raise no_such_project()
    return to_project_record(row)
