"""Skipped ticks are committed, or stay in the task's status until they are: nothing of them is only in memory."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from cronwright_core.domain.errors import Message, Unavailable
from cronwright_core.domain.execution import Execution, ExecutionStatus
from cronwright_core.domain.skips import SkippedTick, UnrecordedSkips
from cronwright_core.kube.codec import build_task, from_unrecorded_skips, to_unrecorded_skips
from cronwright_core.kube.errors import KubeInvalid
from cronwright_core.kube.ports import Json, PatchKind
from cronwright_core.kube.resources import Resource
from cronwright_core.store.records.executions import RecordedExecution, RecordResult
from cronwright_operator.cache import DefinitionCache
from cronwright_operator.recording.batching import RecordBatcher
from cronwright_operator.recording.skipped import SkippedTicks
from support.builders import CREATED, at, make_task

TICKS = [SkippedTick(at(f"10:0{minute}:00"), "AlreadyRunning", "1 runs") for minute in range(5)]
AWAY = Unavailable(Message("不可用", "away"))


class Cluster:
    """One ScheduledTask whose status can be tested and changed, and a database that can be taken away."""

    def __init__(self, *ticks: SkippedTick, registered: bool = True) -> None:
        self.body = build_task("team-a", "nightly-copy", make_task().spec)
        self.body["metadata"] |= {"uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-03-02T09:59:30Z"}
        self.body["status"] = {"taskId": 7} if registered else {}
        if ticks:
            self.body["status"]["unrecordedSkips"] = from_unrecorded_skips(UnrecordedSkips().with_more(ticks))
        self.rows: dict[str, Execution] = {}
        self.trouble: Exception | None = None
        self.meanwhile: list[SkippedTick] = []
        self.cache = DefinitionCache(lambda *_: None, lambda _: None)
        self.cache.put_task(self.body)
        self.batcher = RecordBatcher(self.record)
        self.skipped = SkippedTicks(self.batcher, self.cache, self, lambda: CREATED, look_seconds=0.01)  # type: ignore[arg-type]

    def account(self) -> UnrecordedSkips:
        return to_unrecorded_skips(self.body["status"].get("unrecordedSkips") or {})

    def record(self, batch: Sequence[Execution]) -> RecordResult:
        if self.trouble is not None:
            raise self.trouble
        for execution in batch:
            self.rows[execution.execution_id] = execution
        ids = [execution.execution_id for execution in batch]
        if self.meanwhile:
            account = self.account().with_more(self.meanwhile)
            self.body["status"]["unrecordedSkips"] = from_unrecorded_skips(account)
            self.meanwhile = []
        done = (
            RecordedExecution(execution_id=i, status=ExecutionStatus.CANCELLED, changed=True, attempt_numbers={})
            for i in ids
        )
        return RecordResult(executions=tuple(done))

    async def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Sequence[Mapping[str, Any]],
        *,
        subresource: str | None = None,
        kind: PatchKind = PatchKind.MERGE,
    ) -> Json:
        assert (kind, subresource) == (PatchKind.JSON, "status")
        for step in patch:
            *path, last = step["path"].split("/")[1:]
            place = self.body
            for part in path:
                place = place[part]
            if step["op"] == "test" and place.get(last) != step["value"]:
                raise KubeInvalid(422, "Invalid", "test failed")
            if step["op"] == "remove":
                del place[last]
        self.body["metadata"]["resourceVersion"] = str(int(self.body["metadata"]["resourceVersion"]) + 1)
        return copy.deepcopy(self.body)

    def run_until(self, done: Any) -> None:
        async def run() -> None:
            work = [asyncio.create_task(self.batcher.run()), asyncio.create_task(self.skipped.run())]
            async with asyncio.timeout(10):
                while not done():
                    await asyncio.sleep(0.01)
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)

        asyncio.run(run())

    def settled(self) -> bool:
        return self.account() == UnrecordedSkips()


def record(cluster: Cluster, *ticks: SkippedTick) -> bool:
    async def run() -> bool:
        work = asyncio.create_task(cluster.batcher.run())
        task = cluster.cache.task("u")
        assert task is not None
        done = await cluster.skipped.record(task, ticks)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        return done

    return asyncio.run(run())


def test_the_account_of_a_task_that_is_deleted_meanwhile_becomes_rows() -> None:
    away, back = Cluster(*TICKS), Cluster(*TICKS)
    away.trouble = AWAY
    for cluster in (away, back):
        cluster.cache.remove_task("u")
    away.run_until(lambda: away.batcher.away)
    assert [task.uid for task in away.cache.unsettled()] == ["u"], "it waits"
    back.run_until(lambda: not list(back.cache.unsettled()))
    assert sorted(row.key.time for row in back.rows.values()) == [skip.tick for skip in TICKS]


def test_recorded_at_once_as_cancelled_with_the_reason() -> None:
    cluster = Cluster()
    assert record(cluster, *TICKS)
    assert [row.key.time for row in cluster.rows.values()] == [skip.tick for skip in TICKS]
    (row, *_) = cluster.rows.values()
    assert (row.state.status, row.error_message) == (ExecutionStatus.CANCELLED, "AlreadyRunning: 1 runs")
    assert row.task_id == 7


@pytest.mark.parametrize("trouble", [None, AWAY])
def test_not_recorded_without_an_id_or_a_database(trouble: Exception | None) -> None:
    cluster = Cluster(registered=trouble is not None)
    cluster.trouble = trouble
    assert not record(cluster, *TICKS)
    assert cluster.rows == {}


def test_one_that_is_refused_for_ever_does_not_hold_up_the_watermark() -> None:
    cluster = Cluster()
    cluster.trouble = ValueError("refused")
    assert record(cluster, TICKS[0])


def test_a_successor_finds_the_account_and_writes_it() -> None:
    cluster = Cluster(*TICKS)
    cluster.run_until(cluster.settled)
    assert [row.key.time for row in cluster.rows.values()] == [skip.tick for skip in TICKS]


def test_a_tick_that_is_skipped_meanwhile_is_not_lost() -> None:
    cluster = Cluster(*TICKS[:2])
    cluster.meanwhile = TICKS[2:]

    def watched() -> bool:
        cluster.body["metadata"]["resourceVersion"] = str(int(cluster.body["metadata"]["resourceVersion"]) + 1)
        cluster.cache.put_task(cluster.body)  # the watch brings the other write
        return cluster.settled()

    cluster.run_until(watched)
    assert len(cluster.rows) == 5


def test_a_task_without_an_id_waits() -> None:
    cluster = Cluster(*TICKS, registered=False)
    cluster.run_until(lambda: True)
    assert len(cluster.account().rows()) == 5


def test_where_many_are_skipped_at_once_launching_does_not_wait_for_their_commits() -> None:
    cluster = Cluster()
    task = cluster.cache.task("u")
    assert task is not None

    async def run() -> list[bool]:
        asked = [asyncio.create_task(cluster.skipped.record(task, [tick])) for tick in TICKS]
        await asyncio.sleep(0)
        at_once = [done.done() for done in asked]
        work = asyncio.create_task(cluster.batcher.run())
        assert [await done for done in asked] == [True, True, False, False, False]
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        return at_once

    assert asyncio.run(run()) == [False, False, True, True, True]
