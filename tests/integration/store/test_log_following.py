"""LogReader against PostgreSQL: every line once, in order, whoever writes meanwhile."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import event, update

from cronwright_core.domain.errors import NotFound
from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.domain.log_position import LogPosition
from cronwright_core.store import log_following
from cronwright_core.store.log_following import LogReader
from cronwright_core.store.models import tasks
from cronwright_core.store.records.logs import LogPortion
from cronwright_core.store.session import Database
from support.written_execution import WrittenExecution

Status = ExecutionStatus


class Run(WrittenExecution):
    """An execution, and a reader of its log."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.reader = LogReader(database)

    def next(
        self, after: LogPosition | None = None, log_type: str = "output", attempt: int | None = None
    ) -> LogPortion:
        return self.reader.follow(self.id, log_type=log_type, after=after, attempt=attempt, owner=None)

    def all(self, log_type: str = "output", attempt: int | None = None) -> tuple[list[tuple[int, str]], LogPortion]:
        """Everything that can be read now, and the answer without lines behind it."""
        read: list[tuple[int, str]] = []
        portion = self.next(None, log_type, attempt)
        while portion.lines:
            assert portion.position is not None
            read += [(portion.position.attempt, line) for line in portion.lines]
            portion = self.next(portion.position, log_type, attempt)
        return read, portion


@pytest.fixture
def run(database: Database) -> Run:
    return Run(database)


def test_an_execution_that_is_not_there(run) -> None:
    for id_ in ("no id", run.id):
        with pytest.raises(NotFound):
            run.reader.follow(id_, log_type="output", after=None, attempt=None, owner=None)


def test_a_task_that_is_handed_on_takes_its_log_from_the_former_owner(database, run) -> None:
    run.attempt(1)
    run.write("one\n")

    def lines_for(owner: str | None) -> tuple[str, ...]:
        return run.reader.follow(run.id, log_type="output", after=None, attempt=None, owner=owner).lines

    assert (lines_for("alice"), lines_for(None)) == (("one",), ("one",))
    with database.transaction() as connection:
        connection.execute(update(tasks).values(owner="bob"))
    assert lines_for("bob") == ("one",)
    with pytest.raises(NotFound):
        lines_for("alice")


def test_while_it_runs_more_may_come(run) -> None:
    run.attempt(1)
    assert run.next() == LogPortion(position=None)
    run.write("one\ntwo\n")
    first = run.next()
    assert (first.lines, first.position) == (("one", "two"), LogPosition(1, "stdout", 2))
    assert run.next(first.position) == LogPortion(position=first.position)
    run.write("数据\r\n")
    assert run.next(first.position).lines == ("数据",)
    assert run.next(LogPosition(1, "stdout", 1)).lines == ("two", "数据")


def test_when_it_is_over_the_end_comes_behind_the_last_line(run) -> None:
    run.attempt(1)
    run.write("one\n")
    run.finish()
    assert run.all() == ([(1, "one")], LogPortion(position=LogPosition(1, "stdout", 1)))
    run.end(Status.FAILED)
    lines, last = run.all()
    assert lines == [(1, "one")]
    assert last.end is not None
    assert (last.end.status, last.end.exit_code, last.end.log_incomplete) == (Status.FAILED, 0, False)


def test_a_skipped_tick_has_an_end_at_once(run) -> None:
    run.end(Status.CANCELLED)
    assert run.next().end.status is Status.CANCELLED


def test_a_later_attempt_waits_for_the_one_before(run) -> None:
    run.attempt(1)
    run.write("one\n")
    run.attempt(1, Status.FAILED)
    run.attempt(2)
    run.write("two\n", 2)
    assert run.all()[0] == [(1, "one")]
    run.write("last word\n")
    run.finish(1)
    assert run.all()[0] == [(1, "one"), (1, "last word"), (2, "two")]


@pytest.mark.parametrize("log_type", ["output", "error"])
def test_also_for_one_whose_output_nobody_has_read_yet(run, log_type) -> None:
    run.attempt(1, Status.FAILED)
    run.attempt(2)
    run.write("two\n", 2)
    run.write("two!\n", 2, "stderr")
    assert run.all(log_type)[0] == []
    run.finish(1, "stdout")
    run.write("one!\n", 1, "stderr")
    run.finish(1, "stderr")
    assert run.all("output")[0] == [(2, "two")]
    assert run.all("error")[0] == [(1, "one!"), (2, "two!")]


