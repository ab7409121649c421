"""Endpoint 13: how the scheduler and its nodes are. Answers whatever is away."""

from __future__ import annotations

from datetime import datetime

import anyio.to_thread
from fastapi import APIRouter, Request

from cronwright_api import messages, request_context
from cronwright_api.auth import CurrentUser
from cronwright_api.deps import Backends, CurrentBackends
from cronwright_api.envelope import Envelope, success
from cronwright_api.schemas.system import SystemMetrics
from cronwright_api.services.system import midnight, reasons, system_metrics
from cronwright_core.domain.errors import Unavailable
from cronwright_core.store.records.system import SystemSnapshot

router = APIRouter(tags=["system"])


@router.get("/metrics", summary="获取系统指标")
async def metrics(request: Request, user: CurrentUser, backends: CurrentBackends) -> Envelope[SystemMetrics]:
    """The nodes' use, the queue, and the state of scheduler and database, for every user.

    With the database away this still answers: `database_status` is UNHEALTHY, and what only it knows is null.
    """
    now = backends.clock()
    # Threads of its own: where all others wait for a database that is away, this still says so.
    snapshot = await anyio.to_thread.run_sync(_snapshot, backends, now, limiter=request.app.state.metrics_limiter)
    text = request_context.current().text
    say = {reason: text(message) for reason, message in reasons().items()}
    return success(messages.FETCHED, system_metrics(snapshot, now, is_admin=user.is_admin, say=say))


def _snapshot(backends: Backends, now: datetime) -> SystemSnapshot | None:
    try:
        return backends.system.snapshot(midnight(now, backends.default_time_zone))
    except Unavailable:
        return None
