"""Creating and reading projects."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.concurrency import run_in_threadpool

from cronwright_api import messages
from cronwright_api.bodies import invalid, read_form
from cronwright_api.deps import Backends
from cronwright_api.idempotency import creation_key
from cronwright_api.schemas.projects import NAME_LENGTH, ProjectCreate
from cronwright_api.services.creation import NameOccupied, create_reserved
from cronwright_api.tokens import User
from cronwright_core.domain.errors import FieldError, Message, NotFound, Unavailable
from cronwright_core.domain.placement import check_placement
from cronwright_core.domain.project import ProjectSpec
from cronwright_core.domain.validation import DESCRIPTION_LENGTH, check_image
from cronwright_core.kube import codec
from cronwright_core.kube.errors import KubeDenied, KubeForbidden, KubeNoRoom, KubeNotFound
from cronwright_core.kube.ports import Json
from cronwright_core.kube.resources import PROJECTS
from cronwright_core.store.records.projects import ProjectDraft, ProjectRecord, ReservedProject
from cronwright_core.store.records.tasks import CreationKey

_PLACEHOLDERS = {"name": "placeholder", "image": "placeholder"}
_ATTEMPTS = 5
_IDS_OCCUPIED = Message(
    "数据库与集群中的项目编号不一致，请稍后重试", "the database lags behind the cluster's project ids; try again later"
)


async def create_project(
    backends: Backends, user: User, raw: Mapping[str, Any], idempotency_key: str | None = None
) -> ProjectRecord:
    """POST /projects. The same request with the same key is answered as `tasks.create_task` does it.

    Raises:
        InvalidInput: with every wrong field.
        Conflict: there is a project of this name, or the key was used for another request.
        Unavailable, KubeUnreachable: the caller may try again.
    """
    now = backends.clock()
    key = creation_key(user.name, idempotency_key, raw)
    form = read_form(ProjectCreate, raw, _PLACEHOLDERS)
    namespace = form.body.namespace or backends.namespace
    known = await run_in_threadpool(backends.projects.find_created, key, now) if key is not None else None
    if known is not None:
        return await _complete(backends, namespace, known)
    spec = form.body.to_spec(creator=user.name)
    errors = form.with_rules(*check_project(spec))
    if errors:
        raise invalid(errors)
    draft = ProjectDraft(spec=spec)
    for _ in range(_ATTEMPTS):
        try:
            reserved = await run_in_threadpool(_reserve, backends, draft, key, now)
            return await _complete(backends, namespace, reserved)
        except NameOccupied:
            continue
    raise Unavailable(_IDS_OCCUPIED)


def _reserve(backends: Backends, draft: ProjectDraft, key: CreationKey | None, now: datetime) -> ReservedProject:
    if key is not None:
        return backends.projects.reserve_once(draft, key, now)
    return ReservedProject(project_id=backends.projects.reserve(draft, now), active=False, spec=draft.spec)


async def _complete(backends: Backends, namespace: str, reserved: ReservedProject) -> ProjectRecord:
    """From a reserved row to the project, however many requests do so at the same time; as for tasks."""
    if reserved.active:
        return await run_in_threadpool(backends.projects.get, reserved.project_id)
    created = await _create_resource(backends, namespace, reserved.project_id, reserved.spec)
    # If we die here the row stays pending, and the operator registers the resource.
    return await run_in_threadpool(_activate, backends, reserved.project_id, created)


def check_project(spec: ProjectSpec) -> list[FieldError]:
    """What the CRD also says of a project, with better words: its name, description and image, and where it runs."""
    errors: list[FieldError] = []
    low, high = NAME_LENGTH
    if not low <= len(spec.display_name) <= high:
        zh, en = f"项目名称长度必须为{low}-{high}个字符", f"the name must have {low} to {high} characters"
        errors.append(FieldError("name", Message(zh, en), "spec.displayName"))
    elif any(unicodedata.category(character).startswith("C") for character in spec.display_name):
        message = Message("项目名称不能包含控制字符", "the name must not hold control characters")
        errors.append(FieldError("name", message, "spec.displayName"))
    if spec.description is not None and len(spec.description) > DESCRIPTION_LENGTH:
        zh, en = (
            f"描述不能超过{DESCRIPTION_LENGTH}个字符",
            f"the description must not exceed {DESCRIPTION_LENGTH} characters",
        )
        errors.append(FieldError("description", Message(zh, en), "spec.description"))
    if spec.owner == "":  # of a change: whoever creates a project owns it if nobody is named
        message = Message("不能为空，该项目有所有者", "must not be null, as the project has an owner")
        errors.append(FieldError("owner", message, "spec.owner"))
    return errors + check_image(spec.container.image) + check_placement(spec)


def find_project(backends: Backends, user: User, project_id: int) -> ProjectRecord:
    """One project that the caller may use (any, for an administrator).

    Raises:
        NotFound: there is none, or it is not the caller's to use.
    """
    try:
        project = backends.projects.get(project_id)
    except NotFound as error:
        raise NotFound(messages.NO_SUCH_PROJECT) from error
    if not project.may_use(user.name, is_admin=user.is_admin):
        raise NotFound(messages.NO_SUCH_PROJECT)
    return project


async def _create_resource(backends: Backends, namespace: str, project_id: int, spec: ProjectSpec) -> Json:
    manifest = codec.build_project(namespace, f"project-{project_id}", spec, project_id=project_id)

    def is_ours(found: Json) -> bool:
        project = codec.to_project(found)
        # No status yet: an id that the operator gave it would be another row's.
        return project.spec == spec and project.project_id in (None, project_id) and not project.deleting

    try:
        return await create_reserved(
            backends.objects,
            PROJECTS,
            namespace,
            manifest,
            is_ours=is_ours,
            discard=lambda: backends.projects.discard(project_id),
        )
    except (KubeNotFound, KubeForbidden) as error:
        if namespace == backends.namespace or isinstance(error, KubeDenied | KubeNoRoom):
            raise
        zh, en = f"命名空间不存在或不可用：{namespace}", f"the namespace {namespace} does not exist or may not be used"
        raise invalid([FieldError("namespace", Message(zh, en), "metadata.namespace")]) from error


def _activate(backends: Backends, project_id: int, created: Json) -> ProjectRecord:
    metadata = created["metadata"]
    return backends.projects.activate(
        project_id,
        cr_uid=metadata["uid"],
        namespace=metadata["namespace"],
        cr_name=metadata["name"],
        generation=int(metadata.get("generation") or 1),
        now=backends.clock(),
    )
