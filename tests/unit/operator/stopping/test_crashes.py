"""The operator ends before or after each of its writes, and another one takes over: the stop is completed all the same,
nothing is deleted while it runs, and no attempt follows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import PodFacts, StopIntent, StopReason
from cronwright_core.domain.execution import ExecutionState, ExecutionStatus, execution_state, with_deletion
from cronwright_core.kube.errors import KubeConflict
from cronwright_core.kube.ports import Json
from cronwright_core.kube.resources import JOBS, SCHEDULED_TASKS
from cronwright_core.kube.workloads import to_job
from cronwright_operator.launching.clock import Clock
from cronwright_operator.stopping.sync import StopSync
from support.builders import CREATED
from support.job_model import Cluster, Died

CANCEL = f"{naming.CANCEL_PREFIX}exec-1"
LIMIT = 40


class Copy:
    """A reflector that is never late."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def get(self, uid: str) -> Json | None:
        return self._cluster.job if self._cluster.job["metadata"]["uid"] == uid else None

    def remember(self, body: Json) -> None:
        return None


class Operator:
    """What the operator does about a cancel and about a Job, over and over, with nothing in its memory."""

    def __init__(self, cluster: Cluster, pods_of: Callable[[str], Iterable[PodFacts]] | None = None) -> None:
        self._cluster = cluster
        copy: Any = Copy(cluster)
        self._stops = StopSync(
            client=cluster,
            lists=cluster,
            jobs=copy,
            pods=copy,
            job_of=lambda uid: to_job(body) if (body := copy.get(uid)) is not None else None,
            pods_of=pods_of or (lambda _: cluster.facts()),
            clock=Clock(lambda _: None),
            now=lambda: cluster.now,
        )

    async def request(self, stop: StopIntent) -> None:
        await self._stops.request(self._cluster.job["metadata"]["uid"], stop)

    async def look(self) -> None:
        uid = self._cluster.job["metadata"]["uid"]
        task = self._cluster.only(SCHEDULED_TASKS)
        if CANCEL in task["metadata"]["annotations"]:
            stop = StopIntent(StopReason.CANCELLED, "alice", self._cluster.now, "cancelled by alice")
            await self._stops.request(uid, stop)
            await self._cluster.patch(
                SCHEDULED_TASKS, "team-a", "nightly", {"metadata": {"annotations": {CANCEL: None}}}
            )
        await self._stops.sync(uid)


async def make_cluster(now: datetime, *, retries: int, suspend: bool = False) -> Cluster:
    cluster = Cluster(now)
    await cluster.create(SCHEDULED_TASKS, "team-a", {"metadata": {"name": "nightly", "annotations": {}}, "spec": {}})
    await cluster.create(
        JOBS,
        "team-a",
        {
            "metadata": {
                "name": "nightly-m1",
                "labels": {naming.TASK_UID_LABEL: "t1"},
                "annotations": {naming.REQUEST_KEY_ANNOTATION: "k"},
                "finalizers": [naming.FINALIZER],
            },
            "spec": {
                "backoffLimit": retries,
                "parallelism": 1,
                "suspend": suspend,
                "activeDeadlineSeconds": LIMIT + 990,
                "template": {"spec": {"activeDeadlineSeconds": LIMIT, "containers": [{"name": "task"}]}},
            },
        },
    )
    await cluster.step(1)
    return cluster


def state_of(cluster: Cluster) -> ExecutionState:
    return execution_state(with_deletion(to_job(cluster.job), task_gone=False), cluster.facts())


async def live(cluster: Cluster, seconds: int) -> None:
    """Operators look every second; when one dies the next takes over."""
    for _ in range(seconds):
        with contextlib.suppress(Died, KubeConflict):
            await Operator(cluster).look()
        await cluster.step(1)
        requested = CANCEL in cluster.only(SCHEDULED_TASKS)["metadata"]["annotations"]
        if state_of(cluster).status.ended and not requested:
            return


DEATHS = [(write, arrives) for write in range(1, 6) for arrives in (True, False)]


@pytest.mark.parametrize(("write", "arrives"), [(0, True), *DEATHS])
@pytest.mark.parametrize("scene", ["attempt 1", "attempt 2", "between attempts", "waiting"])
def test_a_cancel_is_completed_by_whoever_looks_next(scene: str, write: int, arrives: bool) -> None:
    async def scenario() -> Cluster:
        cluster = await make_cluster(CREATED, retries=3, suspend=scene == "waiting")
        if scene in ("attempt 2", "between attempts"):
            cluster.end(cluster.pods[0], code=3)
            await cluster.step(15 if scene == "attempt 2" else 2)
        before = len(cluster.pods)
        await cluster.patch(SCHEDULED_TASKS, "team-a", "nightly", {"metadata": {"annotations": {CANCEL: "{}"}}})
        cluster.writes, cluster.dies_at, cluster.arrives = 0, write or None, arrives
        await live(cluster, 30)
        assert len(cluster.pods) == before, "no attempt after the cancel"
        return cluster

    cluster = asyncio.run(scenario())
    state = state_of(cluster)
    assert (state.status, state.reason, state.message) == (
        ExecutionStatus.CANCELLED,
        "Cancelled",
        "cancelled by alice",
    )
    assert cluster.lost == [], "no Pod was deleted while it ran"
    assert CANCEL not in cluster.only(SCHEDULED_TASKS)["metadata"]["annotations"]


