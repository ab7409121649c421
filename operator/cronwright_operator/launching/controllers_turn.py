"""With `stepIn: false`: while the CronJob controller makes the Jobs of many ticks at once, our own writes wait.

Both share one API server. A tick is on time or late by its Job; what we write - finalizers, statuses, records - is as
good some seconds later: the Jobs stand, and their names and labels say what they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from cronwright_core.domain.task import ScheduledTask

MANY = 10
"""Fewer ticks without a Job are no burden that anybody would notice."""
LONGEST = timedelta(seconds=20)
"""So long after a tick at most: a controller that is slower than this is held up by its own rate and not by us."""
_LOOK_SECONDS = 0.25
_FRESH_SECONDS = 0.02


def is_making(held: Iterable[datetime], now: datetime, many: int) -> bool:
    """Whether so many of the ticks for which a slot is held have come just now, and have no Job yet."""
    return sum(now - LONGEST < tick <= now for tick in held) >= many


class ControllersTurn:
    """Tells whether it is the controller's turn, and wakes what was put off once it is over.

    Every event asks, so an answer holds for some milliseconds; while the turn lasts, longer. `many`: from so many ticks
    on.
    """

    def __init__(
        self,
        held: Callable[[], Iterable[datetime]],
        wake: Callable[[str], None],
        now: Callable[[], datetime],
        *,
        step_in: bool,
        many: int = MANY,
    ) -> None:
        self._held = held
        self._wake = wake
        self._now = now
        self._step_in = step_in
        self._many = many
        self._put_off: dict[str, tuple[ScheduledTask, datetime | None]] = {}
        self._looked: datetime | None = None
        self._over = asyncio.Event()
        self._over.set()

    def lasts(self) -> bool:
        """Whether it is the controller's turn; never while we step in ourselves."""
        if self._step_in:
            return False
        now = self._now()
        fresh = _FRESH_SECONDS if self._over.is_set() else _LOOK_SECONDS
        if self._looked is None or abs((now - self._looked).total_seconds()) >= fresh:
            self._looked = now
            if is_making(self._held(), now, self._many):
                self._over.clear()
            else:
                self._over.set()
        return not self._over.is_set()

    def put_off(self, task: ScheduledTask, due: datetime | None) -> None:
        """Has the task looked at again when the turn is over; `due` is when it has to be looked at in any case."""
        self._put_off[task.uid] = task, due

    def has_put_off(self, task: ScheduledTask) -> bool:
        """Whether the task waits for the end of the turn: it is as it was when it was put off, and nothing is due."""
        found, due = self._put_off.get(task.uid, (None, None))
        return found is task and (due is None or self._now() < due) and self.lasts()

    async def wait_calm(self) -> None:
        """Returns once the turn is over."""
        if self.lasts():
            await self._over.wait()

    async def run(self) -> None:
        """Sees that a turn ends and wakes what was put off, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if not self.lasts() and self._put_off:
                again, self._put_off = self._put_off, {}
                for uid in again:
                    self._wake(uid)
