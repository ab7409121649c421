"""Endpoint 14: what runs at this moment."""

from __future__ import annotations

from fastapi import APIRouter, Response

from cronwright_api import messages
from cronwright_api.auth import CurrentUser
from cronwright_api.deps import CurrentBackends
from cronwright_api.envelope import Envelope, success
from cronwright_api.rendering import RenderedRoute
from cronwright_api.schemas.running import RunningOut

MAX_RUNNING = 1000
TOTAL_HEADER = "X-Total-Count"
router = APIRouter(tags=["running"], route_class=RenderedRoute)


@router.get("/running", summary="获取运行中的任务")
def list_running(user: CurrentUser, backends: CurrentBackends, response: Response) -> Envelope[list[RunningOut]]:
    """The caller's running executions (all, for an administrator), the latest started first, at most 1000.

    `X-Total-Count` says how many there are.
    """
    running = backends.executions.running(owner=user.owner_filter, limit=MAX_RUNNING)
    response.headers[TOTAL_HEADER] = str(running.total)
    now = backends.clock()
    return success(messages.FETCHED, [RunningOut.of(execution, now) for execution in running.items])
