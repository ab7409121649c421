"""The last lines of a log, read from its end: no more of them than one answer may hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select
from sqlalchemy.sql.selectable import FromClause

from cronwright_core.store.columns import AnyRow
from cronwright_core.store.log_text import Piece, answer_marker, decode_line, last_pieces, pieces_of
from cronwright_core.store.models import log_chunks

ANSWER_BYTES = 8 * 1024 * 1024
"""As much of a log, in bytes as they are stored, one answer holds: it is in memory several times over while it is made.

One chunk more is read at most. The operator stores no line of more than half of this; the last is shown in any case.
"""


class CutMeanwhile(Exception):
    """Lines that were there when the streams were looked at are not there any more."""


def last_lines(connection: Connection, streams: Sequence[AnyRow], count: int, most_bytes: int) -> list[str]:
    """The last `count` lines of the streams one after another, as far as they fit into `most_bytes`.

    Where they do not, one line in the place of the earlier ones says how many were left out.

    Raises:
        CutMeanwhile: lines have been left out of a stream since the streams' rows were read.
    """
    wanted = last_pieces([piece for row in streams for piece in pieces_of(row)], count)
    shown: list[str] = []
    left = most_bytes
    for line in _from_the_end(wanted, _last_chunks(connection, streams, wanted, most_bytes)):
        size = len(line) + 1
        if size > left and shown:
            break
        shown.append(decode_line(line))
        left -= size
        if left <= 0:
            break  # what was fetched may end here: to ask for more would look like a cut
    left_out = sum(piece.lines for piece in wanted) - len(shown)
    if left_out:
        shown.append(answer_marker(left_out))
    return shown[::-1]


def _last_chunks(
    connection: Connection, streams: Sequence[AnyRow], wanted: Sequence[Piece], most_bytes: int
) -> Sequence[AnyRow]:
    """The chunks with lines of the pieces, the last one first, until they fill the answer."""
    stored = [piece for piece in wanted if piece.marker is None]
    if not stored:
        return []
    key = (streams[0].execution_time, streams[0].execution_id)
    newest_first = (log_chunks.c.attempt.desc(), log_chunks.c.stream.desc(), log_chunks.c.first_line.desc())
    chunks = (
        select(
            *(log_chunks.c.attempt, log_chunks.c.stream, log_chunks.c.first_line, log_chunks.c.data),
            func.sum(log_chunks.c.byte_count).over(order_by=newest_first).label("upto"),
            log_chunks.c.byte_count,
        )
        .where(_of_execution(log_chunks, key), or_(*(_holds(piece, key) for piece in stored)))
        .subquery()
    )
    return connection.execute(
        select(chunks.c.attempt, chunks.c.stream, chunks.c.first_line, chunks.c.data)
        .where(chunks.c.upto - chunks.c.byte_count < most_bytes)
        .order_by(chunks.c.attempt.desc(), chunks.c.stream.desc(), chunks.c.first_line.desc())
    ).all()


def _from_the_end(pieces: Sequence[Piece], chunks: Sequence[AnyRow]) -> Iterator[bytes]:
    """The lines of the pieces, the last one first; raises CutMeanwhile where one is missing."""
    following = iter(chunks)
    for piece in reversed(pieces):
        if piece.marker is not None:
            yield piece.marker.encode()
            continue
        end = piece.end
        while end > piece.first:
            chunk = next(following, None)
            if chunk is None or (chunk.attempt, chunk.stream) != (piece.attempt, piece.stream):
                raise CutMeanwhile
            lines = bytes(chunk.data).split(b"\n")[:-1]
            if not chunk.first_line < end <= chunk.first_line + len(lines):
                raise CutMeanwhile
            yield from reversed(lines[max(0, piece.first - chunk.first_line) : end - chunk.first_line])
            end = chunk.first_line


def _holds(piece: Piece, key: tuple[object, str]) -> ColumnElement[bool]:
    """The chunks with lines of the piece; the one that holds the first line begins at or before it."""
    earlier = log_chunks.alias("earlier")
    begin = (
        select(func.max(earlier.c.first_line))
        .where(
            _of_execution(earlier, key),
            earlier.c.attempt == piece.attempt,
            earlier.c.stream == piece.stream,
            earlier.c.first_line <= piece.first,
        )
        .scalar_subquery()
    )
    return and_(
        log_chunks.c.attempt == piece.attempt,
        log_chunks.c.stream == piece.stream,
        log_chunks.c.first_line >= begin,
        # Lines that were appended after the streams were read are not counted, so they are not shown.
        log_chunks.c.first_line < piece.end,
    )


def _of_execution(chunks: FromClause, key: tuple[object, str]) -> ColumnElement[bool]:
    return and_(chunks.c.execution_time == key[0], chunks.c.execution_id == key[1])
