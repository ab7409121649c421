"""Which streams of output an execution has: for whoever writes or follows them, and for a user who may or may not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, select

from cronwright_core.domain import naming
from cronwright_core.domain.errors import Message, NotFound
from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.store.columns import AnyRow
from cronwright_core.store.execution_rows import owned_by
from cronwright_core.store.executions import no_such_execution
from cronwright_core.store.models import attempts, executions, log_streams


@dataclass(frozen=True, slots=True)
class ReadableStreams:
    """The rows of `log_streams` that a user may read; `over`: nothing will be stored any more of what was asked for."""

    rows: Sequence[AnyRow]
    over: bool


@dataclass(frozen=True, slots=True)
class PodState:
    """What is recorded of an attempt; `start_time` None: its program never began (so far)."""

    status: ExecutionStatus
    start_time: datetime | None


def is_over(execution: ExecutionStatus, pod: PodState | None, rows: Iterable[AnyRow]) -> bool:
    """Whether nothing will be stored any more: of the execution, or of the one attempt whose Pod and streams these are.

    `pod` None: the whole execution is asked for, or nothing is recorded of the attempt.
    """
    # The end of an execution is recorded after its output has been read to the end. The end of an attempt is not, and
    # a retry may follow it; and a stream without a line has no row before somebody has looked for its end.
    if execution.ended or pod is None or not pod.status.ended:
        return execution.ended
    closed = {row.stream for row in rows if row.complete}
    return pod.start_time is None or "all" in closed or {"stdout", "stderr"} <= closed


def stream_rows(connection: Connection, execution_id: str) -> Sequence[AnyRow]:
    """The rows of `log_streams` of an execution, by attempt and stream; none for a text that is no id."""
    time = naming.execution_time(execution_id)
    if time is None:
        return []
    return connection.execute(
        select(log_streams)
        .where(log_streams.c.execution_time == time, log_streams.c.execution_id == execution_id)
        .order_by(log_streams.c.attempt, log_streams.c.stream)
    ).all()


def streams_for(connection: Connection, execution_id: str, owner: str | None, attempt: int | None) -> ReadableStreams:
    """Those of an execution or of one attempt, for a user (None: an administrator).

    One statement also asks whether he may, and how far the execution is: no end can come between it and the streams.

    Raises:
        NotFound: there is no such execution, it is somebody else's, or it has no attempt of that number.
    """
    time = naming.execution_time(execution_id)
    if time is None:
        raise no_such_execution()
    # The time beside each id: it picks the partition of each table while the statement is planned.
    of_streams = [log_streams.c.execution_time == time, log_streams.c.execution_id == executions.c.execution_id]
    columns = [executions.c.status.label("execution_status"), *log_streams.c]
    sources = executions.outerjoin(log_streams, and_(*of_streams))
    if attempt is not None:
        of_pod = [attempts.c.execution_time == time, attempts.c.execution_id == executions.c.execution_id]
        columns += [attempts.c.status.label("pod_status"), attempts.c.start_time.label("pod_start_time")]
        sources = executions.outerjoin(log_streams, and_(*of_streams, log_streams.c.attempt == attempt)).outerjoin(
            attempts, and_(*of_pod, attempts.c.number == attempt)
        )
    statement = (
        select(*columns)
        .select_from(sources)
        .where(executions.c.execution_time == time, executions.c.execution_id == execution_id, owned_by(owner))
        .order_by(log_streams.c.attempt, log_streams.c.stream)
    )
    rows = connection.execute(statement).all()
    if not rows:
        raise no_such_execution()
    pod = None
    if attempt is not None:
        if rows[0].pod_status is None:
            raise NotFound(Message("该执行没有这次尝试", "the execution has no such attempt"))
        pod = PodState(ExecutionStatus(rows[0].pod_status), rows[0].pod_start_time)
    streams = [row for row in rows if row.stream is not None]
    return ReadableStreams(streams, is_over(ExecutionStatus(rows[0].execution_status), pod, streams))
