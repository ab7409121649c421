"""Endpoint 15: asks the operator, by an annotation on each Project concerned, and waits for what it reports.

The API has no right on Jobs or volumes. A request that the operator has not carried out in time is not lost: it stands
on its Project, and the answer says how many do.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

import anyio
from starlette.concurrency import run_in_threadpool

from cronwright_api.deps import Backends
from cronwright_api.schemas.workspaces import CleanupSummary
from cronwright_api.tokens import User
from cronwright_core.domain import naming
from cronwright_core.domain.usage import BYTES_PER_MB
from cronwright_core.domain.workspaces import request_value
from cronwright_core.kube.errors import KubeNotFound, KubeRejected, is_another_object
from cronwright_core.kube.resources import PROJECTS
from cronwright_core.store.records.projects import LiveProject
from cronwright_core.store.records.workspaces import WorkspaceCleanup

WAIT_SECONDS = 45.0
"""Proxies usually give up after 60 s."""
POLL_SECONDS = 0.5


async def clean_workspaces(
    backends: Backends, user: User, max_age_hours: int, *, wait_seconds: float = WAIT_SECONDS
) -> CleanupSummary:
    """Removes the directories of executions that ended more than `max_age_hours` ago, of all projects.

    Raises:
        Unavailable, KubeUnreachable: what was asked for until then is carried out all the same; asking again is safe.
    """
    now = backends.clock()
    request_id = uuid.uuid4().hex
    # Whole seconds, as the annotation holds them: API and operator must mean the same instant.
    cutoff = now.replace(microsecond=0) - timedelta(hours=max_age_hours)
    projects = await run_in_threadpool(backends.workspaces.projects_to_clean, cutoff)
    value = request_value(max_age_hours=max_age_hours, by=user.name, at=now)
    asked = [project.project_id for project in projects if await _ask(backends, project, request_id, value)]
    until = time.monotonic() + wait_seconds
    found: Sequence[WorkspaceCleanup] = ()
    while asked:
        found = await run_in_threadpool(backends.workspaces.cleanups, request_id, asked)
        if sum(cleanup.finished_at is not None for cleanup in found) == len(asked) or time.monotonic() >= until:
            break
        await anyio.sleep(POLL_SECONDS)
    return summary(found, len(asked), backends.clock())


async def _ask(backends: Backends, project: LiveProject, request_id: str, value: str) -> bool:
    patch = {"metadata": {"uid": project.cr_uid, "annotations": {naming.CLEANUP_PREFIX + request_id: value}}}
    try:
        await backends.objects.patch(PROJECTS, project.namespace, project.cr_name, patch)
    except KubeRejected as error:
        if isinstance(error, KubeNotFound) or is_another_object(error):
            return False
        raise
    return True


def summary(found: Sequence[WorkspaceCleanup], asked: int, now: datetime) -> CleanupSummary:
    """The sum over the projects, of what has been reported."""
    return CleanupSummary(
        directories_removed=sum(cleanup.directories_removed for cleanup in found),
        space_freed_mb=round(sum(cleanup.bytes_freed for cleanup in found) / BYTES_PER_MB, 1),
        oldest_removed=min((cleanup.oldest_removed for cleanup in found if cleanup.oldest_removed), default=None),
        cleanup_time=now,
        directories_failed=sum(cleanup.directories_failed for cleanup in found),
        pending_projects=asked - sum(cleanup.finished_at is not None for cleanup in found),
        problems=[cleanup.problem for cleanup in found if cleanup.problem is not None],
    )
