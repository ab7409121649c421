"""Timestamped log bytes -> new lines, exactly once. Pure.

The order that counts is that of the file, not that of the stamps: two streams that share a file, or a clock that is
set back, give stamps out of order. A read overlaps what is stored (`sinceTime` has whole seconds), so the last stored
line - the n-th with its stamp - is looked for, and what follows it is new. If it is not there, the file was rotated.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cronwright_core.domain.times import to_rfc3339

OVERLAP = timedelta(seconds=2)
"""Read again this much before the last stored line: clocks of containers' log writers may step back a little."""
PORTION = 2 * 1024 * 1024
"""So many bytes are stored at a time: a transaction has a price of its own, and what is held costs memory."""
MAX_LINE = 4 * 1024 * 1024
"""A longer line is stored in pieces, each a line of its own: memory has to be bounded, whatever a program prints."""
LOOK_AHEAD = 64 * 1024
"""So much of the rest is there when a piece is cut off, so that it is not cut in the middle of a secret."""
_PART = 16 * 1024
"""Container runtimes write longer lines in parts of this size."""
_COMPLAINT_LENGTH = 200
UNSTAMPED = "0001-01-01T00:00:00.000000000Z"
"""The stamp of lines at the beginning of a stream that came without one: see `LineSplitter._take`."""
_STAMP_LENGTHS = range(20, 36)
_USUAL_STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z ")
_BEGINS = re.compile(b"\n" + _USUAL_STAMP.pattern)
_USUAL_LENGTH = 31


@dataclass(frozen=True, slots=True)
class Position:
    """Up to where a stream is stored. `stamp` is RFC 3339 with nine decimals in UTC; None: nothing is stored."""

    lines: int = 0
    stamp: str | None = None
    stamp_count: int = 0

    def since_time(self) -> str | None:
        """The `sinceTime` of the next read; None: from the beginning."""
        if self.stamp is None or self.stamp == UNSTAMPED:
            return None
        return to_rfc3339(datetime.fromisoformat(self.stamp[:19] + "+00:00") - OVERLAP)

    def past(self, stamp: str, lines: int, with_stamp: int) -> Position:
        """Behind `lines` further lines, of which the last `with_stamp` ones carry `stamp`."""
        before = self.stamp_count if with_stamp == lines and stamp == self.stamp else 0
        return Position(self.lines + lines, stamp, before + with_stamp)

    def past_marker(self) -> Position:
        """Behind a line of ours, which has no stamp and is not looked for."""
        return Position(self.lines + 1, self.stamp, self.stamp_count)


@dataclass(frozen=True, slots=True)
class NewLines:
    """Lines to store: `data` ends with a newline; `position` is where the stream stands once they are stored.

    `first_stamp` is that of the first line that has one; None: they are lines of ours. `partial`: the last line had no
    newline.
    """

    data: bytes
    count: int
    position: Position
    first_stamp: str | None = None
    partial: bool = False

    def behind(self, marker: str) -> NewLines:
        """The same with a line of ours before them."""
        data, after = marker.encode() + b"\n" + self.data, self.position.past_marker()
        return NewLines(data, self.count + 1, after, self.first_stamp, self.partial)


