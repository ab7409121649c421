"""A stream keeps its beginning and its end: on a real PostgreSQL, for readers of the file and of the live log."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Connection

from cronwright_core.domain.log_position import LogPosition
from cronwright_core.store import logs
from cronwright_core.store.errors import CursorMoved, StoreError
from cronwright_core.store.executions import ExecutionStore
from cronwright_core.store.log_following import LogReader
from cronwright_core.store.logs import LogStore
from cronwright_core.store.records.logs import LogFile
from cronwright_core.store.session import Database
from support.postgres import execute
from support.store_rows import NOW, add_task, make_append, make_execution

ID = make_execution(1).execution_id
LIMIT = 8000


def numbered(first: int, count: int) -> bytes:
    return b"".join(b"line %06d\n" % number for number in range(first, first + count))


class Stream:
    """One attempt's stdout, written by a store that limits it."""

    def __init__(self, database: Database) -> None:
        self.store = LogStore(database, stream_limit=LIMIT)
        self.reader = LogReader(database)
        ExecutionStore(database).record([make_execution(add_task(database), seconds=None)])
        self.lines = 0

    def write(self, count: int, **fields: object) -> None:
        data = numbered(self.lines, count)
        self.append(data, count, **fields)

    def append(self, data: bytes, count: int, **fields: object) -> None:
        self.store.append([make_append(ID, data, from_line=self.lines, line_count=count, **fields)])
        self.lines += count

    def file(self, lines: int = 1_000_000) -> LogFile:
        return self.store.read(ID, log_type="output", lines=lines)


@pytest.fixture
def stream(database: Database) -> Stream:
    return Stream(database)


def check(stream: Stream) -> tuple[list[int], list[int]]:
    """What the file says of itself is true of what it holds; returns the numbers before and behind the mark."""
    file = stream.file()
    content = list(file.content)
    assert file.lines_count == len(content)
    assert file.file_size == sum(len(line.encode()) + 1 for line in content)
    (at,) = [number for number, line in enumerate(content) if line.startswith("[cronwright: ")]
    assert f"{file.cut_lines} lines ({file.cut_bytes} bytes) were left out" in content[at]
    head = [int(line.split()[1]) for line in content[:at]]
    tail = [int(line.split()[1]) for line in content[at + 1 :]]
    assert head == list(range(len(head)))
    assert tail == list(range(stream.lines - len(tail), stream.lines))
    assert len(head) + len(tail) + file.cut_lines == stream.lines
    assert file.cut_bytes == file.cut_lines * 12
    return head, tail


