"""What is recorded of an execution that was lost: how it and its attempts ended, and what is missing of its output.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from cronwright_core.domain.execution import Attempt, ExecutionState, ExecutionStatus
from cronwright_core.store.records.executions import ExecutionRecord, UnfinishedExecution
from cronwright_core.store.records.logs import LogAppend, LogCursor, Stream
from cronwright_operator.recording.pod_log import gap_line

REQUEST_LOST = "the request never reached the cluster, or its task was deleted; nothing was run"
JOB_LOST = "its Job was removed from the cluster before its end could be recorded"
OUTPUT_LOST = "its Job was removed from the cluster before its output was read to the end"


def lost_state(
    row: UnfinishedExecution, record: ExecutionRecord, attempts: Sequence[Attempt], now: datetime
) -> ExecutionState:
    """The end of an execution that nobody can find any more; nothing that is known of it is given up."""
    never_started = row.job_uid is None
    status = ExecutionStatus.CANCELLED if never_started else ExecutionStatus.FAILED
    reason, message = ("RequestLost", REQUEST_LOST) if never_started else ("JobLost", JOB_LOST)
    return ExecutionState(
        status=status,
        admitted_time=record.admitted_time,
        start_time=record.start_time,
        end_time=now,
        exit_code=record.exit_code,
        reason=reason,
        message=message,
        attempts=tuple(
            attempt
            if attempt.status.ended
            else replace(
                attempt,
                status=status,
                reason=reason,
                message=message,
                # One that never ran has no end of its own.
                end_time=attempt.end_time or (now if attempt.start_time is not None else None),
            )
            for attempt in attempts
        ),
    )


def missing_output(
    row: UnfinishedExecution, attempts: Sequence[Attempt], cursors: Sequence[LogCursor], now: datetime
) -> list[LogAppend]:
    """A mark for each stream of an attempt that ran and was not read to its end; none where it stands already."""
    stored = {(cursor.attempt, cursor.stream): cursor for cursor in cursors}
    marks = []
    for attempt in attempts:
        if attempt.start_time is None:
            continue
        streams: tuple[Stream, ...] = ("all",) if (attempt.number, "all") in stored else ("stdout", "stderr")
        for stream in streams:
            cursor = stored.get((attempt.number, stream))
            if cursor is None or not cursor.complete:
                marks.append(_mark(row, attempt.number, stream, cursor.lines if cursor is not None else 0, now))
    return marks


def _mark(row: UnfinishedExecution, attempt: int, stream: Stream, lines: int, now: datetime) -> LogAppend:
    return LogAppend(
        execution_id=row.execution_id,
        execution_time=row.time,
        attempt=attempt,
        stream=stream,
        from_line=lines,
        lines=gap_line(OUTPUT_LOST).encode() + b"\n",
        line_count=1,
        at=now,
        incomplete_reason=OUTPUT_LOST,
        complete=True,
    )
