"""Whether reads of an ended container's log agree: only then is the end of the log, or a rotation, believed. Pure.

An answer that ended cleanly proves nothing: where the kubelet's side breaks, the API server drops the error and ends
its own answer as ever (StreamObject in k8s.io/apiserver). So a second read has to show the same end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cronwright_operator.recording.lines import LineSplitter

SMALL = 64 * 1024
"""A log of so many bytes is kept while it is being read, and read again as a whole: that is as cheap as its end."""


@dataclass(slots=True)
class Shown:
    """The bytes of one read; None once they are more than `SMALL`."""

    data: bytes | None = b""

    def take(self, chunk: bytes) -> None:
        """Adds what has come."""
        if self.data is not None:
            self.data = self.data + chunk if len(self.data) + len(chunk) <= SMALL else None


@dataclass(slots=True)
class Reading:
    """One read of a stream. `since_time` None: of all that is there; `rest`: of the last line, without a newline.

    `grown`: it has brought lines that were not stored yet.
    """

    since_time: str | None
    splitter: LineSplitter
    shown: Shown = field(default_factory=Shown)
    rest: bytes = b""
    grown: bool = False

    @property
    def nothing(self) -> bool:
        """Whether it showed not a byte."""
        return not self.splitter.seen_lines and not self.rest


def confirms_end(before: Reading, now: Reading) -> bool:
    """Whether two reads, one after the other, show that the log ends where it is stored (and `rest`) to.

    A read that was cut before the last stored line says nothing of what follows it.
    """
    if before.rest != now.rest or now.grown:
        return False
    if before.splitter.anchored and now.splitter.anchored:
        return True
    # Of a log that has been stored: emptied by a rotation, or there is a sentence of the kubelet in its place.
    complaints = (before.splitter.complaint, now.splitter.complaint)
    return (before.nothing and now.nothing) or None not in complaints


def confirms_rotation(before: Reading, now: Reading) -> bool:
    """Whether two reads show that the last stored line is not in the file any more, and not just behind a cut."""
    if before.splitter.anchored or now.splitter.anchored:
        return False
    if before.splitter.overtaken and now.splitter.overtaken:
        return True
    # Nothing in it is later, as the clock was set back: then they must show the same file, from its beginning.
    whole = before.since_time is None and now.since_time is None
    return whole and not now.nothing and _extent(before) == _extent(now)


def since_time_after(before: Reading, *, whole: bool = False) -> str | None:
    """The `sinceTime` of the read that is to confirm `before`: of the last lines only, where that is cheaper."""
    anchored = before.splitter.anchored
    if whole or (before.since_time is not None and not anchored):
        return None
    if before.since_time is None and anchored and before.shown.data is not None:
        return None
    return before.splitter.position.since_time()


def same_lines(apart: Sequence[Reading], together: bytes | None) -> bool:
    """Whether reads of all streams, each from its beginning, show what one read of them `together` does."""
    if together is None or any(
        reading.shown.data is None or reading.since_time is not None or not reading.splitter.anchored
        for reading in apart
    ):
        return False
    lines = [line for reading in apart for line in (reading.shown.data or b"").splitlines(keepends=True)]
    return sorted(lines) == sorted(together.splitlines(keepends=True))


def _extent(reading: Reading) -> tuple[int, bytes]:
    return reading.splitter.passed, reading.rest
