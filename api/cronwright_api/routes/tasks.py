"""Endpoints 1 to 9: tasks, their manual runs and their history."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from cronwright_api import messages
from cronwright_api.auth import CurrentUser
from cronwright_api.bodies import Body, OptionalBody
from cronwright_api.deps import CurrentBackends, CurrentLane, CurrentPaging, TaskId
from cronwright_api.envelope import Envelope, PageOf, success
from cronwright_api.idempotency import IdempotencyKey
from cronwright_api.preconditions import IfMatch, entity_tag
from cronwright_api.rendering import RenderedRoute
from cronwright_api.schemas.executions import ExecutionItem
from cronwright_api.schemas.fields import QueryBool, RowId, SearchText
from cronwright_api.schemas.lists import execution_page, task_page
from cronwright_api.schemas.openapi import body_of
from cronwright_api.schemas.tasks import TaskCreate, TaskDetail, TaskItem, TaskOut, TaskUpdate
from cronwright_api.schemas.triggers import TriggerBody
from cronwright_api.services.task_edits import delete_task, pause_task, resume_task, update_task
from cronwright_api.services.tasks import create_task
from cronwright_api.services.time_window import time_window
from cronwright_api.services.triggers import trigger_task
from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.store.records.executions import ExecutionSort
from cronwright_core.store.records.tasks import TaskSort

router = APIRouter(prefix="/tasks", tags=["tasks"], route_class=RenderedRoute)
Status = Annotated[ExecutionStatus | None, Query(description="任务状态筛选")]
Moment = Annotated[str | None, Query(max_length=64, json_schema_extra={"format": "date-time"})]


@router.post("", summary="创建调度任务", openapi_extra=body_of(TaskCreate))
async def create(
    user: CurrentUser, backends: CurrentBackends, key: IdempotencyKey, body: Body, response: Response
) -> Envelope[TaskOut]:
    """Creates a task that belongs to the caller; `Idempotency-Key` makes a repeat harmless."""
    task = await create_task(backends, user, body, key)
    response.headers["ETag"] = entity_tag(task.cr_uid, task.generation)
    return success(messages.TASK_CREATED, TaskOut.of(task))


@router.get("", summary="获取任务列表", response_model=PageOf[TaskItem])
async def list_tasks(
    user: CurrentUser,
    backends: CurrentBackends,
    lane: CurrentLane,
    paging: CurrentPaging,
    status: Status = None,
    is_active: Annotated[QueryBool | None, Query(description="激活状态筛选")] = None,
    search: Annotated[SearchText | None, Query(max_length=100, description="任务名称包含的文字，不区分大小写")] = None,
    project_id: Annotated[RowId | None, Query(description="项目筛选")] = None,
    schedule_type: Annotated[ScheduleType | None, Query(description="调度类型筛选")] = None,
    sort: Annotated[TaskSort, Query(description="排序字段，前缀-表示降序；空值在最后")] = "-created_at",
) -> Response:
    """The caller's tasks (all, for an administrator), newest first unless `sort` says otherwise."""

    def work() -> Response:
        page = backends.tasks.list(
            owner=user.owner_filter,
            page=paging.page,
            size=paging.size,
            status=status,
            is_active=is_active,
            search=search,
            project_id=project_id,
            schedule_type=schedule_type,
            sort=sort,
        )
        return task_page(page)

    # A search reads the names of all tasks: that is no short read.
    return await lane.run(work) if search is None else await run_in_threadpool(work)


@router.get("/{task_id}", summary="获取任务详情")
def get(user: CurrentUser, backends: CurrentBackends, task_id: TaskId, response: Response) -> Envelope[TaskDetail]:
    """One task with its counts; `ETag` names the version of its definition."""
    task = backends.tasks.get(task_id, owner=user.owner_filter)
    response.headers["ETag"] = entity_tag(task.cr_uid, task.generation)
    return success(messages.FETCHED, TaskDetail.of(task))


@router.put("/{task_id}", summary="更新任务", openapi_extra=body_of(TaskUpdate))
async def update(
    user: CurrentUser,
    backends: CurrentBackends,
    task_id: TaskId,
    precondition: IfMatch,
    body: Body,
    response: Response,
) -> Envelope[TaskOut]:
    """Changes the fields that the body holds; the answer is the whole task."""
    task = await update_task(backends, user, task_id, body, precondition)
    response.headers["ETag"] = entity_tag(task.cr_uid, task.generation)
    return success(messages.TASK_UPDATED, TaskOut.of(task))


@router.delete("/{task_id}", summary="删除任务")
async def delete(
    user: CurrentUser, backends: CurrentBackends, task_id: TaskId, precondition: IfMatch
) -> Envelope[None]:
    """Deletes the task for good and cancels what runs of it."""
    await delete_task(backends, user, task_id, precondition)
    return success(messages.TASK_DELETED, None)


@router.post("/{task_id}/pause", summary="暂停任务")
async def pause(user: CurrentUser, backends: CurrentBackends, task_id: TaskId, precondition: IfMatch) -> Envelope[None]:
    """Holds back new scheduled runs; what runs goes on, and manual runs still work."""
    await pause_task(backends, user, task_id, precondition)
    return success(messages.TASK_PAUSED, None)


@router.post("/{task_id}/resume", summary="恢复任务")
async def resume(
    user: CurrentUser, backends: CurrentBackends, task_id: TaskId, precondition: IfMatch
) -> Envelope[None]:
    """Lets scheduled runs go on from now; what was missed while paused is not made up for."""
    await resume_task(backends, user, task_id, precondition)
    return success(messages.TASK_RESUMED, None)


@router.post("/{task_id}/trigger", summary="立即触发任务", openapi_extra=body_of(TriggerBody, required=False))
async def trigger(
    user: CurrentUser,
    backends: CurrentBackends,
    task_id: TaskId,
    key: IdempotencyKey,
    body: OptionalBody,
    request: Request,
    response: Response,
) -> Envelope[None]:
    """Runs the task once, now or as soon as its limits allow; `Location` names the execution."""
    execution_id = await trigger_task(backends, user, task_id, key, body)
    response.headers["Location"] = request.url_for("get_execution", execution_id=execution_id).path
    return success(messages.TASK_TRIGGERED, None)


@router.get("/{task_id}/executions", summary="获取任务执行历史", response_model=PageOf[ExecutionItem])
async def list_executions(
    user: CurrentUser,
    backends: CurrentBackends,
    lane: CurrentLane,
    task_id: TaskId,
    paging: CurrentPaging,
    status: Status = None,
    start_date: Moment = None,
    end_date: Moment = None,
    sort: Annotated[ExecutionSort, Query(description="排序字段，前缀-表示降序；time为计划时间或触发时间")] = "-time",
) -> Response:
    """The task's executions, newest first unless `sort` says otherwise.

    `start_date` and `end_date` bound the scheduled time (of a manual run: that of its request), which is in the id.
    """
    start, end = time_window(start_date, end_date, backends.default_time_zone)

    def work() -> Response:
        page = backends.executions.list(
            task_id,
            owner=user.owner_filter,
            page=paging.page,
            size=paging.size,
            status=status,
            start=start,
            end=end,
            sort=sort,
        )
        return execution_page(page)

    # By duration all executions of the task are read: that is no short read.
    return await lane.run(work) if sort in ("time", "-time") else await run_in_threadpool(work)
