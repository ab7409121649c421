"""Endpoints 10 and 11: one execution, its attempts, its log; and the cancel that the document does not have."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from cronwright_api import messages
from cronwright_api.auth import CurrentUser
from cronwright_api.deps import AttemptNumber, CurrentBackends, ExecutionId
from cronwright_api.envelope import Envelope, success
from cronwright_api.rendering import RenderedRoute
from cronwright_api.schemas.executions import AttemptOut, ExecutionDetail, LogOut
from cronwright_api.schemas.fields import QueryInt, between
from cronwright_api.services.cancels import cancel_execution
from cronwright_core.store.records.logs import LogType

MAX_LINES = 10_000
router = APIRouter(prefix="/executions", tags=["executions"], route_class=RenderedRoute)


@router.get("/{execution_id}", summary="获取执行详情", name="get_execution")
def get(user: CurrentUser, backends: CurrentBackends, execution_id: ExecutionId) -> Envelope[ExecutionDetail]:
    """One execution with its attempts."""
    execution = backends.executions.get(execution_id, owner=user.owner_filter)
    attempts = backends.executions.attempts(execution_id)
    return success(messages.FETCHED, ExecutionDetail.with_attempts(execution, attempts))


@router.get("/{execution_id}/attempts", summary="获取执行的各次尝试")
def list_attempts(
    user: CurrentUser, backends: CurrentBackends, execution_id: ExecutionId
) -> Envelope[list[AttemptOut]]:
    """The attempts of an execution, the first one first: one Pod each."""
    backends.executions.get(execution_id, owner=user.owner_filter)
    attempts = backends.executions.attempts(execution_id)
    return success(messages.FETCHED, [AttemptOut.of(attempt) for attempt in attempts])


@router.post("/{execution_id}/cancel", summary="取消执行")
async def cancel(user: CurrentUser, backends: CurrentBackends, execution_id: ExecutionId) -> Envelope[None]:
    """Ends a waiting or running execution as CANCELLED, with no further attempt; what it has written is kept.

    The answer does not wait for the end: the program gets SIGTERM and 30 s. 409 if the execution has ended.
    """
    await cancel_execution(backends, user, execution_id)
    return success(messages.EXECUTION_CANCELLED, None)


@router.get("/{execution_id}/logs/file", summary="获取执行日志")
def read_log(
    user: CurrentUser,
    backends: CurrentBackends,
    execution_id: ExecutionId,
    log_type: Annotated[LogType, Query(description="日志类型")] = "output",
    lines: Annotated[QueryInt, Query(**between(1, MAX_LINES), description="返回的日志行数")] = MAX_LINES,
    attempt: AttemptNumber = None,
) -> Envelope[LogOut]:
    """The last lines of what the execution wrote, all attempts in order, or one of them; at most 8 MiB.

    Where these hold fewer lines than were asked for, the first one says how many were left out.
    """
    log = backends.logs.show(execution_id, owner=user.owner_filter, log_type=log_type, lines=lines, attempt=attempt)
    return success(messages.FETCHED, LogOut.of(execution_id, log_type, log))
