"""/projects, an addition to the document: what its `project_id` stands for."""

from __future__ import annotations

from fastapi import APIRouter, Response

from cronwright_api import messages
from cronwright_api.auth import CurrentAdmin, CurrentUser
from cronwright_api.bodies import Body
from cronwright_api.deps import CurrentBackends, CurrentPaging, ProjectId
from cronwright_api.envelope import Envelope, PageOf, success
from cronwright_api.idempotency import IdempotencyKey
from cronwright_api.preconditions import IfMatch, entity_tag
from cronwright_api.schemas.openapi import body_of
from cronwright_api.schemas.projects import ProjectCreate, ProjectOut, ProjectUpdate
from cronwright_api.services.project_edits import delete_project, update_project
from cronwright_api.services.projects import create_project, find_project

router = APIRouter(prefix="/projects", tags=["projects"])


@router.post("", summary="创建项目", openapi_extra=body_of(ProjectCreate))
async def create(
    user: CurrentAdmin, backends: CurrentBackends, key: IdempotencyKey, body: Body, response: Response
) -> Envelope[ProjectOut]:
    """Creates a project (administrators only)."""
    project = await create_project(backends, user, body, key)
    response.headers["ETag"] = entity_tag(project.cr_uid, project.generation)
    return success(messages.PROJECT_CREATED, ProjectOut.of(project))


@router.get("", summary="获取项目列表")
def list_projects(user: CurrentUser, backends: CurrentBackends, paging: CurrentPaging) -> PageOf[ProjectOut]:
    """The projects that the caller may use (all, for an administrator), newest first."""
    page = backends.projects.list(user=user.owner_filter, page=paging.page, size=paging.size)
    items = [ProjectOut.of(project) for project in page.items]
    return PageOf(total=page.total, page=page.page, size=page.size, items=items)


@router.get("/{project_id}", summary="获取项目详情")
def get(
    user: CurrentUser, backends: CurrentBackends, project_id: ProjectId, response: Response
) -> Envelope[ProjectOut]:
    """One project."""
    project = find_project(backends, user, project_id)
    response.headers["ETag"] = entity_tag(project.cr_uid, project.generation)
    return success(messages.FETCHED, ProjectOut.of(project))


@router.put("/{project_id}", summary="更新项目", openapi_extra=body_of(ProjectUpdate))
async def update(
    user: CurrentUser,
    backends: CurrentBackends,
    project_id: ProjectId,
    precondition: IfMatch,
    body: Body,
    response: Response,
) -> Envelope[ProjectOut]:
    """Changes the fields that the body holds (administrators; its owner may change members and description)."""
    project = await update_project(backends, user, project_id, body, precondition)
    response.headers["ETag"] = entity_tag(project.cr_uid, project.generation)
    return success(messages.PROJECT_UPDATED, ProjectOut.of(project))


@router.delete("/{project_id}", summary="删除项目")
async def delete(
    user: CurrentAdmin, backends: CurrentBackends, project_id: ProjectId, precondition: IfMatch
) -> Envelope[None]:
    """Deletes a project that no task uses (administrators only)."""
    await delete_project(backends, user, project_id, precondition)
    return success(messages.PROJECT_DELETED, None)
