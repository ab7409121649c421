"""Letting go what waits, and finding out what became of requests without an answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from cronwright_core.domain.gate import Limits
from cronwright_core.kube.errors import KubeError, KubeForbidden, KubeNotFound, KubeUnreachable
from cronwright_core.kube.ports import Json
from cronwright_core.kube.workloads import to_job
from cronwright_operator.launching.admission import UNRESOLVED_SECONDS, Admissions
from cronwright_operator.launching.ledger import Ledger, Place
from cronwright_operator.reconciling.ticks import tick_candidate
from support.builders import CREATED, make_task
from support.launch_model.virtual_loop import VirtualLoop


class Cluster:
    """Jobs by name, the reflector's copy of them, and errors that the next requests meet."""

    def __init__(self, ledger: Ledger) -> None:
        self.jobs: dict[str, Json] = {}
        self.errors: list[KubeError] = []
        self.patches: list[str] = []
        self.seen: dict[str, Json] = {}
        self._ledger = ledger

    def add(self, name: str, *, suspend: bool = True) -> None:
        metadata = {"name": name, "namespace": "team-a", "uid": f"uid-{name}", "resourceVersion": "1"}
        metadata |= {"creationTimestamp": "2026-03-02T10:00:00Z", "finalizers": ["cronwright.dev/record"]}
        body = {"metadata": metadata, "spec": {"suspend": suspend, "template": {"spec": {}}}}
        self.jobs[name] = body

    async def get(self, _: Any, namespace: str, name: str) -> Json:
        if self.errors:
            raise self.errors.pop(0)
        if name not in self.jobs:
            raise KubeNotFound(404, "NotFound", name)
        return self.jobs[name]

    async def patch(self, _: Any, namespace: str, name: str, patch: list[Json], **__: Any) -> Json:
        self.patches.append(name)
        assert patch[0] == {"op": "test", "path": "/metadata/uid", "value": f"uid-{name}"}
        body = await self.get(_, namespace, name)
        self.jobs[name] = {**body, "spec": {**body["spec"], "suspend": False}}
        return self.jobs[name]

    def remember(self, body: Json) -> None:
        self.seen[body["metadata"]["uid"]] = body
        self._ledger.see(to_job(body))


class Copy:
    """Stands for the reflector of Jobs."""

    def __init__(self, cluster: Cluster) -> None:
        self.remember = cluster.remember
        self.get = cluster.seen.get


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    yield loop
    loop.close()
    asyncio.set_event_loop(None)


def gate(loop: VirtualLoop, **limits: Any) -> tuple[Ledger, Cluster, Admissions]:
    ledger = Ledger(Limits(**limits), priority_of=lambda _: 0, clock=loop.time)
    cluster = Cluster(ledger)
    copy: Any = Copy(cluster)
    client: Any = cluster
    return ledger, cluster, Admissions(client, copy, ledger)


def work(loop: VirtualLoop, admissions: Admissions, seconds: float) -> None:
    async def run() -> None:
        admissions.wake()
        running = asyncio.ensure_future(admissions.run())
        await asyncio.sleep(seconds)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

    loop.play(run())


def test_as_many_are_let_go_as_there_is_room_for(loop: VirtualLoop) -> None:
    ledger, cluster, admissions = gate(loop, total=2)
    for name in ("a", "b", "c"):
        cluster.add(name)
        cluster.remember(cluster.jobs[name])
    work(loop, admissions, 1)
    assert cluster.patches == ["a", "b"]
    assert (ledger.count(Place.RUNNING), ledger.count(Place.WAITING)) == (2, 1)


@pytest.mark.parametrize("error", [KubeUnreachable("lost"), KubeForbidden(403, "Forbidden", "not now")])
def test_a_patch_that_failed_keeps_its_place_and_is_tried_again(loop: VirtualLoop, error: KubeError) -> None:
    ledger, cluster, admissions = gate(loop, total=1)
    for name in ("a", "b"):
        cluster.add(name)
        cluster.remember(cluster.jobs[name])
    cluster.errors = [error]
    work(loop, admissions, 1)
    assert cluster.patches == ["a", "a"], "the other one is not let go in its place"
    assert ledger.count(Place.RUNNING) == 1


def test_one_that_is_gone_is_left_to_the_watch(loop: VirtualLoop) -> None:
    ledger, cluster, admissions = gate(loop)
    cluster.add("a")
    cluster.remember(cluster.jobs["a"])
    cluster.errors = [KubeNotFound(404, "NotFound", "a")]
    work(loop, admissions, 5)
    assert cluster.patches == ["a"]
    ledger.forget(to_job(cluster.jobs["a"]))
    assert ledger.count(Place.RUNNING) == 0


def test_one_that_ends_meanwhile_is_not_let_go(loop: VirtualLoop) -> None:
    _, cluster, admissions = gate(loop)
    cluster.add("a")
    cluster.remember(cluster.jobs["a"])
    stopped = {**cluster.jobs["a"]["metadata"], "deletionTimestamp": "2026-03-02T10:00:05Z"}
    cluster.seen["uid-a"] = {**cluster.jobs["a"], "metadata": stopped}
    work(loop, admissions, 1)
    assert cluster.patches == []


def test_requests_without_an_answer_are_cleared_up(loop: VirtualLoop) -> None:
    ledger, cluster, admissions = gate(loop, total=2)
    task = make_task()
    for name in ("made", "lost"):
        assert ledger.enter(tick_candidate(task, name, CREATED), tick=None)
    cluster.add("made", suspend=False)
    loop.play(admissions.resolve())
    assert ledger.count(Place.RUNNING) == 2, "they may still be under way"
    loop.play(asyncio.sleep(UNRESOLVED_SECONDS + 1))
    loop.play(admissions.resolve())
    assert [entry.job_uid for entry in ledger.entries()] == ["uid-made"]


def test_what_the_api_server_does_not_say_stays_in_the_books(loop: VirtualLoop) -> None:
    ledger, cluster, admissions = gate(loop)
    ledger.enter(tick_candidate(make_task(), "a", CREATED), tick=None)
    loop.play(asyncio.sleep(UNRESOLVED_SECONDS + 1))
    cluster.errors = [KubeUnreachable("lost")]
    with pytest.raises(KubeUnreachable):
        loop.play(admissions.resolve())
    assert ledger.count(Place.RUNNING) == 1
