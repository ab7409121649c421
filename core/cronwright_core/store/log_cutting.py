"""Keeps a stream within its size: what came first and what came last stay, and the middle goes, chunk by chunk."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, and_, func, select

from cronwright_core.store.models import log_chunks

_AT_ONCE = 64


def cut_middle(connection: Connection, row: dict[str, Any], limit: int) -> None:
    """Deletes chunks until at most `limit` bytes are left, and says so in `row`, the stream's locked row.

    Half of the limit belongs to the beginning. The newest chunk stays, however large it is. What live readers have not
    got by then is lost for them; they get the line that says so.
    """
    if row["bytes"] - row["cut_bytes"] <= limit:
        return
    if row["cut_from"] is None:
        row["cut_from"] = _end_of_head(connection, row, limit // 2)
    while (excess := row["bytes"] - row["cut_bytes"] - limit) > 0:
        behind = row["cut_from"] + row["cut_lines"]
        found = connection.execute(
            select(log_chunks.c.first_line, log_chunks.c.line_count, log_chunks.c.byte_count)
            .where(_of_stream(row), log_chunks.c.first_line >= behind)
            .order_by(log_chunks.c.first_line)
            .limit(_AT_ONCE)
        ).all()
        lines = size = 0
        for chunk in found:
            if size >= excess or chunk.first_line + chunk.line_count >= row["lines"]:
                break
            lines, size = lines + chunk.line_count, size + chunk.byte_count
        if not lines:
            return
        connection.execute(
            log_chunks.delete().where(
                _of_stream(row), log_chunks.c.first_line >= behind, log_chunks.c.first_line < behind + lines
            )
        )
        row["cut_lines"] += lines
        row["cut_bytes"] += size


def _end_of_head(connection: Connection, row: dict[str, Any], size: int) -> int:
    """The line at which the first chunk begins that does not fit into the head."""
    sums = (
        select(
            log_chunks.c.first_line,
            func.sum(log_chunks.c.byte_count).over(order_by=log_chunks.c.first_line).label("upto"),
        )
        .where(_of_stream(row))
        .subquery()
    )
    first = connection.execute(select(func.min(sums.c.first_line)).where(sums.c.upto > size)).scalar_one()
    return int(first)


def _of_stream(row: dict[str, Any]) -> Any:
    return and_(
        log_chunks.c.execution_time == row["execution_time"],
        log_chunks.c.execution_id == row["execution_id"],
        log_chunks.c.attempt == row["attempt"],
        log_chunks.c.stream == row["stream"],
    )
