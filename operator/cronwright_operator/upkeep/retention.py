"""Partitions are made ahead and dropped behind; what nobody keeps any more is deleted little by little.

Recording goes on meanwhile: see `store.retention`. All steps are repeatable; an operator that ends in between leaves
the rest to its successor, and two at once do each other no harm.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from datetime import UTC, date, datetime, time, timedelta

from cronwright_core.domain.errors import Unavailable
from cronwright_core.domain.retention import FOREVER, Retention, Share
from cronwright_core.store.partitions import first_day
from cronwright_core.store.retention import RetentionStore

logger = logging.getLogger(__name__)

BATCH = 200
"""Executions that are deleted in one transaction."""
PAUSE_SECONDS = 0.05
"""Between two transactions: recording goes first."""
DETACH_TRIES = 10
TRY_AGAIN_SECONDS = 1.0
FULL_PASS = timedelta(days=1)
"""How often all of the old rows are looked at, and not only what has become old since: some are recorded late."""


class RetentionSweep:
    """`sweep` does what is due. `busy` names the uids of tasks that have Jobs in the cluster."""

    def __init__(
        self,
        store: RetentionStore,
        *,
        default_days: int,
        busy: Callable[[], Collection[str]],
        now: Callable[[], datetime],
        pause_seconds: float = PAUSE_SECONDS,
        try_again_seconds: float = TRY_AGAIN_SECONDS,
    ) -> None:
        self._store = store
        self._default_days = default_days
        self._busy = busy
        self._now = now
        self._pause_seconds = pause_seconds
        self._try_again_seconds = try_again_seconds
        self._done: dict[Share, datetime] = {}
        self._full_pass: datetime | None = None

    async def sweep(self) -> None:
        """One sweep.

        Raises:
            Unavailable: PostgreSQL does not answer; the next sweep goes on.
        """
        retention = await asyncio.to_thread(self._store.retention, self._default_days)
        made = await asyncio.to_thread(self._store.prepare, retention, self._now())
        if made:
            logger.info("partitions made ahead: %s", ", ".join(made))
        now = self._now()
        full = self._full_pass is None or now - self._full_pass >= FULL_PASS
        if full:
            self._done.clear()
        dropped = await self._drop_months(retention, now)
        await self._delete_rows(retention, now)
        if full or dropped:
            await self._each(self._store.forget_days)
        await self._each(lambda _: self._store.forget_small(now) or None)
        if full:
            busy = self._busy()
            await self._each(lambda after: self._store.delete_tasks(after, now, busy))
            await self._delete_projects(retention, now)
            self._full_pass = now

    async def _drop_months(self, retention: Retention, now: datetime) -> int:
        await self._drop_retired()
        detached = 0
        for month in await asyncio.to_thread(self._store.months):
            if not retention.has_passed(*month, now):
                break
            if await self._detach(month):
                logger.info("the executions of %04d-%02d are older than %d days", *month, retention.longest_days)
                detached += 1
        # If we die here the tables are found by their names.
        await self._drop_retired()
        return detached

    async def _detach(self, month: tuple[int, int]) -> bool:
        for last in (*[False] * (DETACH_TRIES - 1), True):
            try:
                if await asyncio.to_thread(self._store.detach, month):
                    return True
                logger.warning("the executions of %04d-%02d stay: one of them has not ended", *month)
                return False
            except Unavailable as error:
                if last:
                    logger.warning("the executions of %04d-%02d stay for now: %s", *month, error)
                    return False
                await asyncio.sleep(self._try_again_seconds)
        raise AssertionError("unreachable")

    async def _drop_retired(self) -> None:
        for name in await asyncio.to_thread(self._store.retired):
            try:
                await asyncio.to_thread(self._store.drop, name)
            except Unavailable as error:
                logger.warning("table %s cannot be dropped now: %s", name, error)

    async def _delete_rows(self, retention: Retention, now: datetime) -> None:
        months = await asyncio.to_thread(self._store.months)
        if not months:
            return
        oldest = _midnight(first_day(months[0]))
        for share in retention.shares():
            end = now - timedelta(days=share.days)
            deleted = await self._delete_share(share, self._done.get(share, oldest), end, now)
            self._done[share] = end
            if deleted:
                logger.info("%d executions older than %d days deleted", deleted, share.days)

    async def _delete_share(self, share: Share, start: datetime, end: datetime, now: datetime) -> int:
        """Day by day, so that each statement reads one partition's index over a short range."""
        deleted = 0
        while start < end:
            stop = min(end, _midnight(start.date()) + timedelta(days=1))
            while True:
                count = await asyncio.to_thread(self._store.delete_executions, share, start, stop, now, limit=BATCH)
                deleted += count
                if count:
                    await asyncio.sleep(self._pause_seconds)
                if count < BATCH:
                    break
            start = stop
        return deleted

    async def _delete_projects(self, retention: Retention, now: datetime) -> None:
        if retention.longest_days != FOREVER:
            # A month more: a partition goes when its last day has passed.
            before = now - timedelta(days=retention.longest_days + 31)
            await asyncio.to_thread(self._store.delete_projects, before)

    async def _each(self, step: Callable[[int], int | None]) -> None:
        after: int | None = 0
        while after is not None:
            after = await asyncio.to_thread(step, after)
            await asyncio.sleep(self._pause_seconds)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
