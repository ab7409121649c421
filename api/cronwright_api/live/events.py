"""What a log stream says, as server-sent events. Pure.

A line is a JSON object, not bare text: it may hold a carriage return, which would end the event's line.
An event's id is the position behind it; the last one's is `end`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from fastapi.sse import format_sse_event

from cronwright_core.domain.log_position import LogPosition
from cronwright_core.store.records.logs import LogEnd, LogPortion

END_ID = "end"
RETRY_MILLISECONDS = 2000
OPENING = format_sse_event(retry=RETRY_MILLISECONDS)
HEARTBEAT = format_sse_event(comment="heartbeat")


def portion_events(portion: LogPortion, before: LogPosition | None) -> bytes:
    """The lines of a portion; the first of an attempt comes after an event `attempt`."""
    behind = portion.position
    if behind is None or not portion.lines:
        return b""
    first = behind.line - len(portion.lines)
    events = []
    if before is None or before.attempt != behind.attempt:
        start = LogPosition(behind.attempt, behind.stream, first)
        events.append(format_sse_event(event="attempt", data_str=_json({"attempt": behind.attempt}), id=str(start)))
    for number, content in enumerate(portion.lines, first + 1):
        data = {"attempt": behind.attempt, "line": number, "content": content}
        id_ = LogPosition(behind.attempt, behind.stream, number)
        events.append(format_sse_event(data_str=_json(data), id=str(id_)))
    return b"".join(events)


def end_event(execution_id: str, end: LogEnd) -> bytes:
    """The last event: how the execution (or the attempt that was asked for) ended."""
    data = {
        "execution_id": execution_id,
        "status": end.status.value,
        "exit_code": end.exit_code,
        "reason": end.reason,
        "log_incomplete": end.log_incomplete,
    }
    return format_sse_event(event="end", data_str=_json(data), id=END_ID)


def expired_event(text: str) -> bytes:
    """The last event of a stream whose token has expired; it keeps the id, so that a new one goes on from there."""
    return format_sse_event(event="expired", data_str=_json({"message": text}))


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
