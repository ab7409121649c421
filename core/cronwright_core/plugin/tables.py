"""Text for people and for `awk`: columns that are wide enough, two blanks between them, nothing wrapped. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from cronwright_core.domain.times import to_rfc3339

NOTHING = "-"
"""An empty cell, so that a row has as many words as its columns."""


def render(headings: Sequence[str], rows: Iterable[Sequence[str]], *, headers: bool = True) -> str:
    """A table with a line for each row; no trailing blanks, and "" for no rows without headers."""
    lines = [list(headings)] if headers else []
    lines += [[_cell(cell) for cell in row] for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))] if lines else []
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    ]
    return "".join(text)


def instant(time: datetime | None) -> str:
    """RFC 3339 in UTC, or `-`."""
    return NOTHING if time is None else to_rfc3339(time)


def span(length: timedelta | None) -> str:
    """`45s`, `3m5s`, `2h10m`, `3d4h`: two units at most, as kubectl shows ages."""
    if length is None:
        return NOTHING
    seconds = max(0, int(length.total_seconds()))
    for size, name, below, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if seconds >= size:
            rest = seconds % size // below
            return f"{seconds // size}{name}" + (f"{rest}{small}" if rest else "")
    return f"{seconds}s"


def _cell(text: str) -> str:
    # A message may hold anything; a cell holds one line without control characters.
    return " ".join("".join(c if c.isprintable() else " " for c in text).split()) or NOTHING
