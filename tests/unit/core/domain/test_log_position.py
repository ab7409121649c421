"""Where a reader of a log goes on."""

from __future__ import annotations

import pytest

from cronwright_core.domain.log_position import LogPosition, Pause, StreamState, next_read, parse_position

WAIT, OVER = Pause.WAIT, Pause.OVER


@pytest.mark.parametrize("text", ["1-stdout-0", "12-stderr-57", "3-all-1"])
def test_a_position_as_text_and_back(text: str) -> None:
    assert str(parse_position(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "end", "1", "0-stdout-1", "1-stdout--1", "1-stdout-01", "1-output-1", "1-stdout-1 ", "x-stdout-1", "１-all-1"],
)
def test_what_is_no_position(text: str) -> None:
    assert parse_position(text) is None


def stream(attempt: int, lines: int, *, closed: bool = False, name: str = "stdout") -> StreamState:
    return StreamState(attempt, name, lines, closed)


def at(attempt: int, line: int, name: str = "stdout") -> LogPosition:
    return LogPosition(attempt, name, line)


@pytest.mark.parametrize(
    ("position", "streams", "unread", "running", "ended"),
    [
        (None, [], [], WAIT, OVER),
        (None, [], [1], WAIT, OVER),
        (None, [stream(1, 0)], [], WAIT, OVER),
        (None, [stream(1, 3)], [], at(1, 0), at(1, 0)),
        (at(1, 2), [stream(1, 3)], [], at(1, 2), at(1, 2)),
        (at(1, 3), [stream(1, 3)], [], WAIT, OVER),
        # A position that is ahead of what is stored (a restored database) repeats nothing.
        (at(1, 9), [stream(1, 3)], [], WAIT, OVER),
        # The next attempt waits for the one before it.
        (at(1, 3), [stream(1, 3), stream(2, 5)], [], WAIT, at(2, 0)),
        (at(1, 3), [stream(1, 3, closed=True), stream(2, 5)], [], at(2, 0), at(2, 0)),
        (at(1, 2), [stream(1, 3, closed=True), stream(2, 5)], [], at(1, 2), at(1, 2)),
        (at(2, 1), [stream(1, 3), stream(2, 5)], [], at(2, 1), at(2, 1)),
        (None, [stream(1, 0, closed=True), stream(2, 0, closed=True)], [], WAIT, OVER),
        # An attempt of which nothing has been read yet; one that the reader has passed; one that comes later.
        (None, [stream(2, 5)], [1], WAIT, at(2, 0)),
        (at(1, 3), [stream(1, 3, closed=True), stream(3, 5)], [2], WAIT, at(3, 0)),
        (at(2, 1), [stream(2, 5)], [1], at(2, 1), at(2, 1)),
        (at(1, 0), [stream(1, 5)], [2], at(1, 0), at(1, 0)),
        (None, [stream(1, 5)], [2], at(1, 0), at(1, 0)),
        # Streams of one attempt, merged before the cluster could tell them apart.
        (at(1, 2, "all"), [stream(1, 2, name="all", closed=True), stream(1, 1)], [], at(1, 0), at(1, 0)),
    ],
)
def test_what_is_read_next(position, streams, unread, running, ended) -> None:
    assert next_read(position, streams, unread=unread, ended=False) == running
    assert next_read(position, streams, unread=unread, ended=True) == ended
