"""Which ticks of a task are due, which of them runs, and which are history without having run. Pure.

The *watermark* is the highest tick that was decided; everything above it is open. Of open ticks that are due the newest
runs, once; every other one is accounted for as skipped, so that "why did it not run?" has an answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from cronwright_core.domain.schedule import (
    DateSchedule,
    OnceSchedule,
    Schedule,
    next_time,
    ticks_between,
)
from cronwright_core.domain.times import to_rfc3339

MISSED, TOO_LATE = "MissedSchedule", "StartingDeadlineExceeded"
MISSED_REASONS = frozenset({MISSED, TOO_LATE})
"""Why a tick did not run although nobody decided against it: whoever looks later finds the same."""
MISSED_MESSAGE = "nobody was there to start it; only the newest missed run starts"
MAX_SKIPPED_ROWS = 100
"""Missed ticks recorded one by one after an absence; the rest is one summary."""


@dataclass(frozen=True, slots=True)
class Skip:
    """A tick that did not run: `reason` is one CamelCase word, `message` a sentence for people. `count` is 1, or how
    many ticks one summary stands for."""

    tick: datetime
    reason: str
    message: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class DueTicks:
    """The ticks above the watermark that are due, judged.

    `run`: the newest, if no Job of it stands yet and it is not too late. `skipped`: the others without a Job, oldest
    first. `watermark`: the newest due tick, None if none is due.
    """

    run: datetime | None = None
    skipped: tuple[Skip, ...] = ()
    watermark: datetime | None = None


def spread_offset(uid: str, spread_seconds: int) -> timedelta:
    """By how much the task's ticks start later: a share of `spread_seconds` (0 <= share < spread) that follows from its
    uid alone, so that it never changes and tasks of one schedule lie evenly."""
    if spread_seconds <= 0:
        return timedelta()
    digest = hashlib.sha256(f"spread\x1f{uid}".encode()).digest()
    return timedelta(seconds=int.from_bytes(digest[:8], "big") % spread_seconds)


def is_spread(schedule: Schedule) -> bool:
    """Whether `spreadSeconds` applies: a ONCE without a time runs as soon as it is there."""
    return not (isinstance(schedule, OnceSchedule) and schedule.at is None)


def start_offset(schedule: Schedule, uid: str, spread_seconds: int) -> timedelta:
    """By how much later than its tick each run of the task with this uid starts."""
    return spread_offset(uid, spread_seconds) if is_spread(schedule) else timedelta()


def due_ticks(
    schedule: Schedule,
    *,
    base: datetime,
    anchor: datetime,
    now: datetime,
    offset: timedelta = timedelta(),
    made: Collection[datetime] = (),
    deadline_seconds: int | None = None,
    missed_message: str = MISSED_MESSAGE,
) -> DueTicks:
    """Judges the ticks in (`base`, `now` - `offset`].

    `base` is the watermark, `made` are ticks whose Jobs stand already, `deadline_seconds` is startingDeadlineSeconds,
    counted from when the tick was to start. The work is bounded, however long the absence was.
    """
    until = now - offset
    missed = ticks_between(schedule, base=base, until=until, anchor=anchor, limit=MAX_SKIPPED_ROWS + 1)
    if not missed.newest:
        return DueTicks()
    newest = missed.newest[-1]
    skipped: list[Skip] = []
    if missed.older_first is not None and missed.older_last is not None:
        ran = sum(1 for tick in made if missed.older_first <= tick <= missed.older_last)
        if missed.older_count > ran:
            span = f"{missed.older_count - ran} runs from {to_rfc3339(missed.older_first)} to "
            span += to_rfc3339(missed.older_last)
            # The row stands at the newest of them, or, if that has a run of its own, a second before: that is no tick.
            place = missed.older_last
            if place in made:
                place -= timedelta(seconds=1)
            skipped.append(Skip(place, MISSED, f"{span}: {missed_message}", missed.older_count - ran))
    skipped += [Skip(tick, MISSED, missed_message) for tick in missed.newest[:-1] if tick not in made]
    if newest in made:
        return DueTicks(None, tuple(skipped), newest)
    if deadline_seconds is not None and until - newest > timedelta(seconds=deadline_seconds):
        message = f"missed by more than startingDeadlineSeconds ({deadline_seconds} s)"
        return DueTicks(None, (*skipped, Skip(newest, TOO_LATE, message)), newest)
    return DueTicks(newest, tuple(skipped), newest)


def next_start(
    schedule: Schedule, *, base: datetime, anchor: datetime, offset: timedelta = timedelta()
) -> datetime | None:
    """When the first tick after `base` starts, its share of the spread included."""
    tick = next_time(schedule, base=base, anchor=anchor)
    return None if tick is None else tick + offset


def never_comes(schedule: Schedule, *, base: datetime, anchor: datetime) -> bool:
    """Whether the only tick of a DATE or ONCE lies behind the watermark: it passed while the task was suspended."""
    if not isinstance(schedule, DateSchedule | OnceSchedule):
        return False
    return next_time(schedule, base=base, anchor=anchor) is None


def is_single(schedule: Schedule) -> bool:
    """Whether the schedule has one tick and is complete after it."""
    return isinstance(schedule, DateSchedule | OnceSchedule)
