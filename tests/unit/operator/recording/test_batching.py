"""What comes together is committed together; what the store refuses holds up nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from cronwright_core.domain.errors import Message, Unavailable
from cronwright_core.domain.execution import Execution, ExecutionKey, ExecutionKind, ExecutionState, ExecutionStatus
from cronwright_core.store.records.executions import RecordedExecution, RecordResult
from cronwright_operator.recording.batching import AWAY_SECONDS, RecordBatcher
from support.builders import CREATED


def execution(id_: str) -> Execution:
    return Execution(
        execution_id=id_,
        key=ExecutionKey("uid", ExecutionKind.SCHEDULED, CREATED),
        task_id=1,
        task_name="task",
        owner="alice",
        project_id=1,
        namespace="ns",
        job_name="job",
        job_uid=None,
        created_time=CREATED,
        state=ExecutionState(ExecutionStatus.RUNNING),
    )


class Store:
    def __init__(self, refuses: str = "", error: Exception | None = None) -> None:
        self.batches: list[list[str]] = []
        self.refuses, self.error = refuses, error or ValueError("refused")

    def record(self, batch: Sequence[Execution]) -> RecordResult:
        ids = [e.execution_id for e in batch]
        self.batches.append(ids)
        if self.refuses in ids:
            raise self.error
        done = (
            RecordedExecution(execution_id=i, status=ExecutionStatus.RUNNING, changed=True, attempt_numbers={})
            for i in ids
        )
        return RecordResult(executions=tuple(done))


async def record_all(store: Store, *ids: str) -> list[Any]:
    batcher = RecordBatcher(store.record)
    runner = asyncio.create_task(batcher.run())
    async with asyncio.timeout(5):
        results = await asyncio.gather(*(batcher.record(execution(i)) for i in ids), return_exceptions=True)
    runner.cancel()
    await asyncio.gather(runner, return_exceptions=True)
    return [r.execution_id if isinstance(r, RecordedExecution) else type(r) for r in results]


def test_together() -> None:
    store = Store()
    assert asyncio.run(record_all(store, "a", "b", "c")) == ["a", "b", "c"]
    assert store.batches == [["a", "b", "c"]]


def test_one_that_is_refused() -> None:
    store = Store(refuses="b")
    assert asyncio.run(record_all(store, "a", "b", "c")) == ["a", ValueError, "c"]


def test_a_database_that_is_away_is_asked_once() -> None:
    store = Store(refuses="b", error=Unavailable(Message("不可用", "away")))
    assert asyncio.run(record_all(store, "a", "b")) == [Unavailable, Unavailable]
    assert len(store.batches) == 1


async def record_soon(batcher: RecordBatcher, *ids: str, seconds: float = 10) -> None:
    async with asyncio.timeout(20):
        await batcher.record_soon([execution(i) for i in ids], seconds=seconds)


def test_who_is_in_a_hurry_asks_no_database_that_was_away_a_moment_ago() -> None:
    store, clock = Store(refuses="a", error=Unavailable(Message("不可用", "away"))), [100.0]

    async def run() -> None:
        batcher = RecordBatcher(store.record, clock=lambda: clock[0])
        runner = asyncio.create_task(batcher.run())
        for _ in range(2):
            with pytest.raises(Unavailable):
                await record_soon(batcher, "a")
        assert (batcher.away, len(store.batches)) == (True, 1)
        clock[0] += AWAY_SECONDS
        assert not batcher.away
        await record_soon(batcher, "b", "c")
        assert store.batches[1:] == [["b", "c"]]
        runner.cancel()
        await asyncio.gather(runner, return_exceptions=True)

    asyncio.run(run())


def test_who_is_in_a_hurry_does_not_wait_for_a_slow_database() -> None:
    async def run() -> None:
        batcher = RecordBatcher(Store().record)  # nobody runs it: the slowest of all
        with pytest.raises(Unavailable, match="no answer"):
            await record_soon(batcher, "a", seconds=0.1)
        assert batcher.away

    asyncio.run(run())


@pytest.mark.parametrize("count", [201])
def test_large_bursts_are_split(count: int) -> None:
    store = Store()
    assert len(asyncio.run(record_all(store, *(f"e{i}" for i in range(count))))) == count
    assert [len(batch) for batch in store.batches] == [200, 1]
