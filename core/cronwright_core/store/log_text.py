"""What a stored log is made of, and how its bytes are shown. Pure.

A stream numbers its lines as they were written, from 0. Where its middle was left out for its size, the numbers go on
behind the gap, and readers find one line that says so in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

CHUNK_BYTES = 256 * 1024
"""A chunk ends with the line that reaches this size; so much a reader of the last lines reads in vain at most."""
_NO_TEXT = re.compile("[\x80-\x9f\ue000-\uf8ff\U000f0000-\U0010ffff]")


def decode_line(line: bytes) -> str:
    """A stored line as readers get it: UTF-8, else GB18030, else UTF-8 with U+FFFD for what is none.

    NUL becomes U+FFFD too, and a carriage return at the end is cut. What GB18030 would read as control characters or
    as characters for private use is taken for binary data.
    """
    line = line.removesuffix(b"\r")
    try:
        return line.decode("utf-8").replace("\x00", "\ufffd")
    except UnicodeDecodeError:
        pass
    try:
        text = line.decode("gb18030")
    except UnicodeDecodeError:
        text = ""
    if not text or _NO_TEXT.search(text):
        text = line.decode("utf-8", "replace")
    return text.replace("\x00", "\ufffd")


def cut_marker(lines: int, size: int) -> str:
    """The line in the place of what was left out."""
    return f"[cronwright: {lines} lines ({size} bytes) were left out here, as the size of a log is limited]"


def answer_marker(lines: int) -> str:
    """The line in the place of earlier ones for which an answer has no room."""
    return (
        f"[cronwright: {lines} earlier lines were left out here, as the size of an answer is limited;"
        " logs/stream has them]"
    )


def chunks_of(lines: bytes, first_line: int, chunk_bytes: int) -> Iterator[tuple[int, int, bytes]]:
    """(first line, number of lines, bytes) of chunks of about `chunk_bytes`; a single longer line stays whole."""
    start = 0
    while start < len(lines):
        end = lines.index(b"\n", min(start + chunk_bytes, len(lines)) - 1) + 1
        data = lines[start:end]
        count = data.count(b"\n")
        yield first_line, count, data
        start, first_line = end, first_line + count


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines `first` to `end` (exclusive) of a stream, all stored; or, with a `marker`, one line in place of them."""

    attempt: int
    stream: str
    first: int
    end: int
    marker: str | None = None

    @property
    def lines(self) -> int:
        """How many lines a reader gets of it."""
        return 1 if self.marker is not None else self.end - self.first

    def last(self, count: int) -> Piece:
        """Its last `count` lines."""
        if self.marker is not None or count >= self.lines:
            return self
        return Piece(self.attempt, self.stream, self.end - count, self.end)


def pieces_of(row: Any) -> list[Piece]:
    """The pieces of a stream in their order, by its row of `log_streams`."""
    if not row.cut_lines:
        return [Piece(row.attempt, row.stream, 0, row.lines)]
    behind = row.cut_from + row.cut_lines
    marker = cut_marker(row.cut_lines, row.cut_bytes)
    return [
        Piece(row.attempt, row.stream, 0, row.cut_from),
        Piece(row.attempt, row.stream, row.cut_from, behind, marker),
        Piece(row.attempt, row.stream, behind, row.lines),
    ]


def stored_lines(row: Any) -> int:
    """How many lines of a stream a reader finds."""
    return sum(piece.lines for piece in pieces_of(row))


def stored_bytes(row: Any) -> int:
    """The size of a stream as a reader finds it."""
    marker = len(cut_marker(row.cut_lines, row.cut_bytes)) + 1 if row.cut_lines else 0
    return int(row.bytes - row.cut_bytes + marker)


def last_pieces(pieces: list[Piece], count: int) -> list[Piece]:
    """The pieces that hold the last `count` lines of all, in their order."""
    wanted: list[Piece] = []
    for piece in reversed(pieces):
        if count <= 0:
            break
        if piece.lines:
            wanted.append(piece.last(count))
            count -= wanted[-1].lines
    return wanted[::-1]
