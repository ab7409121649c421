"""Endpoint 15: removing the directories of executions that ended long ago."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from cronwright_api import messages
from cronwright_api.auth import CurrentAdmin
from cronwright_api.deps import CurrentBackends
from cronwright_api.envelope import Envelope, success
from cronwright_api.schemas.fields import QueryInt
from cronwright_api.schemas.workspaces import CleanupOut
from cronwright_api.services.workspaces import clean_workspaces
from cronwright_core.domain.workspaces import MAX_AGE_HOURS

router = APIRouter(tags=["system"])


@router.post("/cleanup-workspaces", summary="清理执行工作目录")
async def clean(
    admin: CurrentAdmin,
    backends: CurrentBackends,
    max_age_hours: Annotated[QueryInt, Query(ge=0, le=MAX_AGE_HOURS, description="最大保留时间（小时）")] = 24,
) -> Envelope[CleanupOut]:
    """Removes the directories of executions that ended more than `max_age_hours` ago; for administrators.

    Waits up to 45 seconds. What is not done by then goes on, and `pending_projects` says so. Executions that have not
    ended are never touched.
    """
    summary = await clean_workspaces(backends, admin, max_age_hours)
    say = messages.workspaces_cleaned if summary.pending_projects == 0 else messages.workspaces_being_cleaned
    return success(say(max_age_hours), CleanupOut(cleanup_summary=summary))
