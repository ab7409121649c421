"""The open log streams of this process: how many there may be, what they share, and how they end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import anyio
import anyio.to_thread

from cronwright_api import messages
from cronwright_api.live.wakeups import Wakeups
from cronwright_api.ports import LogReader
from cronwright_core.domain.errors import Unavailable
from cronwright_core.domain.log_position import LogPosition
from cronwright_core.store.records.logs import LogPortion, LogType

READERS = 4
"""Threads in which all streams read the database in turn, apart from those that serve requests."""


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """`total` streams at most in this process, `per_user` of one user; times in seconds.

    A stream looks by itself every `poll`, or `poll_unheard` while no notifications come. Something is sent every
    `heartbeat`. Who takes nothing for `send_timeout` is let go; a database away for `patience` ends the stream.
    """

    total: int = 200
    per_user: int = 50
    heartbeat: float = 15.0
    poll: float = 10.0
    poll_unheard: float = 2.0
    send_timeout: float = 60.0
    patience: float = 30.0


class LiveLogs:
    """What all log streams share. Belongs to one event loop."""

    def __init__(self, reader: LogReader, wakeups: Wakeups, limits: StreamLimits | None = None) -> None:
        self._reader = reader
        self._threads = anyio.CapacityLimiter(READERS)
        self._open: Counter[str] = Counter()
        self.wakeups = wakeups
        self.limits = limits or StreamLimits()
        self.closing = False

    @property
    def count(self) -> int:
        """How many streams are open."""
        return self._open.total()

    @contextmanager
    def opened(self, user: str) -> Iterator[None]:
        """Counts one stream of the user for as long as the block lasts.

        Raises:
            Unavailable: there are too many, or the process is ending; another replica may take it.
        """
        if self.closing or self.count >= self.limits.total or self._open[user] >= self.limits.per_user:
            raise Unavailable(messages.TOO_MANY_STREAMS)
        self._open[user] += 1
        try:
            yield
        finally:
            self._open[user] -= 1
            if not self._open[user]:
                del self._open[user]

    async def read(
        self,
        execution_id: str,
        *,
        log_type: LogType,
        after: LogPosition | None,
        attempt: int | None,
        owner: str | None,
    ) -> LogPortion:
        """The next portion of a log; see `store.log_following`."""

        def read() -> LogPortion:
            return self._reader.follow(execution_id, log_type=log_type, after=after, attempt=attempt, owner=owner)

        # A client that leaves does not wait for the database; the thread is given back when the statement is over.
        return await anyio.to_thread.run_sync(read, limiter=self._threads, abandon_on_cancel=True)

    def end_streams(self) -> None:
        """Ends all streams at their next step, and lets no new one in: the process is about to end."""
        self.closing = True
        self.wakeups.wake_all()

    async def close(self) -> None:
        """Ends all streams and what wakes them."""
        self.end_streams()
        await self.wakeups.close()
