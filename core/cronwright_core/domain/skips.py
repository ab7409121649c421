"""Ticks that did not run and whose rows wait for PostgreSQL: a bounded account in the task's status. Pure.

The watermark passes a skipped tick at once, so the tick is written down in the same write of the status: nothing else
in the cluster would tell of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cronwright_core.domain.times import to_rfc3339

MAX_TICKS = 128
"""So many are kept one by one - more than an absence is recorded by (100 and a summary) -, the newest of them."""
MAX_GROUPS = 8
MESSAGE_LENGTH = 512


@dataclass(frozen=True, slots=True)
class SkippedTick:
    """A tick that did not run, and why."""

    tick: datetime
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class SkippedGroup:
    """Ticks that were skipped for the same reason, oldest first."""

    reason: str
    message: str
    ticks: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class OlderSkips:
    """Those before that had no room: how many, and from when to when."""

    count: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class UnrecordedSkips:
    """What is not in PostgreSQL yet. Groups in the order of their first ticks."""

    groups: tuple[SkippedGroup, ...] = ()
    older: OlderSkips | None = None

    def with_more(self, skipped: Iterable[SkippedTick]) -> UnrecordedSkips:
        """The account with more ticks; those that it holds already change nothing."""
        by_tick = {skip.tick: skip for skip in self._ticks()}
        for skip in skipped:
            if skip.tick not in by_tick and not self._counts(skip.tick):
                by_tick[skip.tick] = SkippedTick(skip.tick, skip.reason, skip.message[:MESSAGE_LENGTH])
        ticks = [by_tick[tick] for tick in sorted(by_tick)]
        kept = ticks[-MAX_TICKS:]
        while len({(skip.reason, skip.message) for skip in kept}) > MAX_GROUPS:
            kept = kept[1:]
        return UnrecordedSkips(_grouped(kept), _with_older(self.older, ticks[: len(ticks) - len(kept)]))

    def rows(self) -> list[SkippedTick]:
        """What the history shall hold: a row for each tick, and one for all that had no room."""
        rows = self._ticks()
        if self.older is not None:
            span = f"{self.older.count} runs from {to_rfc3339(self.older.first)} to {to_rfc3339(self.older.last)}"
            message = f"{span} were skipped while nothing could be recorded"
            rows.insert(0, SkippedTick(self.older.last, "NotRecorded", message))
        return rows

    def _ticks(self) -> list[SkippedTick]:
        return [SkippedTick(tick, group.reason, group.message) for group in self.groups for tick in group.ticks]

    def _counts(self, tick: datetime) -> bool:
        return self.older is not None and tick <= self.older.last


def _grouped(ticks: Iterable[SkippedTick]) -> tuple[SkippedGroup, ...]:
    groups: dict[tuple[str, str], list[datetime]] = {}
    for skip in ticks:
        groups.setdefault((skip.reason, skip.message), []).append(skip.tick)
    return tuple(SkippedGroup(reason, message, tuple(times)) for (reason, message), times in groups.items())


def _with_older(older: OlderSkips | None, ticks: list[SkippedTick]) -> OlderSkips | None:
    if not ticks:
        return older
    if older is None:
        return OlderSkips(len(ticks), ticks[0].tick, ticks[-1].tick)
    return OlderSkips(older.count + len(ticks), min(older.first, ticks[0].tick), max(older.last, ticks[-1].tick))
