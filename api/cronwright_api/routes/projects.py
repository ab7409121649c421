"""/projects, an addition to the document: what its `project_id` stands for."""

from __future__ import annotations

from fastapi import APIRouter

from cronwright_api import messages
from cronwright_api.auth import CurrentAdmin, CurrentUser
from cronwright_api.bodies import Body
from cronwright_api.deps import CurrentBackends, CurrentPaging, ProjectId
from cronwright_api.envelope import Envelope, PageOf, success
from cronwright_api.schemas.openapi import body_of
from cronwright_api.schemas.projects import ProjectCreate, ProjectOut
from cronwright_api.services.projects import create_project, find_project

router = APIRouter(prefix="/projects", tags=["projects"])


@router.post("", summary="创建项目", openapi_extra=body_of(ProjectCreate))
async def create(user: CurrentAdmin, backends: CurrentBackends, body: Body) -> Envelope[ProjectOut]:
    """Creates a project (administrators only)."""
    return success(messages.PROJECT_CREATED, ProjectOut.of(await create_project(backends, user, body)))


@router.get("", summary="获取项目列表")
def list_projects(user: CurrentUser, backends: CurrentBackends, paging: CurrentPaging) -> PageOf[ProjectOut]:
    """The projects that the caller may use (all, for an administrator), newest first."""
    page = backends.projects.list(user=user.owner_filter, page=paging.page, size=paging.size)
    items = [ProjectOut.of(project) for project in page.items]
    return PageOf(total=page.total, page=page.page, size=page.size, items=items)


@router.get("/{project_id}", summary="获取项目详情")
def get(user: CurrentUser, backends: CurrentBackends, project_id: ProjectId) -> Envelope[ProjectOut]:
    """One project."""
    return success(messages.FETCHED, ProjectOut.of(find_project(backends, user, project_id)))
