"""Timestamped log bytes -> new lines, exactly once. Pure.

The order that counts is that of the file, not that of the stamps: two streams that share a file, or a clock that is
set back, give stamps out of order. A read overlaps what is stored (`sinceTime` has whole seconds), so the last stored
line - the n-th with its stamp - is looked for, and what follows it is new. If it is not there, the file was rotated.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cronwright_core.domain.times import to_rfc3339

OVERLAP = timedelta(seconds=2)
"""Read again this much before the last stored line: clocks of containers' log writers may step back a little."""
_COMPLAINT_LENGTH = 200
_STAMP_LENGTHS = range(20, 36)


@dataclass(frozen=True, slots=True)
class Position:
    """Up to where a stream is stored. `stamp` is RFC 3339 with nine decimals in UTC; None: nothing is stored."""

    lines: int = 0
    stamp: str | None = None
    stamp_count: int = 0

    def since_time(self) -> str | None:
        """The `sinceTime` of the next read."""
        if self.stamp is None:
            return None
        return to_rfc3339(datetime.fromisoformat(self.stamp[:19] + "+00:00") - OVERLAP)


@dataclass(frozen=True, slots=True)
class NewLines:
    """Lines to store: `data` ends with a newline; `position` is where the stream stands once they are stored."""

    data: bytes
    count: int
    position: Position


class LineSplitter:
    """Feeds on the raw bytes of one read and gives the new lines in portions of about `portion` bytes.

    Until the last stored line has come by, lines are held back; `anchored` tells whether it has.
    """

    def __init__(self, position: Position, *, portion: int = 256 * 1024) -> None:
        self._start = position
        self._position = position
        self._portion = portion
        self._rest = b""
        self._seen_of_anchor = 0
        self._current: str | None = None
        self._held: list[tuple[str, bytes]] = []
        self._lines: list[bytes] = []
        self._size = 0
        self.anchored = position.stamp is None
        self.complaint: str | None = None
        """What came instead of a log: the kubelet answers 200 and a sentence when it no longer has the container."""

    def feed(self, chunk: bytes) -> NewLines | None:
        """Takes bytes; returns a portion when enough has come together."""
        # The newline is looked for in the new bytes only, or a line of megabytes would cost its square.
        head, newline, tail = chunk.rpartition(b"\n")
        if not newline:
            self._rest += chunk
            return None
        for line in (self._rest + head).split(b"\n"):
            self._take(line)
        self._rest = tail
        return self._give() if self._size >= self._portion else None

    def end(self, *, final: bool) -> NewLines | None:
        """The remaining lines of the read. A last line without a newline counts only when the container has ended."""
        if final and self._rest:
            self._take(self._rest)
            self._rest = b""
        return self._give() if self._lines else None

    @property
    def holds_lines(self) -> bool:
        """Whether lines came, and the last stored one was not among them."""
        return not self.anchored and bool(self._held)

    def take_held(self, marker: str) -> NewLines:
        """All lines that were held back, behind a line that marks the gap."""
        self.anchored = True
        # The marker is ours and has no stamp; it borrows the first line's, and is not counted as one with it.
        self._lines.append(marker.encode())
        self._position = Position(self._position.lines + 1, self._position.stamp, self._position.stamp_count)
        for stamp, text in self._held:
            self._append(stamp, text)
        self._held = []
        return self._give()

    def _take(self, line: bytes) -> None:
        stamp, text = _split(line)
        if stamp is None:
            # A part of a longer line that came without a stamp of its own: it follows the line before it.
            stamp = self._current
            if stamp is None:
                if self.complaint is None and line.strip():
                    self.complaint = line.decode(errors="replace").strip()[:_COMPLAINT_LENGTH]
                return
        self._current = stamp
        if self.anchored:
            self._append(stamp, text)
            return
        self._held.append((stamp, text))
        if stamp == self._start.stamp:
            self._seen_of_anchor += 1
            if self._seen_of_anchor == self._start.stamp_count:
                self.anchored = True
                self._held = []

    def _append(self, stamp: str, text: bytes) -> None:
        count = self._position.stamp_count + 1 if stamp == self._position.stamp else 1
        self._position = Position(self._position.lines + 1, stamp, count)
        self._lines.append(text)
        self._size += len(text) + 1

    def _give(self) -> NewLines:
        data = b"\n".join(self._lines) + b"\n"
        result = NewLines(data, len(self._lines), self._position)
        self._lines, self._size = [], 0
        return result


def _split(line: bytes) -> tuple[str | None, bytes]:
    stamp, space, text = line.partition(b" ")
    if not space or len(stamp) not in _STAMP_LENGTHS or stamp[4:5] != b"-" or stamp[10:11] != b"T":
        return None, line
    try:
        return _utc(stamp.decode("ascii")), text
    except ValueError:
        return None, line


def _utc(stamp: str) -> str:
    if stamp.endswith("Z"):
        return stamp
    # A node in another zone: whole seconds are moved to UTC, the decimals stay.
    moved = datetime.fromisoformat(stamp[:19] + stamp[-6:]).astimezone(UTC)
    return moved.strftime("%Y-%m-%dT%H:%M:%S") + stamp[19:-6] + "Z"
