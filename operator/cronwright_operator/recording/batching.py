"""Many small writes -> few transactions: what comes within a moment is committed together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from cronwright_core.domain.errors import Unavailable
from cronwright_core.domain.execution import Execution
from cronwright_core.store.errors import unavailable
from cronwright_core.store.records.executions import RecordedExecution, RecordResult

_GATHER_SECONDS = 0.02
_MAX_BATCH = 200
AWAY_SECONDS = 5.0
"""So long after a failure nobody who is in a hurry asks again; recorders do, and find out when it is back."""
SOON_SECONDS = 2.0


class RecordBatcher:
    """`record` returns once the execution is committed; all callers of a batch see the same error if it failed."""

    def __init__(
        self, record: Callable[[Sequence[Execution]], RecordResult], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._record = record
        self._clock = clock
        self._away_until = 0.0
        self._waiting: list[tuple[Execution, asyncio.Future[RecordedExecution]]] = []
        self._wake = asyncio.Event()

    async def record(self, execution: Execution) -> RecordedExecution:
        """Commits the execution, together with others that come at the same time.

        Raises:
            Unavailable: PostgreSQL does not answer; nothing of the batch may be taken as stored.
        """
        future: asyncio.Future[RecordedExecution] = asyncio.get_running_loop().create_future()
        self._waiting.append((execution, future))
        self._wake.set()
        return await future

    @property
    def away(self) -> bool:
        """Whether PostgreSQL did not answer a moment ago, or too slowly."""
        return self._clock() < self._away_until

    async def record_soon(self, executions: Sequence[Execution], *, seconds: float = SOON_SECONDS) -> None:
        """As `record` for several, for callers that cannot wait: launching must not depend on PostgreSQL.

        Raises:
            Unavailable: it is away, or has not answered in time; some may be committed, or still come to be.
        """
        if self.away:
            raise unavailable("it did not answer a moment ago")
        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(self.record(execution) for execution in executions))
        except TimeoutError:
            self._away_until = self._clock() + AWAY_SECONDS
            raise unavailable(f"no answer within {seconds:.0f} s") from None

    async def run(self) -> None:
        """Commits batches until cancelled."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(_GATHER_SECONDS)
            batch, self._waiting = self._waiting[:_MAX_BATCH], self._waiting[_MAX_BATCH:]
            if not self._waiting:
                self._wake.clear()
            # Those whose caller has gone meanwhile are left out.
            batch = [item for item in batch if not item[1].done()]
            if batch:
                await self._commit(batch)

    async def _commit(self, batch: list[tuple[Execution, asyncio.Future[RecordedExecution]]]) -> None:
        try:
            result = await asyncio.to_thread(self._record, [execution for execution, _ in batch])
        except Unavailable as error:
            self._away_until = self._clock() + AWAY_SECONDS
            _fail(batch, error)
            return
        except Exception as error:  # noqa: BLE001 - handed on to every caller, who decides
            if len(batch) == 1:
                _fail(batch, error)
                return
            # One that the store refuses must not hold up the others: each on its own.
            for item in batch:
                await self._commit([item])
            return
        self._away_until = 0.0
        by_id = {recorded.execution_id: recorded for recorded in result.executions}
        for execution, future in batch:
            if not future.done():
                future.set_result(by_id[execution.execution_id])


def _fail(batch: list[tuple[Execution, asyncio.Future[RecordedExecution]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
