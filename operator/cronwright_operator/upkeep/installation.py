"""Whose database it is. Upkeep ends and deletes what its own cluster does not have, which is right for one only.

A second installation on the same database - a cluster that shall follow another, a copy of production - would take all
executions and tasks of the first for lost. So the sign of life carries the installation, and who finds that of another
one leaves alone what upkeep would end or delete, until the other has been silent for long: see ADR 0016.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from cronwright_core.store.heartbeat import HeartbeatStore
from cronwright_core.store.records.system import Heartbeat

logger = logging.getLogger(__name__)

SILENCE = timedelta(minutes=15)
"""An upgrade or a lost node keeps an operator silent for minutes; nothing that upkeep does is in a hurry."""


class Installation:
    """Gives the sign of life of this installation, and tells whether the database is its own."""

    def __init__(
        self,
        heartbeats: HeartbeatStore,
        *,
        identity: Callable[[], str | None],
        holder: str,
        version: str,
        tz_release: str,
        details: Callable[[], Mapping[str, Any]],
        now: Callable[[], datetime],
    ) -> None:
        """`identity` is the uid of the Lease: one for each release of each cluster, kept over upgrades and uninstalls.

        `details` are what the API shows of this operator.
        """
        self._heartbeats = heartbeats
        self._identity = identity
        self._holder = holder
        self._version = version
        self._tz_release = tz_release
        self._details = details
        self._now = now
        self._other: str | None = None

    @property
    def shares_database(self) -> bool:
        """Whether another installation was found at work on the database, at the last look."""
        return self._other is not None

    async def beat(self) -> bool:
        """Gives the sign of life, unless it is another installation's turn; whether it could be given.

        Raises:
            Unavailable: PostgreSQL does not answer, and nobody knows whose it is.
        """
        now = self._now()
        other = await asyncio.to_thread(
            self._heartbeats.beat,
            installation=self._identity(),
            holder=self._holder,
            version=self._version,
            tz_release=self._tz_release,
            details=self._details(),
            now=now,
            silent_before=now - SILENCE,
        )
        self._see(other)
        return other is None

    def when_ours(self, sweep: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[None]]:
        """The sweep, left out as long as the database is another installation's."""

        @wraps(sweep)
        async def guarded() -> None:
            # Asked at each sweep, and of the database: what was seen a minute ago may be of a time before an outage.
            if await self.beat():
                await sweep()

        return guarded

    def _see(self, other: Heartbeat | None) -> None:
        found = other.installation if other is not None else None
        if found == self._other:
            return
        self._other = found
        if other is None:
            logger.info("this installation is alone on its database again; upkeep goes on")
            return
        logger.error(
            "another installation (Lease %s, operator %s) works on this database: no execution is closed, no task's row"
            " removed and nothing deleted for its age until it has been silent for %d minutes",
            other.installation,
            other.holder,
            SILENCE.total_seconds() // 60,
        )
