"""Which streams of output an execution has: for whoever writes or follows them, and for a user who may or may not."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, and_, exists, select

from cronwright_core.domain import naming
from cronwright_core.domain.errors import Message, NotFound
from cronwright_core.store.columns import AnyRow
from cronwright_core.store.execution_rows import owned_by
from cronwright_core.store.executions import no_such_execution
from cronwright_core.store.models import attempts, executions, log_streams


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


def streams_for(connection: Connection, execution_id: str, owner: str | None, attempt: int | None) -> Sequence[AnyRow]:
    """As `stream_rows`, for a user (None: an administrator), in the one statement that also asks whether he may.

    Raises:
        NotFound: there is no such execution, it is somebody else's, or it has no attempt of that number.
    """
    time = naming.execution_time(execution_id)
    if time is None:
        raise no_such_execution()
    # The time beside each id: it picks the partition of each table while the statement is planned.
    known = exists().where(
        attempts.c.execution_time == time, attempts.c.execution_id == execution_id, attempts.c.number == attempt
    )
    columns = [known.label("known"), *log_streams.c] if attempt is not None else [*log_streams.c]
    statement = (
        select(*columns)
        .select_from(
            executions.outerjoin(
                log_streams,
                and_(log_streams.c.execution_time == time, log_streams.c.execution_id == executions.c.execution_id),
            )
        )
        .where(executions.c.execution_time == time, executions.c.execution_id == execution_id, owned_by(owner))
        .order_by(log_streams.c.attempt, log_streams.c.stream)
    )
    rows = connection.execute(statement).all()
    if not rows:
        raise no_such_execution()
    if attempt is not None and not rows[0].known:
        raise NotFound(Message("该执行没有这次尝试", "the execution has no such attempt"))
    return [row for row in rows if row.stream is not None]
