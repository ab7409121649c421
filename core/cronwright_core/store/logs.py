"""Output of attempts, stored as bytes in chunks of whole lines; decoded when read.

A stream is one Pod's stdout or stderr, or both merged. `log_streams` says how far each is stored; a writer names the
line that it continues from, so that two writers (an operator and its successor) can neither double a line nor leave
one out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, func, text, update
from sqlalchemy.dialects.postgresql import Insert, insert

from cronwright_core.domain import naming
from cronwright_core.domain.errors import Message, NotFound
from cronwright_core.store import log_tail
from cronwright_core.store.columns import AnyRow, columns_of
from cronwright_core.store.copying import copy_rows
from cronwright_core.store.errors import CursorMoved
from cronwright_core.store.log_cutting import cut_middle
from cronwright_core.store.log_streams import stream_rows, streams_for
from cronwright_core.store.log_tail import CutMeanwhile, last_lines
from cronwright_core.store.log_text import CHUNK_BYTES, chunks_of, stored_bytes, stored_lines
from cronwright_core.store.models import executions, log_chunks, log_streams
from cronwright_core.store.notifications import LOG_CHANNEL, notify
from cronwright_core.store.records.logs import LogAppend, LogCursor, LogFile, LogType, Stream
from cronwright_core.store.session import Database
from cronwright_core.store.upserts import replace_rows

SHOWN: dict[LogType, tuple[Stream, ...]] = {"output": ("all", "stdout"), "error": ("stderr",)}
"""The streams that make up each log."""
_PRIMARY = ("execution_time", "execution_id", "attempt", "stream")
Key = tuple[Any, str, int, str]

_LOCK = text(
    f"SELECT {columns_of(log_streams)}"  # noqa: S608 - names of our own columns
    " FROM unnest(CAST(:times AS timestamptz[]), CAST(:ids AS text[]),"
    " CAST(:attempts AS int[]), CAST(:streams AS text[]))"
    " AS wanted (execution_time, execution_id, attempt, stream)"
    " JOIN log_streams USING (execution_time, execution_id, attempt, stream)"
    " WHERE log_streams.execution_time BETWEEN :first AND :last"
    " ORDER BY execution_time, execution_id, attempt, stream FOR UPDATE OF log_streams"
)


class LogStore:
    """Reads and writes logs. Every method is one transaction, and raises Unavailable if the database is away."""

    def __init__(self, database: Database, *, stream_limit: int | None = None) -> None:
        """A stream keeps about `stream_limit` bytes, half of them from its beginning; None: all. Readers need none."""
        self._database = database
        self._stream_limit = stream_limit

    def cursors(self, execution_id: str) -> list[LogCursor]:
        """How far each stream of the execution is stored, by attempt and stream; empty for an unknown id."""
        rows = self._database.read(lambda connection: stream_rows(connection, execution_id))
        return [
            LogCursor(
                attempt=row.attempt,
                stream=row.stream,
                lines=row.lines,
                bytes=row.bytes,
                last_stamp=row.last_stamp,
                last_stamp_count=row.last_stamp_count,
                last_line_time=row.last_line_time,
                partial_line=row.partial_line,
                complete=row.complete,
                incomplete_reason=row.incomplete_reason,
            )
            for row in rows
        ]

    def append(self, batch: Sequence[LogAppend]) -> None:
        """Stores lines of any number of streams, all or nothing. Listeners are notified of each stream.

        Raises:
            CursorMoved: a stream has not the number of lines that `from_line` says; nothing of the batch is stored.
            ValueError: `lines` does not consist of `line_count` lines each ended by a newline.
        """
        for part in batch:
            if part.lines.count(b"\n") != part.line_count or not part.lines.endswith(b"\n"):
                raise ValueError(f"a log append of {part.execution_id} must hold {part.line_count} whole lines")
        if not batch:
            return
        parts = sorted(batch, key=lambda part: (*_key(part), part.from_line))
        self._database.write_partitioned(
            [part.execution_time for part in parts],
            lambda connection: _append(connection, parts, self._stream_limit),
        )

    def finish(
        self, execution_id: str, attempt: int, *streams: Stream, complete: bool, incomplete_reason: str | None = None
    ) -> None:
        """Marks streams: `complete`, no more will come; `incomplete_reason`, something could not be read, and why.

        A stream that never had a line gets its row too. The execution is marked `log_incomplete` along with a reason. A
        reason once given stays, and so does `complete`. Idempotent. Raises NotFound if the text is no execution id.
        """
        time = naming.execution_time(execution_id)
        if time is None:
            raise NotFound(Message("执行记录不存在", "there is no such execution"))
        if not streams:
            return

        def work(connection: Connection) -> None:
            same = {"execution_time": time, "execution_id": execution_id, "attempt": attempt}
            marks = {"complete": complete, "incomplete_reason": incomplete_reason}
            # In the order in which `append` locks them.
            connection.execute(_finish(), [{**same, "stream": stream, **marks} for stream in sorted(streams)])
            if incomplete_reason is not None:
                _mark_execution(connection, time, execution_id)
            notify(connection, LOG_CHANNEL, [_notice(execution_id, attempt, stream) for stream in streams])

        self._database.write_partitioned([time], work)

    def read(
        self,
        execution_id: str,
        *,
        log_type: LogType,
        lines: int,
        attempt: int | None = None,
        most_bytes: int = log_tail.ANSWER_BYTES,
    ) -> LogFile:
        """The last `lines` lines over all attempts in their order, or of one; empty for an execution without output.

        They are as many as `most_bytes` hold, the last one in any case (`log_tail`), and decoded as
        `log_text.decode_line` says. `error` is empty where the cluster merges the streams, and `merged` says so. The
        execution need not be recorded, and is not asked for: `complete` goes by the streams that there are so far.
        """

        def work(connection: Connection) -> LogFile:
            streams = [row for row in stream_rows(connection, execution_id) if attempt in (None, row.attempt)]
            return _file(connection, streams, log_type, lines, most_bytes, over=None)

        return self._read(work)

    def show(
        self, execution_id: str, *, owner: str | None, log_type: LogType, lines: int, attempt: int | None = None
    ) -> LogFile:
        """As `read`, for a user who asks for it (None: an administrator); two statements.

        `complete` is what ends a reader of the live log: execution or attempt are over, and so is their output.

        Raises:
            NotFound: there is no such execution, it is somebody else's, or it has no such attempt.
        """

        def work(connection: Connection) -> LogFile:
            streams = streams_for(connection, execution_id, owner, attempt)
            return _file(connection, streams.rows, log_type, lines, log_tail.ANSWER_BYTES, over=streams.over)

        return self._read(work)

    def _read(self, work: Callable[[Connection], LogFile]) -> LogFile:
        try:
            return self._database.read(work)
        except CutMeanwhile:
            # Rows and chunks are written in one transaction, so in a snapshot they agree, however fast it is cut.
            return self._database.read_snapshot(work)


def _file(
    connection: Connection,
    streams: Sequence[AnyRow],
    log_type: LogType,
    lines: int,
    most_bytes: int,
    *,
    over: bool | None,
) -> LogFile:
    shown = [row for row in streams if row.stream in SHOWN[log_type]]
    return LogFile(
        content=tuple(last_lines(connection, shown, max(0, lines), most_bytes)),
        file_size=sum(map(stored_bytes, shown)),
        lines_count=sum(map(stored_lines, shown)),
        last_modified=max((row.last_modified for row in shown if row.last_modified is not None), default=None),
        incomplete=any(row.incomplete_reason is not None for row in shown),
        merged=any(row.stream == "all" for row in streams),
        complete=bool(streams) and all(row.complete for row in shown) if over is None else over,
        cut_lines=sum(row.cut_lines for row in shown),
        cut_bytes=sum(row.cut_bytes for row in shown),
    )


def _append(connection: Connection, parts: Sequence[LogAppend], limit: int | None) -> None:
    """`parts` are sorted by stream and line; all writers lock the streams in this order."""
    by_stream = [(key, list(group)) for key, group in groupby(parts, key=_key)]
    stored = _lock_streams(connection, [key for key, _ in by_stream])
    rows: list[dict[str, Any]] = []
    for key, group in by_stream:
        row = stored[key]
        for part in group:
            if part.from_line != row["lines"]:
                raise CursorMoved(
                    Message(
                        f"日志流已被其他写入者更新：{part.execution_id}",
                        f"log stream {part.execution_id}/{part.attempt}/{part.stream} holds {row['lines']} lines,"
                        f" not {part.from_line}",
                    )
                )
            row["lines"] += part.line_count
            row["bytes"] += len(part.lines)
            row["partial_line"] = part.partial_line
            row["last_modified"] = part.at
            if part.last_stamp is not None:
                row["last_stamp"] = part.last_stamp
                row["last_stamp_count"] = part.last_stamp_count
            if part.last_line_time is not None:
                row["last_line_time"] = part.last_line_time
            row["complete"] = row["complete"] or part.complete
            if part.incomplete_reason is not None:
                row["incomplete_reason"] = row["incomplete_reason"] or part.incomplete_reason
                _mark_execution(connection, part.execution_time, part.execution_id)
        rows.append(row)
    # Small chunks for a small limit, so that it is kept nearly.
    size = CHUNK_BYTES if limit is None else min(CHUNK_BYTES, max(1, limit // 8))
    copy_rows(connection, log_chunks, [chunk for part in parts for chunk in _chunk_rows(part, size)])
    if limit is not None:
        for row in rows:
            cut_middle(connection, row, limit)
    replace_rows(connection, log_streams, rows)
    notify(connection, LOG_CHANNEL, [_notice(key[1], key[2], key[3]) for key, _ in by_stream])


@cache
def _finish() -> Insert:
    statement = insert(log_streams)
    new = statement.excluded
    updates = {
        "complete": log_streams.c.complete | new.complete,
        "incomplete_reason": func.coalesce(log_streams.c.incomplete_reason, new.incomplete_reason),
    }
    return statement.on_conflict_do_update(constraint=log_streams.primary_key, set_=updates)


def _lock_streams(connection: Connection, keys: Sequence[Key]) -> dict[Key, dict[str, Any]]:
    """The rows of the streams, made if missing, locked in order; as in `recording`, new ones first."""
    new = [dict(zip(_PRIMARY, key, strict=True)) for key in keys]
    connection.execute(insert(log_streams).on_conflict_do_nothing(), new)
    rows = connection.execute(
        _LOCK,
        {
            "times": [key[0] for key in keys],
            "ids": [key[1] for key in keys],
            "attempts": [key[2] for key in keys],
            "streams": [key[3] for key in keys],
            "first": keys[0][0],
            "last": keys[-1][0],
        },
    ).mappings()
    return {(row["execution_time"], row["execution_id"], row["attempt"], row["stream"]): dict(row) for row in rows}


def _chunk_rows(part: LogAppend, size: int) -> list[tuple[Any, ...]]:
    """In the order of the columns of `log_chunks`."""
    return [
        (*_key(part), first_line, count, len(data), data)
        for first_line, count, data in chunks_of(part.lines, part.from_line, size)
    ]


def _mark_execution(connection: Connection, time: datetime, execution_id: str) -> None:
    connection.execute(
        update(executions)
        .where(executions.c.execution_time == time, executions.c.execution_id == execution_id)
        .values(log_incomplete=True)
    )


def _key(part: LogAppend) -> Key:
    return part.execution_time, part.execution_id, part.attempt, part.stream


def _notice(execution_id: str, attempt: int, stream: str) -> dict[str, Any]:
    return {"execution_id": execution_id, "attempt": attempt, "stream": stream}