class LineSplitter:
    """Feeds on the raw bytes of reads and gives the new lines in portions of about `portion` bytes.

    Until the last stored line has come by, lines are passed over; `anchored` tells whether it has. `from_start` takes
    all lines. `cut` says where to end a piece of a line that is too long, near the given place.
    """

    def __init__(
        self,
        position: Position,
        *,
        portion: int = PORTION,
        from_start: bool = False,
        max_line: int = MAX_LINE,
        look_ahead: int = LOOK_AHEAD,
        cut: Callable[[bytes, int], int] = lambda _, at: at,
    ) -> None:
        self._start = position
        self._position = position
        self._portion = portion
        self._max_line, self._look_ahead = max_line, look_ahead
        self._cut = cut
        self._rest: list[bytes] = []
        self._rest_size = 0
        self._seen_of_anchor = 0
        self._current = UNSTAMPED
        self._blocks: list[bytes] = []
        self._count = self._size = 0
        self._first: str | None = None
        self.anchored = from_start or position.stamp is None
        self.overtaken = False
        """Whether a line later than the last stored one has come by without it: that is not there any more, as far as
        stamps tell."""
        self.passed = 0
        """How many lines have come by up to the last stored one."""
        self.seen_lines = False
        """Whether any line has come by, new or not."""
        self.complaint: str | None = None
        """What came instead of a log: the kubelet answers 200 and a sentence when it no longer has the container.

        It has no stamp and no newline, and nothing else comes with it (WriteError in pkg/kubelet/server)."""

    @property
    def position(self) -> Position:
        """Behind the last new line."""
        return self._position

    @property
    def unstored(self) -> int:
        """How many lines before the last stored one can never have been stored, if all of the log came by.

        Lines are not seen in time where the clock was set back: `sinceTime` leaves them out. After a rotation there are
        fewer lines than were stored, so this is no false alarm."""
        return max(0, self.passed - self._start.lines) if self.anchored else 0

    @property
    def rest(self) -> bytes:
        """The bytes behind the last newline."""
        return b"".join(self._rest)

    def feed(self, chunk: bytes) -> NewLines | None:
        """Takes bytes; returns a portion when enough has come together."""
        # The newline is looked for in the new bytes only, or a line of megabytes would cost its square.
        head, newline, tail = chunk.rpartition(b"\n")
        if newline:
            block = b"".join((b"\n", *self._rest, head))
            if not (self.anchored and self._take_usual(block)):
                self._take_lines(block[1:].split(b"\n"))
            self._rest, self._rest_size = [], 0
        self._rest.append(tail if newline else chunk)
        self._rest_size += len(self._rest[-1])
        if self._rest_size >= self._max_line + self._look_ahead + _USUAL_LENGTH:
            self._rest = [self._shortened(b"".join(self._rest))]
            self._rest_size = len(self._rest[0])
        return self._give() if self._size >= self._portion else None

    def end(self, *, final: bool) -> NewLines | None:
        """The remaining lines of the read. A last line without a newline counts only when the container has ended."""
        partial = False
        if final and self._rest_size:
            rest = b"".join(self._rest)
            self._rest, self._rest_size = [], 0
            if not self.seen_lines and _split(rest)[0] is None:
                self.complaint = rest.decode(errors="replace").strip()[:_COMPLAINT_LENGTH]
            else:
                self._take_lines([rest])
                partial = True
        return self._give(partial=partial) if self._count else None

    def _take_usual(self, block: bytes) -> bool:
        """Takes lines that are as nearly all output is, without a step of Python's for each; False: they are not.

        `block`: each line behind a newline of its own.
        """
        # A line longer than a part fills one of these windows.
        window = min(_PART, self._max_line) // 2
        if any(block.find(b"\n", at, at + window) < 0 for at in range(0, len(block) - window + 1, window)):
            return False
        texts, count = _BEGINS.subn(b"\n", block)
        if count != block.count(b"\n"):
            return False
        at = block.rindex(b"\n")
        raw = block[at : at + _USUAL_LENGTH]
        with_stamp = 0
        while at >= 0 and block.startswith(raw, at):
            with_stamp, at = with_stamp + 1, block.rfind(b"\n", 0, at)
        stamp = raw[1:].decode("ascii")
        self._add(texts[1:] + b"\n", count, block[1:_USUAL_LENGTH].decode("ascii"))
        self._position = self._position.past(stamp, count, with_stamp)
        self._current, self.seen_lines = stamp, True
        return True

    def _take_lines(self, lines: list[bytes]) -> None:
        for number, line in enumerate(lines, 1):
            anchored = self.anchored
            self._take(line)
            behind = lines[number:] if self.anchored and not anchored else []
            if behind and self._take_usual(b"\n" + b"\n".join(behind)):
                return

    def _take(self, line: bytes) -> None:
        line = self._take_pieces(line)
        stamp, text = _split(line)
        if stamp is None:
            # A line that began while the other stream was within a long one comes without a stamp (cri-client's logs.go
            # keeps one flag for both streams): it follows the line before it, or begins the stream.
            stamp = self._current
        self._take_one(stamp, _without_inner_stamps(text))

    def _shortened(self, line: bytes) -> bytes:
        """An unfinished line that is too long, without the pieces that are taken."""
        if _split(line)[0] is None:
            line = self._current.encode() + b" " + line
        return self._take_pieces(line)

    def _take_pieces(self, line: bytes) -> bytes:
        """Takes pieces off a line that is too long, and returns what is left of it.

        Where it is cut depends on the bytes alone, not on how they came: reading again must find the same lines.
        """
        stamp, text = _split(line)
        if stamp is None or len(text) < self._max_line + self._look_ahead:
            return line
        while len(text) >= self._max_line + self._look_ahead:
            end = self._cut(text[: self._max_line + self._look_ahead], self._max_line)
            self._take_one(stamp, text[:end])
            text = text[end:]
        return stamp.encode() + b" " + text

    def _take_one(self, stamp: str, text: bytes) -> None:
        self._current, self.seen_lines = stamp, True
        if self.anchored:
            self._add(text + b"\n", 1, stamp)
            self._position = self._position.past(stamp, 1, 1)
            return
        self.passed += 1
        if stamp == self._start.stamp:
            self._seen_of_anchor += 1
            self.anchored = self._seen_of_anchor == self._start.stamp_count
        else:
            self.overtaken |= stamp > (self._start.stamp or "")

    def _add(self, block: bytes, count: int, first_stamp: str) -> None:
        if self._first is None and first_stamp != UNSTAMPED:
            self._first = first_stamp
        self._blocks.append(block)
        self._count += count
        self._size += len(block)

    def _give(self, *, partial: bool = False) -> NewLines:
        result = NewLines(b"".join(self._blocks), self._count, self._position, self._first, partial)
        self._blocks, self._count, self._size, self._first = [], 0, 0, None
        return result


