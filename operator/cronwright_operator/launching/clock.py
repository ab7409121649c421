"""One heap of due times for all tasks: a timer per task would be ten thousand timers."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from datetime import UTC, datetime

_LONGEST_SLEEP_SECONDS = 1.0
"""The wall clock may jump; it is read again at least this often. One comparison a second costs nothing measurable."""

_SPARE_ENTRIES = 1000


def system_now() -> datetime:
    """The wall clock, UTC. The only place of the operator that reads it."""
    return datetime.now(UTC)


class Clock:
    """Calls `wake(key)` once each key's time has come; a new time for a key replaces the old one."""

    def __init__(self, wake: Callable[[str], None], now: Callable[[], datetime] = system_now) -> None:
        self._wake = wake
        self._now = now
        self._due: dict[str, datetime] = {}
        self._heap: list[tuple[datetime, str]] = []
        self._changed = asyncio.Event()

    def set(self, key: str, due: datetime | None) -> None:
        """Sets the key's time; None: it has none."""
        if due is None:
            self._due.pop(key, None)
            return
        if self._due.get(key) == due:
            return
        self._due[key] = due
        heapq.heappush(self._heap, (due, key))
        if len(self._heap) > 2 * len(self._due) + _SPARE_ENTRIES:
            # Replaced times stay in the heap until they come up; those of next year must not pile up until then.
            self._heap = [(time, key) for key, time in self._due.items()]
            heapq.heapify(self._heap)
        if self._heap[0] == (due, key):
            self._changed.set()

    def next_due(self) -> datetime | None:
        """The earliest time of any key; it lies back if its key could not be woken yet."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)  # replaced or removed since
        return self._heap[0][0] if self._heap else None

    def count_until(self, end: datetime, *, most: int) -> int:
        """How many keys are due until then; `most` ends the counting, which goes through these alone."""
        found = 0
        places = [0]
        while places and found < most:
            place = places.pop()
            if place >= len(self._heap) or self._heap[place][0] > end:
                continue  # in a heap none below this one is due earlier
            due, key = self._heap[place]
            found += self._due.get(key) == due
            places += (2 * place + 1, 2 * place + 2)
        return found

    def __len__(self) -> int:
        return len(self._due)

    async def run(self) -> None:
        """Ticks until cancelled."""
        while True:
            self._changed.clear()
            pause = self.fire_due()
            try:
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            except TimeoutError:
                pass

    def fire_due(self) -> float:
        """Wakes all keys that are due; returns the seconds until the next look."""
        now = self._now()
        while self._heap:
            due, key = self._heap[0]
            if self._due.get(key) != due:
                heapq.heappop(self._heap)  # replaced or removed since
                continue
            if due > now:
                return min((due - now).total_seconds(), _LONGEST_SLEEP_SECONDS)
            heapq.heappop(self._heap)
            del self._due[key]
            self._wake(key)
        return _LONGEST_SLEEP_SECONDS
