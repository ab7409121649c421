"""Output of attempts, stored as bytes in chunks of whole lines; decoded when read.

A stream is one Pod's stdout or stderr, or both merged. `log_streams` says how far each is stored; a writer names the
line that it continues from, so that two writers (an operator and its successor) can neither double a line nor leave
one out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from cronwright_core.domain import naming
from cronwright_core.domain.errors import Message, NotFound
from cronwright_core.store.columns import AnyRow, columns_of
from cronwright_core.store.errors import CursorMoved
from cronwright_core.store.log_streams import stream_rows, streams_for
from cronwright_core.store.models import executions, log_chunks, log_streams
from cronwright_core.store.notifications import LOG_CHANNEL, notify
from cronwright_core.store.records import LogAppend, LogCursor, LogFile, LogType, Stream
from cronwright_core.store.session import Database

CHUNK_BYTES = 256 * 1024
"""A chunk ends with the line that reaches this size; so much a reader of the last lines reads in vain at most."""

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

    def __init__(self, database: Database) -> None:
        self._database = database

    def cursors(self, execution_id: str) -> list[LogCursor]:
        """How far each stream of the execution is stored, by attempt and stream; empty for an unknown id."""
        with self._database.transaction() as connection:
            rows = stream_rows(connection, execution_id)
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
            [part.execution_time for part in parts], lambda connection: _append(connection, parts)
        )

    def finish(
        self, execution_id: str, attempt: int, stream: Stream, *, complete: bool, incomplete_reason: str | None = None
    ) -> None:
        """Marks a stream: `complete`, no more will come; `incomplete_reason`, something could not be read, and why.

        A stream that never had a line gets its row too. The execution is marked `log_incomplete` along with it. A
        reason once given stays. Idempotent. Raises NotFound if the text is no execution id.
        """
        time = naming.execution_time(execution_id)
        if time is None:
            raise NotFound(Message("执行记录不存在", "there is no such execution"))

        def work(connection: Connection) -> None:
            statement = upsert(log_streams).values(
                execution_time=time,
                execution_id=execution_id,
                attempt=attempt,
                stream=stream,
                complete=complete,
                incomplete_reason=incomplete_reason,
            )
            connection.execute(
                statement.on_conflict_do_update(
                    constraint=log_streams.primary_key,
                    set_={
                        "complete": log_streams.c.complete | statement.excluded.complete,
                        "incomplete_reason": func.coalesce(
                            log_streams.c.incomplete_reason, statement.excluded.incomplete_reason
                        ),
                    },
                )
            )
            if incomplete_reason is not None:
                connection.execute(
                    update(executions)
                    .where(executions.c.execution_time == time, executions.c.execution_id == execution_id)
                    .values(log_incomplete=True)
                )
            notify(connection, LOG_CHANNEL, [_notice(execution_id, attempt, stream)])

        self._database.write_partitioned([time], work)

    def read(self, execution_id: str, *, log_type: LogType, lines: int, attempt: int | None = None) -> LogFile:
        """The last `lines` lines over all attempts in their order, or of one; empty for an execution without output.

        Reads only the chunks that hold them. Bytes that are no UTF-8, and NUL, become U+FFFD; a carriage return at the
        end of a line is cut. `error` is empty where the cluster merges the streams, and `merged` says so.
        """

        return self._database.read(
            lambda connection: _file(connection, stream_rows(connection, execution_id), log_type, lines, attempt)
        )

    def show(
        self, execution_id: str, *, owner: str | None, log_type: LogType, lines: int, attempt: int | None = None
    ) -> LogFile:
        """As `read`, for a user who asks for it (None: an administrator); two statements.

        Raises:
            NotFound: there is no such execution, it is somebody else's, or it has no such attempt.
        """
        return self._database.read(
            lambda connection: _file(
                connection, streams_for(connection, execution_id, owner, attempt), log_type, lines, attempt
            )
        )


def _file(
    connection: Connection, streams: Sequence[AnyRow], log_type: LogType, lines: int, attempt: int | None
) -> LogFile:
    streams = [row for row in streams if attempt in (None, row.attempt)]
    shown = [row for row in streams if row.stream in SHOWN[log_type]]
    return LogFile(
        content=tuple(_last_lines(connection, shown, max(0, lines))),
        file_size=sum(row.bytes for row in shown),
        lines_count=sum(row.lines for row in shown),
        last_modified=max((row.last_modified for row in shown if row.last_modified is not None), default=None),
        incomplete=any(row.incomplete_reason is not None for row in shown),
        merged=any(row.stream == "all" for row in streams),
        complete=bool(streams) and all(row.complete for row in shown),
    )


def _append(connection: Connection, parts: Sequence[LogAppend]) -> None:
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
        rows.append(row)
    statement = upsert(log_streams)
    updates = {column.name: statement.excluded[column.name] for column in log_streams.c if column.name not in _PRIMARY}
    connection.execute(statement.on_conflict_do_update(constraint=log_streams.primary_key, set_=updates), rows)
    connection.execute(log_chunks.insert(), [chunk for part in parts for chunk in _chunks(part)])
    notify(connection, LOG_CHANNEL, [_notice(key[1], key[2], key[3]) for key, _ in by_stream])


def _lock_streams(connection: Connection, keys: Sequence[Key]) -> dict[Key, dict[str, Any]]:
    """The rows of the streams, made if missing, locked in order; as in `recording`, new ones first."""
    new = [dict(zip(_PRIMARY, key, strict=True)) for key in keys]
    connection.execute(upsert(log_streams).on_conflict_do_nothing(), new)
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


def _chunks(part: LogAppend) -> Iterator[dict[str, Any]]:
    """Cuts the lines into chunks of about CHUNK_BYTES; a single longer line stays whole."""
    start, first_line = 0, part.from_line
    while start < len(part.lines):
        end = part.lines.index(b"\n", min(start + CHUNK_BYTES, len(part.lines)) - 1) + 1
        data = part.lines[start:end]
        line_count = data.count(b"\n")
        yield {
            "execution_time": part.execution_time,
            "execution_id": part.execution_id,
            "attempt": part.attempt,
            "stream": part.stream,
            "first_line": first_line,
            "line_count": line_count,
            "byte_count": len(data),
            "data": data,
        }
        start, first_line = end, first_line + line_count


def _last_lines(connection: Connection, streams: Sequence[AnyRow], count: int) -> list[str]:
    """The last `count` lines of the streams one after another, read from the end."""
    wanted = []
    missing = count
    for stream in reversed(streams):
        if missing <= 0:
            break
        if stream.lines:
            wanted.append((stream, max(0, stream.lines - missing)))
            missing -= min(stream.lines, missing)
    if not wanted:
        return []
    first = streams[0]
    same = and_(log_chunks.c.execution_time == first.execution_time, log_chunks.c.execution_id == first.execution_id)
    earlier = log_chunks.alias("earlier")
    ranges = []
    for stream, line in wanted:
        # The chunk that holds the first wanted line begins at or before it.
        begin = (
            select(func.max(earlier.c.first_line))
            .where(
                earlier.c.execution_time == first.execution_time,
                earlier.c.execution_id == first.execution_id,
                earlier.c.attempt == stream.attempt,
                earlier.c.stream == stream.stream,
                earlier.c.first_line <= line,
            )
            .scalar_subquery()
        )
        ranges.append(
            and_(
                log_chunks.c.attempt == stream.attempt,
                log_chunks.c.stream == stream.stream,
                log_chunks.c.first_line >= begin,
                # Lines that were appended after the streams were read are not counted, so they are not shown.
                log_chunks.c.first_line < stream.lines,
            )
        )
    chunks = connection.execute(
        select(log_chunks.c.data)
        .where(same, or_(*ranges))
        .order_by(log_chunks.c.attempt, log_chunks.c.stream, log_chunks.c.first_line)
    ).scalars()
    lines = b"".join(bytes(chunk) for chunk in chunks).split(b"\n")[:-1]
    return [decode_line(line) for line in lines[-count:]]


def decode_line(line: bytes) -> str:
    """A stored line as readers get it: no UTF-8 and NUL become U+FFFD, a carriage return at the end is cut."""
    return line.removesuffix(b"\r").decode("utf-8", "replace").replace("\x00", "\ufffd")


def _key(part: LogAppend) -> Key:
    return part.execution_time, part.execution_id, part.attempt, part.stream


def _notice(execution_id: str, attempt: int, stream: str) -> dict[str, Any]:
    return {"execution_id": execution_id, "attempt": attempt, "stream": stream}
