"""A queue of keys: each key at most once waiting, at most one worker on a key, failures again after a back-off.

The level-triggered heart of every controller (k8s.io/client-go workqueue): an event only says "look at this again".
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from enum import IntEnum
from time import perf_counter
from typing import Generic, Protocol, TypeVar

from cronwright_core import json_log

Key = TypeVar("Key", bound=Hashable)

logger = logging.getLogger(__name__)

_FIRST_BACKOFF_SECONDS = 0.1
_MAX_BACKOFF_SECONDS = 30.0
_USUAL_FAILURES = 3
_GIVE_WAY_SECONDS = 5.0
"""For so long at most a queue gives way to the urgent keys of another: what it does is late then, but never starved."""
TROUBLE, BUG = "trouble", "bug"


class Priority(IntEnum):
    """Whose turn comes first; among equals it is who came first."""

    USUAL = 0
    """Something has come about."""
    ASKED = 1
    """Somebody asked for it, and looks whether it happens."""
    URGENT = 2
    """Its time has come."""


class GoesFirst(Protocol):
    """What a queue may stand behind."""

    async def wait_calm(self) -> None:
        """Returns once the queue may begin something; does so within seconds in any case."""


Observer = Callable[[str, float, str | None], None]
"""Called after the work on a key with the queue's name, the seconds, and None, TROUBLE or BUG."""


class WorkQueue(Generic[Key]):
    """Calls `work(key)` for each key added; `expected` errors are trouble outside, others are bugs and logged so.

    Belongs to one event loop. Not persistent: what must survive stands in the cluster. `about` names what a key is:
    each line that is logged during its work carries these members. While one of those that it stands `behind` is not
    calm - a queue that has urgent keys waiting - this one begins nothing new, for some seconds at most. `at_once` says
    how many keys may be worked on at this moment, one at least; what is urgent is begun all the same.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Key], Awaitable[None]],
        *,
        workers: int,
        expected: tuple[type[Exception], ...] = (),
        about: Callable[[Key], Mapping[str, object]] | None = None,
        observe: Observer | None = None,
        behind: Sequence[GoesFirst] = (),
        at_once: Callable[[], int] | None = None,
    ) -> None:
        self._name = name
        self._work = work
        self._workers = workers
        self._expected = expected
        self._about = about or (lambda key: {"key": str(key)})
        self._observe = observe
        self._lines: dict[Priority, deque[Key]] = {priority: deque() for priority in sorted(Priority, reverse=True)}
        self._urgent = self._lines[Priority.URGENT]
        self._dirty: dict[Key, Priority] = {}
        self._busy: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        # One for each entry of the lines: an event would wake all idle workers for each key that is added.
        self._entries = asyncio.Semaphore(0)
        self._behind = behind
        self._at_once = at_once or (lambda: workers)
        self._active = 0
        """How many workers have begun something, or were told to."""
        self._held_back: deque[asyncio.Future[None]] = deque()
        self._calm = asyncio.Event()
        """Set while no urgent key waits."""
        self._calm.set()
        self._hurried_at = 0.0

    def add(self, key: Key, priority: Priority = Priority.USUAL) -> None:
        """Asks for `work(key)`; while it runs already, once more afterwards."""
        known = self._dirty.get(key)
        if known is not None and known >= priority:
            return
        self._dirty[key] = priority
        if key not in self._busy:
            self._line_up(key, priority)

    def add_after(self, key: Key, seconds: float) -> None:
        """Adds the key after a time; the earliest wish for a key counts."""
        loop = asyncio.get_running_loop()
        when = loop.time() + max(seconds, 0.0)
        timer = self._timers.get(key)
        if timer is not None and timer.when() <= when:
            return
        if timer is not None:
            timer.cancel()
        self._timers[key] = loop.call_at(when, self._fire, key)

    def depth(self) -> int:
        """How many keys wait or are being worked on."""
        return len(self._dirty.keys() - self._busy) + len(self._busy)

    async def wait_calm(self) -> None:
        """Returns once no urgent key waits, or has found some waiting for a few seconds."""
        left = self._hurried_at + _GIVE_WAY_SECONDS - asyncio.get_running_loop().time()
        if self._calm.is_set() or left <= 0:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(left):
                await self._calm.wait()

    async def run(self) -> None:
        """Works until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._worker())

    def _line_up(self, key: Key, priority: Priority) -> None:
        self._lines[priority].append(key)
        self._entries.release()
        if priority is not Priority.URGENT:
            return
        if self._held_back:
            self._begin_one()  # all workers may be held back
        if self._calm.is_set():
            self._calm.clear()
            self._hurried_at = asyncio.get_running_loop().time()

    def _fire(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.add(key)

    async def _worker(self) -> None:
        while True:
            await self._entries.acquire()
            for other in self._behind:
                await other.wait_calm()
            await self._begin()
            key = next(line for line in self._lines.values() if line).popleft()
            if not self._urgent:
                self._calm.set()
            if key not in self._dirty or key in self._busy:
                self._end()
                continue  # it stood in two lines, and was served
            del self._dirty[key]
            self._busy.add(key)
            begun = perf_counter()
            try:
                with json_log.bound(self._about(key)):
                    failure = await self._attempt(key)
                if self._observe is not None:
                    self._observe(self._name, perf_counter() - begun, failure)
            finally:
                self._busy.discard(key)
                if key in self._dirty:
                    self._line_up(key, self._dirty[key])
                self._end()
            # Work that waits for nothing would hold the loop until the queue is empty, and the lease's renewal with it.
            await asyncio.sleep(0)

    async def _begin(self) -> None:
        """Takes a place among those that work, or waits for one; for something urgent there always is one."""
        if self._urgent or self._has_place():
            self._active += 1
            return
        place = asyncio.get_running_loop().create_future()
        self._held_back.append(place)
        await place

    def _end(self) -> None:
        self._active -= 1
        while self._held_back and self._has_place():
            self._begin_one()

    def _has_place(self) -> bool:
        return self._active < max(self._at_once(), 1)

    def _begin_one(self) -> None:
        while self._held_back:
            place = self._held_back.popleft()
            if not place.done():  # its worker was cancelled, as all are when the queue ends
                self._active += 1
                place.set_result(None)
                return

    async def _attempt(self, key: Key) -> str | None:
        try:
            await self._work(key)
        except self._expected as error:
            self._retry(key, error)
            return TROUBLE
        except Exception:  # a bug in one key's work must not end the others'
            logger.exception("%s: unexpected error at %s", self._name, key)
            self._retry(key, None)
            return BUG
        self._failures.pop(key, None)
        return None

    def _retry(self, key: Key, error: Exception | None) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = min(_FIRST_BACKOFF_SECONDS * 2 ** min(failures - 1, 10), _MAX_BACKOFF_SECONDS)
        if error is not None:
            # Trouble that passes within a second is usual: an object that another queue is just about to complete.
            level = logging.WARNING if failures > _USUAL_FAILURES else logging.INFO
            logger.log(level, "%s: %s: %s; again in %.1f s", self._name, key, error, delay)
        self.add_after(key, delay)
