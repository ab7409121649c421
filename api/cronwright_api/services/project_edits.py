"""Changing and deleting a project: the resource first where it can be, under the version that was judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.concurrency import run_in_threadpool

from cronwright_api import messages
from cronwright_api.bodies import invalid, read_form
from cronwright_api.deps import Backends
from cronwright_api.preconditions import Precondition
from cronwright_api.schemas.projects import ProjectUpdate
from cronwright_api.services.edits import ATTEMPTS, delete_resource, merge_difference
from cronwright_api.services.projects import check_project, find_project
from cronwright_api.services.rejections import to_invalid_input
from cronwright_api.tokens import User
from cronwright_core.domain.errors import Conflict, CronwrightError, Forbidden, Message, NotFound, Unavailable
from cronwright_core.domain.project import Project, ProjectSpec
from cronwright_core.kube import codec
from cronwright_core.kube.errors import KubeConflict, KubeError, KubeInvalid, KubeNotFound, KubeUnreachable
from cronwright_core.kube.resources import PROJECTS
from cronwright_core.store.records.projects import ProjectDraft, ProjectProjection, ProjectRecord

_OWNERS_FIELDS_ONLY = Message(
    "权限不足：项目所有者只能修改members和description，其余字段仅管理员可修改",
    "forbidden: a project's owner may change members and description, an administrator the rest",
)


async def update_project(
    backends: Backends, user: User, project_id: int, raw: Mapping[str, Any], precondition: Precondition | None
) -> ProjectRecord:
    """PUT /projects/{id}: absent fields stay, and a body that changes nothing writes nothing.

    An administrator may change everything. The project's owner may say who its members are; what it runs and as whom is
    not the owner's to decide, since that may reach further than the owner's own rights.

    Raises:
        InvalidInput: with every wrong field.
        Forbidden: the caller may use the project but not change this of it.
        Conflict: the name is taken, or the project is being changed by others all the time.
        PreconditionFailed: it is not the version that `precondition` asks for.
        NotFound, Unavailable, KubeUnreachable
    """
    project = await run_in_threadpool(find_project, backends, user, project_id)
    form = read_form(ProjectUpdate, raw, {})
    for _ in range(ATTEMPTS):
        current = await _read(backends, project)
        if precondition is not None:
            precondition.check(current.uid, current.generation)
        wanted = form.body.changed(current.spec)
        if not user.is_admin and not is_owners_change(user.name, current.spec, wanted):
            raise Forbidden(_OWNERS_FIELDS_ONLY)
        errors = form.with_rules(*check_project(wanted))
        if errors:
            raise invalid(errors)
        if wanted == current.spec:
            if current.generation == project.generation:
                return project
            # The row lags behind, as in `task_edits`.
            return await run_in_threadpool(_project_edit, backends, project, current)
        reserved = await run_in_threadpool(_reserve_name, backends, project, wanted)
        try:
            changed = await _patch(backends, current, wanted)
            # If we die here the operator projects the edit: the resource has it, and the name is held for it.
            return await run_in_threadpool(_project_edit, backends, project, changed)
        except KubeConflict:
            continue
        except (KubeUnreachable, Unavailable):
            # The name stays held for a minute, as in `task_edits`.
            reserved = None
            raise
        finally:
            if reserved is not None:
                await run_in_threadpool(backends.projects.discard, reserved)
    raise Conflict(messages.CHANGED_MEANWHILE)


def is_owners_change(user: str, current: ProjectSpec, wanted: ProjectSpec) -> bool:
    """Whether the project's owner may make this change."""
    return user == current.owner and wanted == replace(current, members=wanted.members, description=wanted.description)


async def delete_project(backends: Backends, user: User, project_id: int, precondition: Precondition | None) -> None:
    """DELETE /projects/{id}, if no task uses it.

    Raises:
        Conflict: tasks use it; the message says how many.
        PreconditionFailed: it is not the version that `precondition` asks for.
        NotFound, Unavailable, KubeUnreachable
    """
    project = await run_in_threadpool(find_project, backends, user, project_id)
    if project.namespace is None or project.cr_name is None or project.cr_uid is None:
        raise NotFound(messages.NO_SUCH_PROJECT)

    async def version() -> str:
        current = await _read(backends, project)
        if precondition is not None:
            precondition.check(current.uid, current.generation)
        return current.resource_version

    # The row first: from here on no task can be created in it, so none is left without a project. If we die before the
    # resource is gone, the operator finds it standing and gives the row back after some minutes.
    await run_in_threadpool(backends.projects.retire, project_id, backends.clock())
    try:
        await delete_resource(
            backends.objects,
            PROJECTS,
            project.namespace,
            project.cr_name,
            project.cr_uid,
            None if precondition is None else version,
        )
    except (KubeError, CronwrightError):
        await run_in_threadpool(backends.projects.restore, project_id)
        raise


async def _read(backends: Backends, project: ProjectRecord) -> Project:
    try:
        found = codec.to_project(await backends.objects.get(PROJECTS, project.namespace or "", project.cr_name or ""))
    except KubeNotFound as error:
        raise NotFound(messages.NO_SUCH_PROJECT) from error
    if found.uid != project.cr_uid or found.deleting:
        raise NotFound(messages.NO_SUCH_PROJECT)
    return found


def _reserve_name(backends: Backends, project: ProjectRecord, wanted: ProjectSpec) -> int | None:
    """Holds a new name for the resource until its row has it, as `task_edits` does."""
    if wanted.display_name == project.spec.display_name:
        return None
    draft = ProjectDraft(spec=wanted, namespace=project.namespace, cr_name=project.cr_name)
    return backends.projects.reserve(draft, backends.clock())


async def _patch(backends: Backends, current: Project, wanted: ProjectSpec) -> Project:
    difference = merge_difference(codec.from_project_spec(current.spec), codec.from_project_spec(wanted))
    metadata = {"uid": current.uid, "resourceVersion": current.resource_version}
    patch = {"metadata": metadata, "spec": difference}
    try:
        return codec.to_project(await backends.objects.patch(PROJECTS, current.namespace, current.name, patch))
    except KubeNotFound as error:
        raise NotFound(messages.NO_SUCH_PROJECT) from error
    except KubeInvalid as error:
        raise to_invalid_input(error) from error


def _project_edit(backends: Backends, project: ProjectRecord, changed: Project) -> ProjectRecord:
    backends.projects.register(
        ProjectProjection(
            cr_uid=changed.uid,
            namespace=changed.namespace,
            cr_name=changed.name,
            generation=changed.generation,
            creation_time=changed.creation_time,
            spec=changed.spec,
            project_id=project.project_id,
        ),
        backends.clock(),
    )
    return backends.projects.get(project.project_id)