def test_but_not_for_one_that_never_started(run) -> None:
    run.attempt(1, Status.FAILED, started=False)
    run.attempt(2)
    run.write("two\n", 2)
    assert run.all()[0] == [(2, "two")]


def test_a_gap_is_an_end_too(run) -> None:
    run.attempt(1, Status.FAILED)
    run.write("one\n")
    run.finish(1, reason="the node is gone")
    run.attempt(2)
    run.write("two\n", 2)
    assert run.all()[0] == [(1, "one"), (2, "two")]
    run.end()
    assert run.all()[1].end.log_incomplete


def test_the_end_of_an_execution_lets_everything_by(run) -> None:
    run.attempt(1, Status.FAILED)
    run.attempt(2)
    run.write("one\n")
    run.write("two\n", 2)
    run.end()
    lines, last = run.all()
    assert (lines, last.end.status) == ([(1, "one"), (2, "two")], Status.SUCCESS)


def test_where_the_cluster_merges_the_streams_there_is_no_error_log(run) -> None:
    run.attempt(1, Status.FAILED)
    run.write("both\n", 1, "all")
    run.finish(1, "all")
    run.attempt(2)
    run.write("both again\n", 2, "all")
    assert run.all("output")[0] == [(1, "both"), (2, "both again")]
    assert run.all("error") == ([], LogPortion(position=None))
    run.end()
    assert run.all("error")[1].end.status is Status.SUCCESS


def test_of_one_attempt_the_end_is_its_own(run) -> None:
    run.attempt(1, Status.FAILED)
    run.write("one\n")
    assert run.all(attempt=1)[1].end is None, "its output has not been read to the end"
    run.finish(1, "stdout")
    assert run.all(attempt=1)[1].end is None
    run.finish(1, "stderr")
    run.attempt(2)
    run.write("two\n", 2)
    lines, last = run.all(attempt=1)
    assert (lines, last.end.status, last.end.exit_code) == ([(1, "one")], Status.FAILED, 3)
    assert run.all(attempt=2) == ([(2, "two")], LogPortion(position=LogPosition(2, "stdout", 1)))
    run.end()
    assert run.all(attempt=2)[1].end.status is Status.SUCCESS


def test_portions_are_of_bounded_size_and_complete(run, monkeypatch) -> None:
    monkeypatch.setattr(log_following, "CHUNK_BYTES", 50)
    monkeypatch.setattr(log_following, "MAX_CHUNKS", 7)
    run.attempt(1)
    for number in range(0, 60, 3):
        run.write("".join(f"line {n}\n" for n in range(number, number + 3)))
    sizes, read, portion = [], [], run.next()
    while portion.lines:
        sizes.append(sum(map(len, portion.lines)))
        read += portion.lines
        portion = run.next(portion.position)
    assert read == [f"line {number}" for number in range(60)]
    assert max(sizes) < 100
    assert len(sizes) > 5
    assert list(run.next(LogPosition(1, "stdout", 31)).lines)[:2] == ["line 31", "line 32"]


def test_from_any_line_on_the_rest_is_the_same(run) -> None:
    run.attempt(1)
    for number in range(10):
        run.write(f"a{number}\nb{number}\n")
    everything = run.next().lines
    for line in range(20):
        assert run.next(LogPosition(1, "stdout", line)).lines == everything[line:]


def test_beside_a_writer_each_line_comes_once(run) -> None:
    run.attempt(1)

    def write() -> None:
        for number in range(60):
            run.write(f"{number}\n")
        run.finish()
        run.end()

    writer = threading.Thread(target=write)
    writer.start()
    read: list[str] = []
    portion = run.next()
    while portion.end is None:
        read += portion.lines
        portion = run.next(portion.position)
    writer.join()
    assert read == [str(number) for number in range(60)]


def test_waiting_costs_three_statements(run, database) -> None:
    run.attempt(1)
    run.write("one\n")
    statements: list[str] = []
    event.listen(database._engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    run.next(LogPosition(1, "stdout", 1))
    assert len([text for text in statements if text.startswith("SELECT executions.") or "FROM" in text]) == 3
