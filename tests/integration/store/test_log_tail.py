"""An answer holds only so much of a log, from its end: on a real PostgreSQL."""

from __future__ import annotations

import tracemalloc

import pytest
from sqlalchemy import event

from cronwright_core.store.log_tail import ANSWER_BYTES
from cronwright_core.store.log_text import answer_marker
from cronwright_core.store.logs import LogStore
from cronwright_core.store.session import Database
from cronwright_operator.recording.lines import MAX_LINE
from support.store_rows import make_append, make_execution

ID = make_execution(1).execution_id


@pytest.fixture
def store(database: Database) -> LogStore:
    return LogStore(database)


def write(store: LogStore, count: int, *, attempt: int = 1, size: int = 10, at_once: int = 5) -> list[str]:
    """Lines of `size` bytes with their newline, `at_once` in a chunk; returns them."""
    lines = [f"{attempt}-{number}".ljust(size - 1, ".") for number in range(count)]
    for first in range(0, count, at_once):
        part = "".join(line + "\n" for line in lines[first : first + at_once]).encode()
        store.append([make_append(ID, part, attempt=attempt, from_line=first)])
    return lines


def content(
    store: LogStore, lines: int = 10_000, attempt: int | None = None, most_bytes: int = ANSWER_BYTES
) -> list[str]:
    return list(store.read(ID, log_type="output", lines=lines, attempt=attempt, most_bytes=most_bytes).content)


def fetched(database: Database) -> list[int]:
    """How many rows each statement from here on returns."""
    counts: list[int] = []
    event.listen(database._engine, "after_cursor_execute", lambda *arguments: counts.append(arguments[1].rowcount))
    return counts


@pytest.mark.parametrize(
    ("budget", "shown"),
    # The border within a chunk, at its end, a byte beside it, within the attempt before, and at the very beginning.
    [(70, 7), (79, 7), (50, 5), (49, 4), (51, 5), (100, 10), (149, 14), (150, 15), (240, 24)],
)
def test_it_is_filled_from_the_end_and_says_what_is_left_out(store: LogStore, budget: int, shown: int) -> None:
    lines = write(store, 15) + write(store, 10, attempt=2)
    assert content(store, most_bytes=budget) == [answer_marker(25 - shown), *lines[25 - shown :]]
    assert content(store, lines=shown, most_bytes=budget) == lines[25 - shown :], "all that was asked for"
    assert content(store, lines=shown + 1, most_bytes=budget) == [answer_marker(1), *lines[25 - shown :]]
    file = store.read(ID, log_type="output", lines=25, most_bytes=budget)
    assert (file.lines_count, file.file_size) == (25, 250), "these speak of the whole"
    assert (file.cut_lines, file.incomplete) == (0, False), "it is stored"


def test_what_just_fits_is_whole(store: LogStore) -> None:
    lines = write(store, 15) + write(store, 10, attempt=2)
    assert content(store, most_bytes=250) == lines
    assert content(store, attempt=1, most_bytes=250) == lines[:15]


def test_the_last_line_is_shown_in_any_case(store: LogStore) -> None:
    lines = write(store, 2, size=100, at_once=1)
    for budget in (1, 99, 100, 101):
        assert content(store, most_bytes=budget) == [answer_marker(1), lines[1]]


def test_over_the_middle_that_was_left_out_of_a_stream(database: Database) -> None:
    store = LogStore(database, stream_limit=800)
    lines = write(store, 500)
    whole = content(store)
    at = next(number for number, line in enumerate(whole) if line.startswith("[cronwright: "))
    assert whole == [*lines[:at], whole[at], *lines[at + 1 - len(whole) :]]
    marker = len(whole[at]) + 1
    behind = 10 * (len(whole) - at - 1)
    for budget, shown in ((behind, whole[at + 1 :]), (behind + marker, whole[at:]), (behind + 10, whole[at + 1 :])):
        assert content(store, most_bytes=budget) == [answer_marker(len(whole) - len(shown)), *shown]
    assert content(store, most_bytes=behind + marker + 25) == [answer_marker(at - 2), *whole[at - 2 :]]


def test_no_more_chunks_are_read_than_fill_it(database: Database, store: LogStore) -> None:
    lines = write(store, 500)
    counts = fetched(database)
    assert content(store, most_bytes=120)[1:] == lines[-12:]
    assert counts == [1, 3], "the stream, and the chunks of 15 lines"


def test_a_large_log_takes_no_more_memory_than_an_answer(store: LogStore) -> None:
    for number in range(10):
        line = str(number).encode() * (MAX_LINE - 1) + b"\n"
        store.append([make_append(ID, line, from_line=number, line_count=1)])
    assert 2 * MAX_LINE <= ANSWER_BYTES, "one line never fills an answer alone"
    tracemalloc.start()
    try:
        shown = content(store)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert shown == [answer_marker(8), "8" * (MAX_LINE - 1), "9" * (MAX_LINE - 1)]
    assert peak < 5 * ANSWER_BYTES


def test_whoever_wants_the_last_words_alone_reads_no_more(store: LogStore) -> None:
    for number in range(4):
        store.append([make_append(ID, b"x" * (MAX_LINE - 1) + b"\n", from_line=number, line_count=1)])
    store.append([make_append(ID, b"done\n", from_line=4)])
    tracemalloc.start()
    try:
        shown = content(store, lines=20, most_bytes=64 * 1024)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert shown == [answer_marker(4), "done"]
    assert peak < 4 * MAX_LINE, "of the long lines one at most"
