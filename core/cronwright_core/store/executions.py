"""Executions and their attempts: what ran, when, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, delete, false, func, select, text

from cronwright_core.domain import naming
from cronwright_core.domain.errors import Conflict, Message, NotFound
from cronwright_core.domain.execution import Attempt, Execution, ExecutionKind, ExecutionStatus
from cronwright_core.store import statistics
from cronwright_core.store.columns import AnyRow
from cronwright_core.store.execution_pages import read_page
from cronwright_core.store.execution_rows import owned_by, select_executions, to_execution_record
from cronwright_core.store.idempotency import KEY_REUSED
from cronwright_core.store.listed import ListedExecution
from cronwright_core.store.merging import to_execution_values
from cronwright_core.store.models import attempts, executions, task_stats
from cronwright_core.store.recording import announce, record_batch
from cronwright_core.store.records.executions import (
    ExecutionRecord,
    ExecutionSort,
    RecordResult,
    RequestedExecution,
    RunningExecutions,
    UnfinishedExecution,
)
from cronwright_core.store.records.pages import Page
from cronwright_core.store.running import list_running
from cronwright_core.store.session import Database

MAX_WAITING = 200
"""Waiting executions of a task at which further requests are refused."""

_UNFINISHED = text("executions.status IN ('PENDING', 'RUNNING')")
"""Literal, so that the planner matches the partial index."""


def no_such_execution() -> NotFound:
    """The answer for an execution that is not there, and for one of somebody else."""
    return NotFound(Message("执行记录不存在", "there is no such execution"))


class ExecutionStore:
    """Reads and writes executions. Every method is one transaction, and raises Unavailable if the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def request(
        self, draft: Execution, *, max_waiting: int = MAX_WAITING, digest: str | None = None
    ) -> RequestedExecution:
        """Records a manual run that is about to be asked for. The same (task, request key) again returns the first row.

        Raises:
            Conflict: `max_waiting` executions of the task wait already, or the key was used with other parameters,
                which is seen by their `digest` (None: no parameters).
        """
        values = to_execution_values(draft)

        def work(connection: Connection) -> RequestedExecution:
            # Requests for one task take turns, so that neither the same key nor the limit can be passed twice.
            connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(draft.key.task_uid, 1))))
            known = _find_request(connection, draft.key.task_uid, draft.key.request_key)
            if known is not None:
                if known.digest != digest:
                    raise Conflict(KEY_REUSED)
                return known
            waiting = connection.execute(
                select(task_stats.c.waiting).where(task_stats.c.task_id == draft.task_id)
            ).scalar_one_or_none()
            if (waiting or 0) >= max_waiting:
                raise Conflict(
                    Message(
                        f"任务已有{max_waiting}个执行在等待，请稍后再试",
                        f"{max_waiting} executions of this task are waiting already; try again later",
                    )
                )
            connection.execute(executions.insert().values(**values, request_digest=digest, updated_at=func.now()))
            statistics.keep_in_step(connection, [(None, values)])
            announce(connection, [values])
            return RequestedExecution(
                execution_id=values["execution_id"],
                time=draft.key.time,
                created=True,
                status=ExecutionStatus(values["status"]),
                digest=digest,
            )

        return self._database.write_partitioned([draft.key.time], work)

    def withdraw(self, execution_id: str) -> None:
        """Takes back a request that could not be put to the cluster: removes its row if PENDING and without a Job."""
        with self._database.transaction() as connection:
            row = connection.execute(
                delete(executions)
                .where(
                    _is(execution_id),
                    executions.c.status == ExecutionStatus.PENDING.value,
                    executions.c.kind == ExecutionKind.ADHOC.value,
                    executions.c.job_uid.is_(None),
                )
                .returning(*executions.c)
            ).one_or_none()
            if row is not None:
                statistics.withdraw(connection, dict(row._mapping))

    def record(self, batch: Sequence[Execution]) -> RecordResult:
        """Stores the executions as reported, with their attempts and the tasks' statistics, in one transaction.

        Idempotent. The first final status stays for ever; what is known is never forgotten (`merging`). A handful of
        statements however many executions; safe beside other recorders. Who listens is notified of what has changed.
        """
        if not batch:
            return RecordResult(executions=())
        return self._database.write_partitioned(
            [execution.key.time for execution in batch], lambda connection: record_batch(connection, batch)
        )

    def get(self, execution_id: str, *, owner: str | None) -> ExecutionRecord:
        """One execution, of a deleted task too. `owner` None: an administrator asks. Raises NotFound."""
        statement = select_executions().where(_is(execution_id), owned_by(owner))
        row = self._database.read(lambda connection: connection.execute(statement).one_or_none())
        if row is None:
            raise no_such_execution()
        return to_execution_record(row)

    def attempts(self, execution_id: str) -> list[Attempt]:
        """The attempts of an execution, first one first; empty for an unknown id."""
        time = naming.execution_time(execution_id)
        if time is None:
            return []
        statement = (
            select(attempts)
            .where(attempts.c.execution_time == time, attempts.c.execution_id == execution_id)
            .order_by(attempts.c.number)
        )
        rows = self._database.read(lambda connection: connection.execute(statement).all())
        return [_to_attempt(row) for row in rows]

    def running(self, *, owner: str | None, limit: int) -> RunningExecutions:
        """What runs now, the latest started first; `owner` None: an administrator asks."""
        return list_running(self._database, owner=owner, limit=limit)

    def unfinished(self) -> list[UnfinishedExecution]:
        """All executions that are PENDING or RUNNING in the record, oldest first."""
        columns = (*(executions.c[name] for name in _LIGHT), executions.c.execution_time)
        with self._database.transaction() as connection:
            rows = connection.execute(
                select(*columns).where(_UNFINISHED).order_by(executions.c.execution_time, executions.c.execution_id)
            ).all()
        return [
            UnfinishedExecution(
                **{
                    **{name: row._mapping[name] for name in _LIGHT},
                    "kind": ExecutionKind(row.kind),
                    "status": ExecutionStatus(row.status),
                },
                time=row.execution_time,
            )
            for row in rows
        ]

    def list(
        self,
        task_id: int,
        *,
        owner: str | None,
        page: int,
        size: int,
        status: ExecutionStatus | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        sort: ExecutionSort = "-time",
    ) -> Page[ListedExecution]:
        """A page of a task's executions; two statements. `start` and `end` bound `time`, both inclusive.

        `sort`: by `time`, newest first unless said otherwise, or by duration (what has none comes last). The total is
        exact, and a deep page costs what the first one does, except by duration: that reads all that the filters let
        through.

        Raises:
            NotFound: there is no such task, or it is not the owner's (None: an administrator asks).
        """
        return self._database.read(
            lambda connection: read_page(
                connection,
                task_id,
                owner=owner,
                page=page,
                size=size,
                status=status,
                start=start,
                end=end,
                sort=sort,
            )
        )


