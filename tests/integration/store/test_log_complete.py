"""`complete` of a log that is shown: as long as a reader of the live log waits for more, it is false."""

from __future__ import annotations

import pytest

from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.store.log_following import LogReader
from cronwright_core.store.records.logs import LogType
from cronwright_core.store.session import Database
from support.written_execution import WrittenExecution

Status = ExecutionStatus
OUTPUT: LogType = "output"
ERROR: LogType = "error"


class Run(WrittenExecution):
    """An execution whose log is read in both ways."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.reader = LogReader(database)

    def complete(self, log_type: LogType = OUTPUT, attempt: int | None = None) -> bool:
        """What the file says, and the live log has to say as well."""
        file = self.logs.show(self.id, owner="alice", log_type=log_type, lines=100, attempt=attempt)
        portion = self.reader.follow(self.id, log_type=log_type, after=None, attempt=attempt, owner=None)
        while portion.lines:
            portion = self.reader.follow(
                self.id, log_type=log_type, after=portion.position, attempt=attempt, owner=None
            )
        assert file.complete == (portion.end is not None)
        return file.complete


@pytest.fixture
def run(database: Database) -> Run:
    return Run(database)


def test_a_stream_that_has_no_line_yet_may_get_one(run: Run) -> None:
    run.attempt(1)
    run.write("out\n")
    assert [run.complete(OUTPUT), run.complete(ERROR)] == [False, False]
    run.write("err\n", stream="stderr")
    assert not run.complete(ERROR)


def test_between_two_attempts_more_will_come(run: Run) -> None:
    run.attempt(1, Status.FAILED)
    run.write("one\n")
    assert not run.complete(attempt=1), "its output has not been read to the end"
    run.finish(1)
    assert (run.complete(), run.complete(ERROR)) == (False, False)
    assert (run.complete(attempt=1), run.complete(ERROR, attempt=1)) == (True, True)
    run.attempt(2)
    run.write("two\n", 2)
    assert (run.complete(), run.complete(attempt=1), run.complete(attempt=2)) == (False, True, False)
    run.finish(2)
    assert not run.complete(attempt=2), "its Pod has not ended"
    run.end()
    assert (run.complete(), run.complete(attempt=2)) == (True, True)


@pytest.mark.parametrize("status", [Status.CANCELLED, Status.FAILED, Status.TIMEOUT])
def test_what_ended_without_a_pod_is_complete(run: Run, status: ExecutionStatus) -> None:
    run.executions.record([run.execution])
    assert not run.complete()
    run.end(status)
    assert (run.complete(OUTPUT), run.complete(ERROR)) == (True, True)


def test_an_attempt_that_never_began_has_said_everything(run: Run) -> None:
    run.attempt(1, Status.FAILED, started=False)
    assert (run.complete(), run.complete(attempt=1)) == (False, True)


def test_merged_streams_are_both(run: Run) -> None:
    run.attempt(1, Status.FAILED)
    run.write("both\n", stream="all")
    assert not run.complete(attempt=1)
    run.finish(1, "all")
    assert (run.complete(attempt=1), run.complete(ERROR, attempt=1), run.complete()) == (True, True, False)