def gap_before(first: NewLines, since: datetime, *, file_bytes: int = 10 * 1024 * 1024) -> bool:
    """Whether a log file may have been filled and rotated away before the first lines that could be read.

    Nobody can know, as the API server shows the current file only; so it is estimated. `since`: then nothing had been
    lost yet (the container began, or a read showed it silent). What came `first` is taken for the rate at which the
    program had been printing since; if that would have filled a file (the kubelet's default size), there is a gap.
    """
    if first.first_stamp is None or first.position.stamp is None:
        return False
    begin, end = _time(first.first_stamp), _time(first.position.stamp)
    unseen, seen = (begin - since).total_seconds(), max(1.0, (end - begin).total_seconds())
    return unseen > 1 and (len(first.data) + _USUAL_LENGTH * first.count) / seen * unseen >= file_bytes


def _time(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp[:26].rstrip("Z") + "+00:00")


def _without_inner_stamps(text: bytes) -> bytes:
    """A line whose parts were interrupted by the other stream: the kubelet puts stamps between them (cri-client's
    logs.go keeps one flag for both streams)."""
    if len(text) <= _PART or not _USUAL_STAMP.search(text, _PART):
        return text
    parts, start, at = [], 0, _PART
    while at < len(text):
        if _USUAL_STAMP.match(text, at):
            parts.append(text[start:at])
            start = at + _USUAL_LENGTH
            at = start
        at += _PART
    parts.append(text[start:])
    return b"".join(parts)


def _split(line: bytes) -> tuple[str | None, bytes]:
    stamp, space, _ = line[: _STAMP_LENGTHS.stop].partition(b" ")
    if not space or len(stamp) not in _STAMP_LENGTHS or stamp[4:5] != b"-" or stamp[10:11] != b"T":
        return None, line
    try:
        return to_utc(stamp.decode("ascii")), line[len(stamp) + 1 :]
    except ValueError:
        return None, line


def to_utc(stamp: str) -> str:
    """An RFC 3339 stamp in UTC with nine decimals. Raises ValueError if it is none."""
    if stamp.endswith("Z"):
        return stamp if len(stamp) == 30 else _padded(stamp[:-1])
    # A node in another zone: whole seconds are moved to UTC, the decimals stay.
    moved = datetime.fromisoformat(stamp[:19] + stamp[-6:]).astimezone(UTC)
    return _padded(moved.strftime("%Y-%m-%dT%H:%M:%S") + stamp[19:-6])


def _padded(stamp: str) -> str:
    seconds, _, decimals = stamp.partition(".")
    return f"{seconds}.{decimals:<09}"[:29] + "Z"