def test_a_small_log_is_whole(stream: Stream) -> None:
    stream.write(LIMIT // 12)
    file = stream.file()
    assert (file.lines_count, file.cut_lines, file.cut_bytes) == (LIMIT // 12, 0, 0)


@pytest.mark.parametrize("portions", [[5000], [100] * 50, [1] * 50 + [700] * 4])
def test_beginning_and_end_stay_and_the_middle_is_counted(
    stream: Stream, database_url: str, portions: list[int]
) -> None:
    for portion in portions:
        stream.write(portion)
    head, tail = check(stream)
    assert 0.35 * LIMIT < len(head) * 12 <= 0.5 * LIMIT
    assert 0.35 * LIMIT < len(tail) * 12 <= 0.65 * LIMIT
    ((stored,),) = execute(database_url, "SELECT sum(byte_count) FROM log_chunks")
    assert isinstance(stored, int)
    assert stored <= LIMIT


@pytest.mark.parametrize("wanted", [1, 3, 100, 340, 400, 500, 10_000])
def test_the_last_lines_over_the_cut(stream: Stream, wanted: int) -> None:
    stream.write(3000)
    assert stream.file(wanted).content == stream.file().content[-wanted:]


def test_a_line_larger_than_the_limit_stays(stream: Stream) -> None:
    stream.write(500)
    stream.append(b"x" * 3 * LIMIT + b"\n", 1)
    content = stream.file().content
    assert content[-1] == "x" * 3 * LIMIT
    assert content[0] == "line 000000"


def test_a_live_reader_gets_the_mark_once_and_goes_on_behind_it(stream: Stream) -> None:
    stream.write(300)
    first = stream.reader.follow(ID, log_type="output", after=None, attempt=None, owner=None)
    assert len(first.lines) == 300
    stream.write(3000)
    lines, position = list(first.lines), first.position
    while (portion := stream.reader.follow(ID, log_type="output", after=position, attempt=None, owner=None)).lines:
        lines, position = lines + list(portion.lines), portion.position
    assert position == LogPosition(1, "stdout", 3300)
    marks = [number for number, line in enumerate(lines) if line.startswith("[cronwright: ")]
    assert len(marks) == 1
    assert lines == list(stream.file().content)


def test_a_live_reader_while_it_is_being_cut(stream: Stream) -> None:
    """Readers see numbers that only grow, and in the end the last one, whatever is deleted under them."""

    def follow() -> list[int]:
        seen: list[int] = []
        position = None
        while not seen or seen[-1] < 5999:
            portion = stream.reader.follow(ID, log_type="output", after=position, attempt=None, owner=None)
            seen += [int(line.split()[1]) for line in portion.lines if line.startswith("line")]
            position = portion.position
        return seen

    with ThreadPoolExecutor(2) as pool:
        followers = [pool.submit(follow) for _ in range(2)]
        for _ in range(60):
            stream.write(100)
        for follower in followers:
            seen = follower.result(timeout=60)
            assert seen == sorted(set(seen))


def test_a_file_reader_while_it_is_being_cut(stream: Stream) -> None:
    stream.write(1000)
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(lambda: [stream.write(100) for _ in range(40)])
        while not writing.done():
            file = stream.file()
            assert file.lines_count == len(file.content)
        writing.result()


def test_a_file_is_read_however_often_it_is_cut_meanwhile(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    stream.write(1000)
    whole, cuts = logs.last_lines, []

    def cut_first(connection: Connection, streams: Any, count: int, most_bytes: int) -> list[str]:
        stream.write(400)
        cuts.append(count)
        return whole(connection, streams, count, most_bytes)

    monkeypatch.setattr(logs, "last_lines", cut_first)
    file = stream.file()
    assert file.lines_count == len(file.content)
    assert len(cuts) == 2, "the first read met a cut, the second a snapshot"


def test_a_gap_is_marked_along_with_the_lines_behind_it(stream: Stream, database: Database) -> None:
    stream.write(1, incomplete_reason="it was rotated")
    stream.write(1)
    assert stream.file().incomplete
    assert not stream.file().complete, "more may come behind a gap"
    (cursor,) = stream.store.cursors(ID)
    assert (cursor.incomplete_reason, cursor.complete) == ("it was rotated", False)
    assert ExecutionStore(database).get(ID, owner=None).log_incomplete
    stream.write(1, complete=True, incomplete_reason="its Pod was deleted")
    (cursor,) = stream.store.cursors(ID)
    assert (cursor.incomplete_reason, cursor.complete) == ("it was rotated", True)


def test_a_batch_that_is_refused_marks_nothing(stream: Stream, database: Database) -> None:
    stream.write(2)
    stream.lines = 1
    with pytest.raises(CursorMoved):
        stream.write(1, incomplete_reason="it was rotated", complete=True)
    assert not stream.file().incomplete
    assert not ExecutionStore(database).get(ID, owner=None).log_incomplete


def test_odd_bytes_are_stored_as_they_are(stream: Stream, database_url: str) -> None:
    data = b"\x00\xff\r\n" + "口令".encode("gb18030") + b"\n" + b"y" * 5000 + b"\n\\x41\t\n"
    stream.append(data, 4)
    rows = execute(database_url, "SELECT data FROM log_chunks ORDER BY first_line")
    assert b"".join(bytes(row[0]) for row in rows) == data  # type: ignore[call-overload]
    assert stream.file().content == ("\ufffd\ufffd", "口令", "y" * 5000, "\\x41\t")


def test_a_copy_that_fails_leaves_nothing_and_says_nothing_of_the_data(stream: Stream, database_url: str) -> None:
    stream.write(10)
    execute(
        database_url,
        "INSERT INTO log_chunks SELECT execution_time, execution_id, attempt, stream, 10, 1, 2, 'x' FROM log_chunks",
    )
    with pytest.raises(StoreError) as refused:
        stream.write(5)
    assert "line" not in str(refused.value)
    assert stream.store.cursors(ID)[0].lines == 10


def test_chunks_are_compressed_by_lz4_also_in_months_that_are_made_later(
    stream: Stream, database: Database, database_url: str
) -> None:
    later = datetime(2024, 5, 1, tzinfo=NOW.tzinfo)
    database.write_partitioned([later], lambda _: None)
    rows = execute(
        database_url,
        "SELECT attrelid::regclass::text, attcompression FROM pg_attribute"
        " WHERE attname = 'data' AND attrelid::regclass::text LIKE 'log_chunks%'"
        " AND (SELECT relkind FROM pg_class WHERE oid = attrelid) IN ('r', 'p')",
    )
    assert ("log_chunks_y2024m05", "l") in rows
    assert {compression for _, compression in rows} == {"l"}