@pytest.mark.parametrize(("write", "arrives"), [(0, True), *DEATHS])
def test_the_time_limit_holds_over_all_attempts(write: int, arrives: bool) -> None:
    async def scenario() -> tuple[Cluster, datetime]:
        cluster = await make_cluster(CREATED, retries=3)
        begun = cluster.now
        await live(cluster, 5)
        cluster.end(cluster.pods[0], code=3)
        cluster.writes, cluster.dies_at, cluster.arrives = 0, write or None, arrives
        await live(cluster, 90)
        return cluster, begun

    cluster, begun = asyncio.run(scenario())
    state = state_of(cluster)
    assert state.status is ExecutionStatus.TIMEOUT
    assert [attempt.status.value for attempt in state.attempts] == ["FAILED", "TIMEOUT"]
    assert state.end_time is not None
    assert (state.end_time - begun).total_seconds() <= LIMIT + 2
    assert cluster.lost == []


@pytest.mark.parametrize(("write", "arrives"), [(0, True), *DEATHS])
def test_a_deleted_job_ends_with_its_pods(write: int, arrives: bool) -> None:
    async def scenario() -> Cluster:
        cluster = await make_cluster(CREATED, retries=3)
        cluster.job["metadata"]["deletionTimestamp"] = "2026-03-02T09:59:40Z"
        cluster.writes, cluster.dies_at, cluster.arrives = 0, write or None, arrives
        await live(cluster, 20)
        return cluster

    state = state_of(asyncio.run(scenario()))
    assert (state.status, state.reason) == (ExecutionStatus.CANCELLED, "Deleted")
    assert [attempt.status.value for attempt in state.attempts] == ["CANCELLED"]


def test_what_ended_with_zero_before_the_stop_took_hold_is_a_success() -> None:
    async def scenario() -> Cluster:
        cluster = await make_cluster(CREATED, retries=3)
        await cluster.patch(SCHEDULED_TASKS, "team-a", "nightly", {"metadata": {"annotations": {CANCEL: "{}"}}})
        cluster.writes, cluster.dies_at = 0, 1
        with pytest.raises(Died):
            await Operator(cluster).look()
        cluster.end(cluster.pods[0], code=0)
        await live(cluster, 20)
        return cluster

    assert state_of(asyncio.run(scenario())).status is ExecutionStatus.SUCCESS


def test_a_late_watch_harms_no_running_pod() -> None:
    async def scenario() -> Cluster:
        cluster = await make_cluster(CREATED, retries=3)
        begun = cluster.facts()
        cluster.end(cluster.pods[0], code=3)
        await cluster.step(LIMIT)
        assert len(cluster.pods) == 2, "the second attempt runs, and the watch has not told of it"
        await Operator(cluster, lambda _: [replace(pod, phase="Failed") for pod in begun]).look()
        await live(cluster, 20)
        return cluster

    cluster = asyncio.run(scenario())
    assert cluster.lost == []
    assert state_of(cluster).status is ExecutionStatus.TIMEOUT


def test_a_job_that_changes_in_between_is_looked_at_again() -> None:
    async def scenario() -> Cluster:
        cluster = await make_cluster(CREATED, retries=3, suspend=True)
        await cluster.patch(SCHEDULED_TASKS, "team-a", "nightly", {"metadata": {"annotations": {CANCEL: "{}"}}})
        cluster.between = {"spec": {"suspend": False}}
        with pytest.raises(KubeConflict):
            await Operator(cluster).look()
        await cluster.step(2)
        assert len(cluster.pods) == 1, "the gate had admitted it at the same moment"
        await live(cluster, 20)
        return cluster

    cluster = asyncio.run(scenario())
    assert cluster.lost == []
    assert [attempt.status.value for attempt in state_of(cluster).attempts] == ["CANCELLED"]


@pytest.mark.parametrize(
    ("suspended", "reason", "ended"),
    [
        (True, StopReason.SUSPENDED, True),
        (False, StopReason.SUSPENDED, False),
        (False, StopReason.CANCELLED, True),
        (False, StopReason.REPLACED, True),
    ],
)
def test_a_pause_ends_only_what_still_waits(suspended: bool, reason: StopReason, ended: bool) -> None:
    async def scenario() -> Cluster:
        # What was seen of it, suspended, may be late: what counts is how it stands there now.
        cluster = await make_cluster(CREATED, retries=3, suspend=suspended)
        await Operator(cluster).request(StopIntent(reason, "operator", CREATED, "m"))
        return cluster

    cluster = asyncio.run(scenario())
    assert (to_job(cluster.job).stop is not None) is ended
