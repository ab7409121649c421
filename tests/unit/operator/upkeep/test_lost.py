"""The end of what nobody can find any more: known ends stay, open ones are closed, missing output is marked once."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from cronwright_core.domain.execution import Attempt, ExecutionKind, ExecutionStatus
from cronwright_core.store.records.executions import UnfinishedExecution
from cronwright_core.store.records.logs import LogCursor, Stream
from cronwright_operator.upkeep.lost import JOB_LOST, OUTPUT_LOST, lost_state, missing_output
from support.builders import at

NOW = at("11:00:00")
ROW = UnfinishedExecution(
    execution_id="exec-1",
    task_id=7,
    task_uid="task-uid",
    namespace="team-a",
    job_name="copy-1",
    job_uid="job-uid",
    kind=ExecutionKind.SCHEDULED,
    time=at("10:00:00"),
    request_key="",
    status=ExecutionStatus.RUNNING,
    created_at=at("10:00:01"),
)
RECORD: Any = SimpleNamespace(admitted_time=at("10:00:02"), start_time=at("10:00:05"), exit_code=None)
RUNNING = Attempt(2, "pod-2", "uid-2", ExecutionStatus.RUNNING, at("10:01:00"), start_time=at("10:01:05"))
FAILED = replace(
    RUNNING, number=1, pod_uid="uid-1", status=ExecutionStatus.FAILED, end_time=at("10:00:50"), reason="Error"
)
PENDING = replace(RUNNING, number=3, pod_uid="uid-3", status=ExecutionStatus.PENDING, start_time=None)


def cursor(attempt: int, stream: Stream, lines: int, *, complete: bool) -> LogCursor:
    return LogCursor(
        attempt=attempt,
        stream=stream,
        lines=lines,
        bytes=lines * 10,
        last_stamp=None,
        last_stamp_count=0,
        last_line_time=None,
        partial_line=False,
        complete=complete,
        incomplete_reason=None,
    )


def test_attempts_that_were_open_end_with_the_execution() -> None:
    state = lost_state(ROW, RECORD, [FAILED, RUNNING, PENDING], NOW)
    assert (state.status, state.reason, state.end_time) == (ExecutionStatus.FAILED, "JobLost", NOW)
    assert (state.admitted_time, state.start_time) == (RECORD.admitted_time, RECORD.start_time)
    lost = {"status": ExecutionStatus.FAILED, "reason": "JobLost", "message": JOB_LOST}
    assert state.attempts == (FAILED, replace(RUNNING, **lost, end_time=NOW), replace(PENDING, **lost))


@pytest.mark.parametrize(
    "cursors, marked",
    [
        ([], [(2, "stdout", 0), (2, "stderr", 0)]),
        ([cursor(2, "stdout", 5, complete=False)], [(2, "stdout", 5), (2, "stderr", 0)]),
        ([cursor(2, "all", 5, complete=False)], [(2, "all", 5)]),
        ([cursor(2, "stdout", 5, complete=True), cursor(2, "stderr", 2, complete=False)], [(2, "stderr", 2)]),
        ([cursor(2, "stdout", 5, complete=True), cursor(2, "stderr", 2, complete=True)], []),
        ([cursor(2, "all", 5, complete=True)], []),
    ],
)
def test_each_stream_that_was_not_read_to_its_end_gets_a_mark(
    cursors: list[LogCursor], marked: list[tuple[int, Stream, int]]
) -> None:
    earlier = [cursor(1, "all", 3, complete=True)]
    marks = missing_output(ROW, [FAILED, RUNNING, PENDING], earlier + cursors, NOW)
    assert [(mark.attempt, mark.stream, mark.from_line) for mark in marks] == marked
    for mark in marks:
        assert mark.lines == f"[cronwright: output may be missing here: {OUTPUT_LOST}]\n".encode()
        assert (mark.complete, mark.incomplete_reason, mark.line_count) == (True, OUTPUT_LOST, 1)
        assert (mark.execution_id, mark.execution_time, mark.at) == (ROW.execution_id, ROW.time, NOW)
