"""Where a reader of an execution's log stands, and what it may read next. Pure.

A log is read attempt by attempt. Within one, lines are numbered; so a reader that names the last line that it has got
can go on with the next one, of a log that still grows as of one that is complete.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

_POSITION = re.compile(r"([1-9][0-9]{0,8})-(stdout|stderr|all)-(0|[1-9][0-9]{0,17})")


@dataclass(frozen=True, slots=True)
class LogPosition:
    """Behind the first `line` lines of a stream (`stdout`, `stderr`, or `all` for both merged) of an attempt."""

    attempt: int
    stream: str
    line: int

    def __str__(self) -> str:
        """`<attempt>-<stream>-<line>`, as `parse_position` reads it."""
        return f"{self.attempt}-{self.stream}-{self.line}"


def parse_position(text: str) -> LogPosition | None:
    """Reads `1-stdout-57`; None: the text is no position."""
    match = _POSITION.fullmatch(text)
    return None if match is None else LogPosition(int(match[1]), match[2], int(match[3]))


@dataclass(frozen=True, slots=True)
class StreamState:
    """How far a stream is stored; `closed`: no line will be added."""

    attempt: int
    stream: str
    lines: int
    closed: bool


class Pause(Enum):
    """Why there is nothing to read."""

    WAIT = "more may come"
    OVER = "no more will come"


def next_read(
    position: LogPosition | None, streams: Sequence[StreamState], *, unread: Sequence[int], ended: bool
) -> LogPosition | Pause:
    """Where the next stored line is, or why there is none.

    `streams` are those that the reader sees, by attempt and name. `unread` are attempts that have started, and of whose
    output nothing is known yet: a later attempt has to wait for them, as a reader never goes back. `ended`: nothing
    will be stored any more, whatever the streams say.
    """
    here = (position.attempt, position.stream) if position else (0, "")
    for state in streams:
        key = (state.attempt, state.stream)
        if key < here:
            continue
        if not ended and any(here[0] < attempt < state.attempt for attempt in unread):
            return Pause.WAIT
        line = position.line if position and key == here else 0
        if line < state.lines:
            return LogPosition(state.attempt, state.stream, line)
        if not (state.closed or ended):
            return Pause.WAIT
    return Pause.OVER if ended else Pause.WAIT
