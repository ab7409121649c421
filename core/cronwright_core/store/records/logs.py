"""What is stored of output, and how it is read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.domain.log_position import LogPosition

Stream = Literal["stdout", "stderr", "all"]
"""A Pod's output as it was read: apart, or merged (`all`) where the cluster cannot tell them apart."""
LogType = Literal["output", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogAppend:
    """Whole lines to be stored behind the `from_line` lines that the stream has.

    `lines` are raw bytes, each line ended by a newline, `line_count` of them. `last_stamp` is the RFC 3339 stamp with
    nanoseconds of the last line as the kubelet gave it, `last_stamp_count` how many of the stored lines carry it:
    reading again from that stamp, so many lines are known. `partial_line`: the output's last line had no newline of
    its own. `incomplete_reason`: something before or behind these lines could not be read, and why. `complete`: no more
    will come.
    """

    execution_id: str
    execution_time: datetime
    attempt: int
    stream: Stream
    from_line: int
    lines: bytes
    line_count: int
    at: datetime
    last_stamp: str | None = None
    last_stamp_count: int = 0
    last_line_time: datetime | None = None
    partial_line: bool = False
    incomplete_reason: str | None = None
    complete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCursor:
    """How far a stream is stored."""

    attempt: int
    stream: Stream
    lines: int
    bytes: int
    last_stamp: str | None
    last_stamp_count: int
    last_line_time: datetime | None
    partial_line: bool
    complete: bool
    incomplete_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFile:
    """The end of an execution's log. `file_size` (bytes), `lines_count` and `last_modified` speak of the whole file.

    `incomplete`: something that was written could not be read. `merged`: stdout and stderr stand together in `output`,
    since the cluster cannot tell them apart. `complete`: no more will come. `cut_lines` and `cut_bytes` were left out
    of the middle, since a stream's size is limited; a line in their place says so. So does one at the beginning of
    `content` if that holds fewer lines than were asked for, since an answer's size is limited.
    """

    content: tuple[str, ...]
    file_size: int
    lines_count: int
    last_modified: datetime | None
    incomplete: bool
    merged: bool
    complete: bool
    cut_lines: int = 0
    cut_bytes: int = 0


@dataclass(frozen=True, slots=True)
class LogEnd:
    """How an execution (or an attempt) ended whose log has been read to the end."""

    status: ExecutionStatus
    exit_code: int | None
    reason: str | None
    log_incomplete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPortion:
    """What follows in a log: lines of one attempt. `position` is where the reader stands behind them.

    Without lines: `end` is None while more may come, and set when it is over.
    """

    lines: tuple[str, ...] = ()
    position: LogPosition | None
    end: LogEnd | None = None
