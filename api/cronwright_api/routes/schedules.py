"""When a schedule runs next, with what changes of the clock do to it; additions to the document."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool

from cronwright_api import messages
from cronwright_api.auth import CurrentUser
from cronwright_api.bodies import Body
from cronwright_api.deps import CurrentBackends, TaskId
from cronwright_api.envelope import Envelope, success
from cronwright_api.schemas.fields import QueryInt
from cronwright_api.schemas.openapi import body_of
from cronwright_api.schemas.schedules import DEFAULT_COUNT, PreviewedRuns, SchedulePreview, TaskNextRuns
from cronwright_api.services.previews import next_runs, preview_schedule
from cronwright_core.domain.schedule import MAX_PREVIEW

router = APIRouter(tags=["schedules"])
Count = Annotated[QueryInt, Query(ge=1, le=MAX_PREVIEW, description="返回的执行时间数量")]


@router.post("/schedules/preview", summary="预览调度时间", openapi_extra=body_of(SchedulePreview))
async def preview(user: CurrentUser, backends: CurrentBackends, body: Body) -> Envelope[PreviewedRuns]:
    """When a schedule would run; judged as in creating a task, and nothing is stored."""
    # A rare line over many years is work for a moment, which must not hold up the event loop.
    return success(messages.FETCHED, await run_in_threadpool(preview_schedule, backends, body))


@router.get("/tasks/{task_id}/next-runs", summary="获取任务后续执行时间")
def list_next_runs(
    user: CurrentUser, backends: CurrentBackends, task_id: TaskId, count: Count = DEFAULT_COUNT
) -> Envelope[TaskNextRuns]:
    """When the task runs next by its schedule."""
    return success(messages.FETCHED, next_runs(backends, user, task_id, count))
