"""An execution with attempts and output in the store, written as the operator writes it."""

from __future__ import annotations

from dataclasses import replace

from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.store.executions import ExecutionStore
from cronwright_core.store.logs import LogStore
from cronwright_core.store.records.logs import Stream
from cronwright_core.store.session import Database
from support.store_rows import NOW, add_task, make_append, make_attempt, make_execution

Status = ExecutionStatus


class WrittenExecution:
    """One execution of alice's."""

    def __init__(self, database: Database) -> None:
        self.executions, self.logs = ExecutionStore(database), LogStore(database)
        self.execution = make_execution(add_task(database), status=Status.RUNNING)
        self.id = self.execution.execution_id
        self.lines: dict[tuple[int, str], int] = {}

    def attempt(self, number: int, status: Status = Status.RUNNING, *, started: bool = True) -> None:
        """Reports an attempt, new or changed."""
        start = NOW if started else None
        pod = make_attempt(number, f"u{number}", status, start_time=start, exit_code=3)
        self.executions.record([replace(self.execution, state=replace(self.execution.state, attempts=(pod,)))])

    def end(self, status: Status = Status.SUCCESS) -> None:
        """Reports the end of the execution."""
        self.executions.record([make_execution(self.execution.task_id, status=status, exit_code=0)])

    def write(self, text: str, attempt: int = 1, stream: Stream = "stdout") -> None:
        """Stores lines behind those that are there."""
        before = self.lines.get((attempt, stream), 0)
        data = text.encode()
        self.lines[attempt, stream] = before + data.count(b"\n")
        self.logs.append([make_append(self.id, data, attempt=attempt, stream=stream, from_line=before)])

    def finish(self, attempt: int = 1, *streams: Stream, reason: str | None = None) -> None:
        """Closes streams: read to the end, or given up for a reason."""
        streams = streams or ("stdout", "stderr")
        self.logs.finish(self.id, attempt, *streams, complete=True, incomplete_reason=reason)