_LIGHT = (
    "execution_id",
    "task_id",
    "task_uid",
    "namespace",
    "job_name",
    "job_uid",
    "kind",
    "request_key",
    "status",
    "created_at",
)


def _is(execution_id: str) -> ColumnElement[bool]:
    """The one row of an id; the time in it picks the partition. False for a text that is no id."""
    time = naming.execution_time(execution_id)
    if time is None:
        return false()
    return and_(executions.c.execution_time == time, executions.c.execution_id == execution_id)


def _find_request(connection: Connection, task_uid: str, request_key: str) -> RequestedExecution | None:
    row = connection.execute(
        select(
            executions.c.execution_id,
            executions.c.execution_time,
            executions.c.status,
            executions.c.request_digest,
        )
        .where(
            executions.c.task_uid == task_uid,
            executions.c.request_key == request_key,
            executions.c.kind == ExecutionKind.ADHOC.value,
            text("executions.request_key <> ''"),
        )
        .order_by(executions.c.execution_time.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    return RequestedExecution(
        execution_id=row.execution_id,
        time=row.execution_time,
        created=False,
        status=ExecutionStatus(row.status),
        digest=row.request_digest,
    )


def _to_attempt(row: AnyRow) -> Attempt:
    return Attempt(
        number=row.number,
        pod_name=row.pod_name,
        pod_uid=row.pod_uid,
        status=ExecutionStatus(row.status),
        created_time=row.created_time,
        node_name=row.node_name,
        start_time=row.start_time,
        end_time=row.end_time,
        exit_code=row.exit_code,
        reason=row.reason,
        message=row.message,
        max_memory_mb=row.max_memory_mb,
        avg_cpu_percent=row.avg_cpu_percent,
    )
