"""Directories of executions, and requests to remove them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceDirectory:
    """An execution's directory in the volume of a claim: named as its Job. `ended` is when the execution did."""

    namespace: str
    claim: str
    name: str
    ended: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceCleanup:
    """What came of a request to clean a project's workspace: directories of executions that ended before `cutoff`.

    The figures are those of Jobs that have reported; `finished_at` is None while it goes on. `oldest_removed` is the
    earliest end of an execution whose directory was removed. `problem` says why something was left. `claims_left` are
    the volumes that could not be had.
    """

    request_id: str
    project_id: int
    requested_by: str | None
    requested_at: datetime
    cutoff: datetime
    directories_removed: int
    bytes_freed: int
    directories_failed: int
    oldest_removed: datetime | None
    finished_at: datetime | None
    problem: str | None
    claims_left: tuple[str, ...] = ()
