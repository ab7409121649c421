"""Workspaces: which directories may go, who asked for a cleaning, and what came of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from cronwright_core.store.columns import AnyRow
from cronwright_core.store.models import executions, projects, workspace_cleanups
from cronwright_core.store.records.projects import LiveProject
from cronwright_core.store.records.workspaces import WorkspaceCleanup, WorkspaceDirectory
from cronwright_core.store.session import Database

_LEFT = text("executions.workspace_claim IS NOT NULL AND executions.workspace_removed_at IS NULL")
_ENDED = text("executions.status NOT IN ('PENDING', 'RUNNING')")
_UNFINISHED = text("executions.status IN ('PENDING', 'RUNNING')")
"""Literal, so that the planner matches the partial indexes."""


class WorkspaceStore:
    """Every method is one transaction, and raises Unavailable if the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def projects_to_clean(self, cutoff: datetime) -> list[LiveProject]:
        """The projects with directories of executions that ended before `cutoff`."""
        old = select(executions.c.project_id).where(_LEFT, _ENDED, executions.c.end_time < cutoff).distinct()
        with self._database.transaction() as connection:
            rows = connection.execute(
                select(projects)
                .where(projects.c.id.in_(old), projects.c.state == "active", projects.c.cr_uid.is_not(None))
                .order_by(projects.c.id)
            ).all()
        return [
            LiveProject(cr_uid=row.cr_uid, namespace=row.namespace, cr_name=row.cr_name, project_id=row.id)
            for row in rows
        ]

    def directories(
        self, project_id: int, namespace: str, cleanup: WorkspaceCleanup, *, claim: str | None, limit: int
    ) -> list[WorkspaceDirectory]:
        """The directories of a project's executions that ended before the request's cutoff, the earliest end first.

        Those of the volume that the Project has now (`claim`) come before those of volumes that it had, and those that
        an earlier request had to leave come last. What this request has left does not come again: what cannot be
        removed holds up nothing else. Never one whose name belongs to an execution that has not ended.
        """
        unfinished = select(executions.c.namespace, executions.c.job_name).where(
            _UNFINISHED, executions.c.project_id == project_id
        )
        with self._database.transaction() as connection:
            busy = {(row.namespace, row.job_name) for row in connection.execute(unfinished)}
            rows = connection.execute(
                select(
                    executions.c.namespace,
                    executions.c.workspace_claim,
                    executions.c.job_name,
                    executions.c.end_time,
                )
                .where(
                    _LEFT,
                    _ENDED,
                    executions.c.project_id == project_id,
                    executions.c.namespace == namespace,
                    executions.c.end_time < cleanup.cutoff,
                    executions.c.workspace_left_by.is_distinct_from(cleanup.request_id),
                    executions.c.workspace_claim.not_in(cleanup.claims_left),
                )
                .order_by(
                    executions.c.workspace_claim.is_distinct_from(claim),
                    executions.c.workspace_left_by.is_not(None),
                    executions.c.end_time,
                )
                .limit(limit)
            ).all()
        return [
            WorkspaceDirectory(
                namespace=row.namespace, claim=row.workspace_claim, name=row.job_name, ended=row.end_time
            )
            for row in rows
            if (row.namespace, row.job_name) not in busy
        ]

    def begin(
        self,
        request_id: str,
        project_id: int,
        *,
        requested_by: str | None,
        requested_at: datetime,
        cutoff: datetime,
    ) -> WorkspaceCleanup:
        """Writes down a request, or finds it as it was written down first."""
        values = {
            "request_id": request_id,
            "project_id": project_id,
            "requested_by": requested_by,
            "requested_at": requested_at,
            "cutoff": cutoff,
        }
        with self._database.transaction() as connection:
            connection.execute(upsert(workspace_cleanups).values(**values).on_conflict_do_nothing())
            return _one(connection, request_id, project_id)

    def add_report(
        self,
        request_id: str,
        project_id: int,
        *,
        job_uid: str,
        namespace: str,
        claim: str,
        gone: Sequence[str],
        left: Sequence[str] | None,
        removed: int,
        freed: int,
        failed: int,
        oldest: datetime | None,
        problem: str | None,
        now: datetime,
    ) -> None:
        """Adds what one Job did to the request's figures, once for each Job, and marks the directories that are gone.

        `left` are those that it could not remove, which this request does not try again; None: the volume itself.
        All in one transaction: after a crash in between they would be counted again, or never be seen again.
        """
        cleanup = workspace_cleanups
        this = and_(cleanup.c.request_id == request_id, cleanup.c.project_id == project_id)
        with self._database.transaction() as connection:
            counted = connection.execute(
                update(cleanup)
                .where(this, cleanup.c.job_uid.is_distinct_from(job_uid))
                .values(
                    job_uid=job_uid,
                    directories_removed=cleanup.c.directories_removed + removed,
                    bytes_freed=cleanup.c.bytes_freed + freed,
                    directories_failed=cleanup.c.directories_failed + failed,
                    # LEAST ignores nulls in PostgreSQL.
                    oldest_removed=func.least(cleanup.c.oldest_removed, oldest),
                    problem=func.coalesce(cleanup.c.problem, problem),
                    # Not on each of its directories: they may be more than a statement can change in time.
                    claims_left=cleanup.c.claims_left
                    if left is not None
                    else func.array_append(cleanup.c.claims_left, claim),
                )
            )
            if not counted.rowcount:
                return
            due = and_(
                _LEFT,
                _ENDED,
                executions.c.project_id == project_id,
                executions.c.namespace == namespace,
                executions.c.workspace_claim == claim,
            )
            if gone:
                connection.execute(
                    update(executions)
                    .where(due, executions.c.job_name.in_(list(gone)))
                    .values(workspace_removed_at=now)
                )
            if left:
                connection.execute(
                    update(executions)
                    .where(due, executions.c.job_name.in_(list(left)))
                    .values(workspace_left_by=request_id)
                )

    def finish(self, request_id: str, project_id: int, *, problem: str | None, now: datetime) -> None:
        """The request is carried out, as far as it can be. Idempotent."""
        cleanup = workspace_cleanups
        with self._database.transaction() as connection:
            connection.execute(
                update(cleanup)
                .where(
                    cleanup.c.request_id == request_id,
                    cleanup.c.project_id == project_id,
                    cleanup.c.finished_at.is_(None),
                )
                .values(finished_at=now, problem=func.coalesce(cleanup.c.problem, problem))
            )

    def cleanups(self, request_id: str, project_ids: Collection[int]) -> list[WorkspaceCleanup]:
        """What has come of a request so far, for each of the projects that has begun with it."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                select(workspace_cleanups)
                .where(
                    workspace_cleanups.c.request_id == request_id,
                    workspace_cleanups.c.project_id.in_(list(project_ids)),
                )
                .order_by(workspace_cleanups.c.project_id)
            ).all()
        return [_to_cleanup(row) for row in rows]

    def forget_before(self, time: datetime) -> int:
        """Drops the figures of requests made before `time`; returns how many."""
        with self._database.transaction() as connection:
            done = connection.execute(
                workspace_cleanups.delete().where(
                    workspace_cleanups.c.requested_at < time, workspace_cleanups.c.finished_at.is_not(None)
                )
            )
            return int(done.rowcount)


def _one(connection: Connection, request_id: str, project_id: int) -> WorkspaceCleanup:
    row = connection.execute(
        select(workspace_cleanups).where(
            workspace_cleanups.c.request_id == request_id, workspace_cleanups.c.project_id == project_id
        )
    ).one()
    return _to_cleanup(row)


def _to_cleanup(row: AnyRow) -> WorkspaceCleanup:
    values: dict[str, Any] = dict(row._mapping)
    del values["job_uid"]
    values["claims_left"] = tuple(row.claims_left or ())
    return WorkspaceCleanup(**values)
