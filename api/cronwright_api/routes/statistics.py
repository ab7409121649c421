"""Endpoint 12: how a task's executions went."""

from __future__ import annotations

from fastapi import APIRouter

from cronwright_api import messages
from cronwright_api.auth import CurrentUser
from cronwright_api.deps import CurrentBackends, TaskId
from cronwright_api.envelope import Envelope, success
from cronwright_api.rendering import RenderedRoute
from cronwright_api.schemas.statistics import TaskStatisticsOut

DAYS = 30
router = APIRouter(prefix="/tasks", tags=["tasks"], route_class=RenderedRoute)


@router.get("/{task_id}/stats", summary="获取任务统计")
def statistics(user: CurrentUser, backends: CurrentBackends, task_id: TaskId) -> Envelope[TaskStatisticsOut]:
    """Counts, success rate, average duration, the newest execution, and the trend by day."""
    found = backends.tasks.statistics(task_id, owner=user.owner_filter, days=DAYS)
    return success(messages.FETCHED, TaskStatisticsOut.of(found))
