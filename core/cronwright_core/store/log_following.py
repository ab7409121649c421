"""A log read from the beginning on, portion by portion, while it grows and after. Each portion is one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from cronwright_core.domain import naming
from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.domain.log_position import LogPosition, Pause, StreamState, next_read
from cronwright_core.store.columns import AnyRow
from cronwright_core.store.execution_rows import owned_by
from cronwright_core.store.executions import no_such_execution
from cronwright_core.store.log_streams import PodState, is_over, stream_rows
from cronwright_core.store.log_text import CHUNK_BYTES, cut_marker, decode_line
from cronwright_core.store.logs import SHOWN
from cronwright_core.store.models import attempts, executions, log_chunks
from cronwright_core.store.records.logs import LogEnd, LogPortion, LogType
from cronwright_core.store.session import Database

MAX_CHUNKS = 256
"""A program that prints a line now and then fills a chunk with each read of its output."""

_STATUS = (executions.c.status, executions.c.exit_code, executions.c.reason, executions.c.log_incomplete)
_POD = (attempts.c.number, attempts.c.status, attempts.c.start_time, attempts.c.exit_code, attempts.c.reason)


class LogReader:
    """Reads logs from the beginning on. Every call is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def follow(
        self,
        execution_id: str,
        *,
        log_type: LogType,
        after: LogPosition | None,
        attempt: int | None,
        owner: str | None,
    ) -> LogPortion:
        """The lines behind `after` (None: from the first on), about 256 KiB of them, of one attempt at a time, for a
        user (None: an administrator).

        `end` is set when there is nothing left and nothing more will come. `attempt` limits the reader to one attempt.

        Raises:
            NotFound: there is no such execution any more, or its task was handed on to somebody else.
            Unavailable: the database is away.
        """
        time = naming.execution_time(execution_id)
        if time is None:
            raise no_such_execution()
        with self._database.transaction() as connection:
            # The status comes first: what was stored before an execution's end is seen by the reads after this one.
            execution = connection.execute(
                select(*_STATUS).where(
                    executions.c.execution_time == time, executions.c.execution_id == execution_id, owned_by(owner)
                )
            ).one_or_none()
            if execution is None:
                raise no_such_execution()
            pods = connection.execute(
                select(*_POD)
                .where(attempts.c.execution_time == time, attempts.c.execution_id == execution_id)
                .order_by(attempts.c.number)
            ).all()
            rows = [row for row in stream_rows(connection, execution_id) if attempt in (None, row.attempt)]
            shown = [_state(row) for row in rows if row.stream in SHOWN[log_type]]
            outcome = _outcome(execution, pods, rows, attempt)
            unread = _unread(pods, rows, shown) if attempt is None else []
            found = next_read(after, shown, unread=unread, ended=outcome is not None)
            if isinstance(found, Pause):
                return LogPortion(position=after, end=outcome if found is Pause.OVER else None)
            row = next(row for row in rows if (row.attempt, row.stream) == (found.attempt, found.stream))
            return _read(connection, row, found, after)


def _read(connection: Connection, row: AnyRow, start: LogPosition, after: LogPosition | None) -> LogPortion:
    if row.cut_lines and row.cut_from <= start.line < row.cut_from + row.cut_lines:
        behind = LogPosition(start.attempt, start.stream, row.cut_from + row.cut_lines)
        return LogPortion(lines=(cut_marker(row.cut_lines, row.cut_bytes),), position=behind)
    stream = (
        log_chunks.c.execution_time == row.execution_time,
        log_chunks.c.execution_id == row.execution_id,
        log_chunks.c.attempt == start.attempt,
        log_chunks.c.stream == start.stream,
    )
    # The chunk that holds the first wanted line begins at or before it.
    begin = select(func.max(log_chunks.c.first_line)).where(*stream, log_chunks.c.first_line <= start.line)
    following = (
        select(
            log_chunks.c.first_line,
            log_chunks.c.data,
            func.sum(log_chunks.c.byte_count).over(order_by=log_chunks.c.first_line).label("upto"),
            log_chunks.c.byte_count,
        )
        .where(*stream, log_chunks.c.first_line >= begin.scalar_subquery())
        .order_by(log_chunks.c.first_line)
        .limit(MAX_CHUNKS)
        .subquery()
    )
    chunks = connection.execute(
        select(following.c.first_line, following.c.data)
        .where(following.c.upto - following.c.byte_count < CHUNK_BYTES)
        .order_by(following.c.first_line)
    ).all()
    lines: list[bytes] = []
    first = chunks[0].first_line if chunks else start.line
    for chunk in chunks:
        if chunk.first_line != first + len(lines):
            break  # behind a part that was left out
        lines += bytes(chunk.data).split(b"\n")[:-1]
    new = lines[start.line - first :]
    if not new:
        # It was left out since the streams' rows were read: the next read finds them as they are then.
        return LogPortion(position=after)
    return LogPortion(
        lines=tuple(map(decode_line, new)), position=LogPosition(start.attempt, start.stream, start.line + len(new))
    )


def _outcome(execution: AnyRow, pods: Sequence[AnyRow], rows: Sequence[AnyRow], attempt: int | None) -> LogEnd | None:
    """How the execution, or the attempt, has ended; None while something may still be stored."""
    pod = next((pod for pod in pods if pod.number == attempt), None)
    state = None if pod is None else PodState(ExecutionStatus(pod.status), pod.start_time)
    if not is_over(ExecutionStatus(execution.status), state, rows):
        return None
    if pod is None or state is None or not state.status.ended:
        return _end(execution, execution.log_incomplete)
    return _end(pod, any(row.incomplete_reason is not None for row in rows))


def _end(row: AnyRow, incomplete: bool) -> LogEnd:
    return LogEnd(ExecutionStatus(row.status), row.exit_code, row.reason, incomplete)


def _unread(pods: Sequence[AnyRow], rows: Sequence[AnyRow], shown: Sequence[StreamState]) -> list[int]:
    known = {state.attempt for state in shown}
    # Where the cluster merges the streams, an attempt has no stderr.
    known |= {row.attempt for row in rows if row.stream == "all" and _closed(row)}
    return [pod.number for pod in pods if pod.start_time is not None and pod.number not in known]


def _state(row: AnyRow) -> StreamState:
    return StreamState(row.attempt, row.stream, row.lines, _closed(row))


def _closed(row: AnyRow) -> bool:
    return bool(row.complete)
