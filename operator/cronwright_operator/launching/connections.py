"""Connections to the API server that stand before many runs are due.

Jobs that are made at once need as many connections, and each begins with a TLS handshake, which both sides compute:
work that is better done before the tick than between it and its Jobs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from time import monotonic

from cronwright_operator.launching.burst import MANY
from cronwright_operator.launching.clock import Clock

AHEAD = timedelta(seconds=3)
_LOOK_SECONDS = 1.0
_OPEN_SECONDS = 2.0
"""An API server that does not answer in this time is not going to be quicker at the tick."""


class Connections:
    """Has as many connections opened as runs are due within seconds, `most` at most; they are kept for `keep_seconds`
    when nobody uses them."""

    def __init__(
        self,
        clock: Clock,
        open_: Callable[[int], Awaitable[None]],
        *,
        most: int,
        keep_seconds: float,
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = monotonic,
    ) -> None:
        self._clock = clock
        self._open = open_
        self._most = most
        self._keep_seconds = keep_seconds - _LOOK_SECONDS - AHEAD.total_seconds()
        self._now = now
        self._monotonic = monotonic
        self._opened = 0
        self._opened_at = 0.0

    async def run(self) -> None:
        """Looks once a second, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Opens what the next seconds need and is not open yet."""
        if self._monotonic() - self._opened_at >= self._keep_seconds:
            self._opened = 0
        due = self._clock.count_until(self._now() + AHEAD, most=self._most)
        if due < MANY or due <= self._opened:
            return
        self._opened, self._opened_at = due, self._monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(_OPEN_SECONDS):
                await self._open(due)
