"""LogStore against PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event

from cronwright_core.domain.errors import NotFound
from cronwright_core.store import logs
from cronwright_core.store.errors import CursorMoved
from cronwright_core.store.executions import ExecutionStore
from cronwright_core.store.logs import LogStore
from cronwright_core.store.records.logs import LogAppend
from cronwright_core.store.session import Database
from support.postgres import execute
from support.store_rows import NOW, add_task, later, make_append, make_attempt, make_execution

ID = make_execution(1).execution_id


@pytest.fixture
def store(database: Database) -> LogStore:
    return LogStore(database)


def lines(data: bytes, from_line: int = 0, **fields) -> LogAppend:
    return make_append(ID, data, from_line=from_line, **fields)


def numbered(first: int, count: int) -> bytes:
    return b"".join(b"line %d\n" % number for number in range(first, first + count))


class TestAppend:
    def test_moves_the_cursor(self, store) -> None:
        stamp = "2026-03-10T12:00:00.123456789Z"
        store.append([lines(b"a\nb\n", last_stamp=stamp, last_stamp_count=2, last_line_time=NOW)])
        store.append([lines(b"c\n", 2, partial_line=True, at=later(5))])
        (cursor,) = store.cursors(ID)
        assert (cursor.attempt, cursor.stream, cursor.lines, cursor.bytes) == (1, "stdout", 3, 6)
        assert (cursor.last_stamp, cursor.last_stamp_count, cursor.last_line_time) == (stamp, 2, NOW)
        assert (cursor.partial_line, cursor.complete) == (True, False)

    def test_from_a_moved_cursor_stores_nothing_of_the_batch(self, store) -> None:
        store.append([lines(b"a\n")])
        with pytest.raises(CursorMoved):
            store.append([lines(b"x\n", stream="stderr"), lines(b"a\n", 0)])
        with pytest.raises(CursorMoved):
            store.append([lines(b"c\n", 5)])
        assert [(cursor.stream, cursor.lines) for cursor in store.cursors(ID)] == [("stdout", 1)]

    def test_of_one_stream_twice_in_a_batch(self, store) -> None:
        store.append([lines(b"b\n", 1), lines(b"a\n", 0)])
        assert store.read(ID, log_type="output", lines=10).content == ("a", "b")

    def test_of_two_writers_at_once_each_line_is_there_once(self, store) -> None:
        def write(_: int) -> int:
            written = 0
            while True:
                cursors = store.cursors(ID)
                done = cursors[0].lines if cursors else 0
                if done >= 40:
                    return written
                try:
                    store.append([lines(numbered(done, 1), done)])
                    written += 1
                except CursorMoved:
                    continue

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(write, range(4))) == 40
        content = store.read(ID, log_type="output", lines=100).content
        assert content == tuple(f"line {number}" for number in range(40))

    @pytest.mark.parametrize("data", [b"no newline", b"a\nb", b""])
    def test_of_anything_but_whole_lines_is_refused(self, store, data) -> None:
        with pytest.raises(ValueError, match="whole lines"):
            store.append([lines(data)])

    def test_is_cut_into_chunks_at_line_ends(self, store, database_url, monkeypatch) -> None:
        monkeypatch.setattr(logs, "CHUNK_BYTES", 20)
        store.append([lines(b"a" * 100 + b"\n" + numbered(0, 20))])
        rows = execute(database_url, "SELECT first_line, line_count, byte_count FROM log_chunks ORDER BY first_line")
        assert rows[0] == (0, 1, 101)
        assert [first for first, _, _ in rows[1:]] == [sum(row[1] for row in rows[:at]) for at in range(1, len(rows))]
        assert len(rows) > 5
        assert store.read(ID, log_type="output", lines=3).content == ("line 17", "line 18", "line 19")


class TestRead:
    def test_of_an_execution_without_output_is_empty(self, store) -> None:
        for id_ in (ID, "no id", ""):
            file = store.read(id_, log_type="output", lines=10)
            assert (file.content, file.file_size, file.lines_count, file.last_modified) == ((), 0, 0, None)
            assert (file.incomplete, file.merged, file.complete) == (False, False, False)

    @pytest.mark.parametrize("wanted", [0, 1, 2, 3, 4, 5, 6, 7, 100])
    def test_gives_the_last_lines_over_all_attempts(self, store, wanted) -> None:
        store.append([lines(numbered(0, 2)), lines(numbered(2, 1), 2), lines(numbered(3, 3), attempt=2)])
        file = store.read(ID, log_type="output", lines=wanted)
        assert list(file.content) == [f"line {number}" for number in range(6)][max(0, 6 - wanted) :]
        assert (file.lines_count, file.file_size) == (6, 42)

    def test_gives_one_attempt_alone(self, store) -> None:
        store.append([lines(numbered(0, 2)), lines(numbered(2, 3), attempt=2)])
        store.finish(ID, 1, "stdout", complete=True)
        first, second, third = (store.read(ID, log_type="output", lines=2, attempt=number) for number in (1, 2, 3))
        assert (first.content, first.lines_count, first.complete) == (("line 0", "line 1"), 2, True)
        assert (second.content, second.lines_count, second.complete) == (("line 3", "line 4"), 3, False)
        assert (third.content, third.lines_count) == ((), 0)

    def test_shows_it_to_those_who_may_see_it(self, database, store) -> None:
        execution = make_execution(add_task(database), attempts=(make_attempt(1, "u1"), make_attempt(2, "u2")))
        ExecutionStore(database).record([execution])
        store.append([lines(numbered(0, 2), complete=True), lines(numbered(2, 3), attempt=2, complete=True)])

        def show(id_: str = ID, owner: str | None = "alice", attempt: int | None = None):
            return store.show(id_, owner=owner, log_type="output", lines=2, attempt=attempt)

        assert show() == show(owner=None) == store.read(ID, log_type="output", lines=2)
        assert show(attempt=1) == store.read(ID, log_type="output", lines=2, attempt=1)
        # An attempt that printed nothing (yet) is one all the same.
        other = make_execution(execution.task_id, later(60), attempts=(make_attempt(1, "u3"),))
        ExecutionStore(database).record([other])
        assert show(other.execution_id, attempt=1).content == show(other.execution_id).content == ()
        for wrong in ({"owner": "bob"}, {"id_": "no id"}, {"id_": make_execution(9).execution_id}):
            with pytest.raises(NotFound, match="no such execution"):
                show(**wrong)
        with pytest.raises(NotFound, match="no such attempt"):
            show(attempt=3)

    def test_keeps_the_streams_apart(self, store) -> None:
        store.append([lines(b"out\n"), lines(b"err\n", stream="stderr", at=later(9))])
        output, error = (store.read(ID, log_type=type_, lines=10) for type_ in ("output", "error"))
        assert (output.content, output.last_modified, output.merged) == (("out",), NOW, False)
        assert (error.content, error.last_modified) == (("err",), later(9))

    def test_says_that_the_streams_are_merged(self, store) -> None:
        store.append([lines(b"both\n", stream="all")])
        assert store.read(ID, log_type="output", lines=10).content == ("both",)
        error = store.read(ID, log_type="error", lines=10)
        assert (error.content, error.merged) == ((), True)

    def test_decodes_whatever_was_written(self, store) -> None:
        store.append([lines("数据\r\n".encode() + b"\xff\xfe bytes\n" + b"nul\x00!\n" + b"\n" + b"a\rb\n")])
        assert store.read(ID, log_type="output", lines=10).content == (
            "数据",
            "\ufffd\ufffd bytes",
            "nul\ufffd!",
            "",
            "a\rb",
        )

    def test_reads_only_the_chunks_that_it_needs(self, database, store, database_url) -> None:
        for number in range(200):
            store.append([lines(numbered(number * 5, 5), number * 5)])
        fetched: list[int] = []
        event.listen(database._engine, "after_cursor_execute", lambda *arguments: fetched.append(arguments[1].rowcount))
        assert store.read(ID, log_type="output", lines=7).content[0] == "line 993"
        assert sum(fetched) <= 4


class TestFinish:
    def test_completes_a_stream_once_and_for_all(self, store) -> None:
        store.append([lines(b"a\n")])
        store.finish(ID, 1, "stdout", complete=True)
        store.finish(ID, 1, "stdout", complete=False)
        assert store.cursors(ID)[0].complete
        assert store.read(ID, log_type="output", lines=1).complete

    def test_completes_streams_together_those_without_a_line_too(self, store) -> None:
        store.append([lines(b"a\n", stream="stderr")])
        store.finish(ID, 1, "stdout", "stderr", complete=True)
        found = [(cursor.stream, cursor.lines, cursor.complete) for cursor in store.cursors(ID)]
        assert found == [("stderr", 1, True), ("stdout", 0, True)]

    def test_marks_what_could_not_be_read_on_stream_and_execution(self, database, store) -> None:
        executions = ExecutionStore(database)
        executions.record([make_execution(add_task(database))])
        store.finish(ID, 1, "stdout", complete=True, incomplete_reason="the node is gone")
        store.finish(ID, 1, "stdout", complete=True, incomplete_reason="another reason")
        assert store.cursors(ID)[0].incomplete_reason == "the node is gone"
        assert store.read(ID, log_type="output", lines=1).incomplete
        assert executions.get(ID, owner=None).log_incomplete

    def test_a_later_report_keeps_the_mark(self, database, store) -> None:
        executions = ExecutionStore(database)
        task_id = add_task(database)
        executions.record([make_execution(task_id, seconds=None)])
        store.finish(ID, 1, "stdout", complete=True, incomplete_reason="the node is gone")
        executions.record([make_execution(task_id, exit_code=0)])
        assert executions.get(ID, owner=None).log_incomplete

    def test_of_what_is_no_execution_is_refused(self, store) -> None:
        with pytest.raises(NotFound):
            store.finish("x", 1, "stdout", complete=True)
