"""Many ticks at once: their Jobs come first, then the CronJobs' statuses, then their Pods; all that is told comes last.

Everything shares one API server. A tick is on time or late by its Job and its Pod; finalizers, statuses and records are
as good some seconds later: the Jobs stand, and their names and labels say what they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta

from cronwright_core.domain.task import ScheduledTask

MANY = 10
"""Fewer ticks are no burden that anybody would notice."""
LONGEST = timedelta(seconds=20)
"""So long after a tick at most: what takes longer than this is held up by something else and not by us."""
CROWD = 100
"""So many new Jobs without a Pod keep the job controller and the scheduler busy for seconds. Until fewer than MANY are
left they are a crowd: with all that waited for it let go at the ninety-ninth, the last tenth would come latest."""
NEW = timedelta(minutes=1)
"""A Job that has no Pod after this is held up by something else (a quota, a controller with a low client rate). A crowd
is none any more after this: where more come all the time, what they leave behind must be done as well."""
FEW = 1
"""At once, of each queue, beside a crowd. The job controller works on five Jobs at once (--concurrent-job-syncs), the
scheduler on one Pod: what dozens of our requests take of the API server is theirs. Where it has time one goes far."""
_LOOK_SECONDS = 0.25
_READ_SECONDS = 0.5
"""So long events gather while a burst lasts. Each Job and Pod changes several times within a second of its making, and
to read one event at a time, to tell of it and to look at its task costs much more than to do so for the newest of all:
that time is the API server's and the controllers', who make what the events tell of."""
_FRESH_SECONDS = 0.02


def is_burst(open_ticks: Iterable[datetime], now: datetime, many: int) -> bool:
    """Whether so many of the ticks that are not done with have come just now."""
    return sum(now - LONGEST < tick <= now for tick in open_ticks) >= many


def _has_passed(seconds: float, since: datetime | None, now: datetime) -> bool:
    """Also if the clock has jumped back by so much."""
    return since is None or abs((now - since).total_seconds()) >= seconds


class Burst:
    """Tells whether many ticks are open at this moment, and wakes what was put off once they are done with.

    `open_ticks` are those that have no Job yet, or whose Job stands and whose CronJob's status does not tell yet. Every
    event asks, so an answer holds for some milliseconds; while the burst lasts, longer. `many`: from so many ticks on.
    `without_pod` are the times at which the Jobs were made that wait for their first Pod.
    """

    def __init__(
        self,
        open_ticks: Callable[[], Iterable[datetime]],
        wake: Callable[[str], None],
        now: Callable[[], datetime],
        *,
        without_pod: Callable[[], Collection[datetime]] = tuple,
        many: int = MANY,
    ) -> None:
        self._open_ticks = open_ticks
        self._without_pod = without_pod
        self._wake = wake
        self._now = now
        self._many = many
        self._crowd_began: datetime | None = None
        self._counted: datetime | None = None
        self._put_off: dict[str, tuple[ScheduledTask, datetime | None]] = {}
        self._looked: datetime | None = None
        self._over = asyncio.Event()
        self._over.set()

    def lasts(self) -> bool:
        """Whether many ticks are open."""
        now = self._now()
        fresh = _FRESH_SECONDS if self._over.is_set() else _LOOK_SECONDS
        if _has_passed(fresh, self._looked, now):
            self._looked = now
            if is_burst(self._open_ticks(), now, self._many):
                self._over.clear()
            else:
                self._over.set()
        return not self._over.is_set()

    def at_once(self, workers: int) -> int:
        """How many of so many workers may go on at this moment: few while a crowd of Jobs waits for its first Pods."""
        return min(FEW, workers) if self.crowded() and not self.lasts() else workers

    def crowded(self) -> bool:
        """Whether a crowd of Jobs that were just made waits for its first Pods."""
        made = self._without_pod()
        if self._crowd_began is None and len(made) < CROWD:
            return False
        now = self._now()
        if _has_passed(_LOOK_SECONDS, self._counted, now):
            self._counted = now
            waiting = sum(now - time < NEW for time in made)
            if waiting < MANY:
                self._crowd_began = None
            elif waiting >= CROWD and self._crowd_began is None:
                self._crowd_began = now
        return self._crowd_began is not None and not _has_passed(NEW.total_seconds(), self._crowd_began, now)

    def put_off(self, task: ScheduledTask, due: datetime | None) -> None:
        """Has the task looked at again when the burst is over; `due` is when it has to be looked at in any case."""
        self._put_off[task.uid] = task, due

    def has_put_off(self, task: ScheduledTask) -> bool:
        """Whether the task waits for the end of the burst: it is as it was when it was put off, and nothing is due."""
        found, due = self._put_off.get(task.uid, (None, None))
        return found is task and (due is None or self._now() < due) and self.lasts()

    async def wait_calm(self) -> None:
        """Returns once the burst is over."""
        if self.lasts():
            await self._over.wait()

    async def pause(self) -> None:
        """Returns when the next events of a watch may be read: at once, but in a burst and beside a crowd."""
        if self.lasts() or self.crowded():
            await asyncio.sleep(_READ_SECONDS)

    async def run(self) -> None:
        """Sees that a burst ends and wakes what was put off, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if not self.lasts() and self._put_off:
                again, self._put_off = self._put_off, {}
                for uid in again:
                    self._wake(uid)
