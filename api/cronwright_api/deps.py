"""What routes are given: the stores, the API server and the clock, as one bundle that tests can replace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Path, Query, Request
from pydantic import Field

from cronwright_api.live.streams import LiveLogs
from cronwright_api.ports import Executions, Logs, Pingable, Projects, System, Tasks, Workspaces
from cronwright_api.quick_lane import QuickLane
from cronwright_api.schemas.fields import QueryInt, RowId, between
from cronwright_api.tokens import TokenVerifier
from cronwright_core.kube.ports import ObjectClient

MAX_PAGE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Backends:
    """Everything outside of this process that a request may touch, and the settings that requests depend on."""

    verifier: TokenVerifier
    database: Pingable
    tasks: Tasks
    projects: Projects
    executions: Executions
    logs: Logs
    live: LiveLogs
    system: System
    workspaces: Workspaces
    objects: ObjectClient
    clock: Callable[[], datetime]
    namespace: str = "default"
    default_time_zone: str = "UTC"


async def backends(request: Request) -> Backends:
    """The application's backends; `app.create_app` made them.

    A coroutine, as every dependency that does not block: FastAPI runs a plain function in a thread of its own.
    """
    found: Backends = request.app.state.backends
    return found


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page of a list is asked for."""

    page: int
    size: int


async def paging(
    page: Annotated[QueryInt, Query(**between(1, MAX_PAGE), description="页码")] = 1,
    size: Annotated[QueryInt, Query(**between(1, 100), description="每页数量")] = 20,
) -> Paging:
    """Reads `page` and `size`."""
    return Paging(page, size)


async def quick_lane(request: Request) -> QuickLane:
    """The application's lane for short reads."""
    found: QuickLane = request.app.state.quick_lane
    return found


CurrentLane = Annotated[QuickLane, Depends(quick_lane)]
CurrentBackends = Annotated[Backends, Depends(backends)]
CurrentPaging = Annotated[Paging, Depends(paging)]
TaskId = Annotated[RowId, Path(description="任务ID")]
ProjectId = Annotated[RowId, Path(description="项目ID")]
AttemptNumber = Annotated[
    Annotated[QueryInt, Field(**between(1, MAX_PAGE))] | None, Query(description="第几次尝试，从1开始；不填为全部")
]
ExecutionId = Annotated[str, Path(description="执行记录ID", max_length=200)]
