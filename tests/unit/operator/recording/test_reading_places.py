"""A node that does not answer holds up the logs of its own Pods, and no others."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cronwright_core.kube.errors import KubeUnreachable
from cronwright_operator.recording import reading_places
from cronwright_operator.recording.following import LogFollower
from cronwright_operator.recording.pod_log import PATIENCE
from cronwright_operator.recording.reading_places import NodeSilent

LONG = 3600.0
"""A pause that no test waits for."""
SILENT, GOOD = "node-silent", "node-good"


class Cluster:
    """Nodes that answer or do not, a follower, and a clock that moves when it is told to."""

    def __init__(self) -> None:
        self.time = 0.0
        self.follower = LogFollower(poll_seconds=LONG, now=lambda: self.time)
        self.silent: set[str] = {SILENT}
        self.reading: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.asked: list[str] = []
        self.abandoned: list[str] = []
        self._answer = asyncio.Event()

    async def read(self, pod: str, node: str) -> bool:
        self.asked.append(pod)
        self.reading[node] += 1
        for key in (node, "all"):
            self.most[key] = max(self.most[key], self.reading.total() if key == "all" else self.reading[node])
        try:
            if node in self.silent:
                await self._answer.wait()
                raise KubeUnreachable("no answer")
        finally:
            self.reading[node] -= 1
        return True

    async def pass_by(self, seconds: float) -> None:
        """Reads that waited for an answer give up."""
        self.time += seconds
        self._answer.set()
        await settled()
        self._answer = asyncio.Event()

    def log(self, pod: str, node: str) -> Any:
        return Log(self, pod, node)

    def follow(self, count: int, node: str, *, urgent: bool = True) -> None:
        for number in range(count):
            pod = f"{node}/{number}"
            self.follower.follow(pod, self.log(pod, node), node=node, urgent=urgent)

    async def finish(self, pod: str, node: str) -> None:
        async with asyncio.timeout(10):
            await self.follower.finish(pod, self.log(pod, node), node=node)

    async def silence(self, node: str) -> None:
        """The node has been asked once, in vain."""
        self.silent.add(node)
        asking = asyncio.ensure_future(self.finish(f"{node}/first", node))
        await settled()
        await self.pass_by(30)
        with pytest.raises(KubeUnreachable):
            await asking


class Log:
    def __init__(self, cluster: Cluster, pod: str, node: str) -> None:
        self.cluster, self.pod, self.node = cluster, pod, node

    async def poll(self, *, final: bool) -> bool:
        return await self.cluster.read(self.pod, self.node)

    async def abandon(self, reason: str) -> None:
        self.cluster.abandoned.append(f"{self.pod}: {reason}")


async def settled() -> None:
    for _ in range(100):
        await asyncio.sleep(0)


def run(scenario: Callable[[Cluster], Awaitable[None]]) -> Cluster:
    async def main() -> Cluster:
        cluster = Cluster()
        try:
            await scenario(cluster)
        finally:
            cluster.follower.close()
        return cluster

    return asyncio.run(main())


def test_a_node_that_falls_silent_leaves_places_for_the_others() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.follow(110, SILENT)
        await settled()
        await cluster.finish("good", GOOD)

    cluster = run(scenario)
    assert cluster.asked[-1] == "good"
    assert cluster.most[SILENT] == reading_places.AT_ONCE_OF_A_NODE


def test_a_node_that_is_known_to_be_silent_is_asked_by_one_at_a_time() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.silence(SILENT)
        cluster.most.clear()
        cluster.time += 2
        cluster.follow(110, SILENT)
        await settled()
        await cluster.finish("good", GOOD)

    assert run(scenario).most[SILENT] == 1


def test_however_many_nodes_are_silent_the_others_are_read() -> None:
    async def scenario(cluster: Cluster) -> None:
        nodes = [f"node-{number}" for number in range(reading_places.AT_ONCE + 4)]
        for node in nodes:
            await cluster.silence(node)
        cluster.time += reading_places.MAX_BACKOFF_SECONDS
        for node in nodes:
            cluster.follow(5, node)
        await settled()
        assert cluster.reading.total() == reading_places.PROBES
        await cluster.finish("good", GOOD)

    assert run(scenario).asked[-1] == "good"


def test_a_silent_node_is_asked_ever_more_rarely() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.silence(SILENT)
        for pause in (2, 4, 8, 16, 30, 30):
            with pytest.raises(NodeSilent) as refused:
                await cluster.finish("pod", SILENT)
            assert refused.value.seconds == pause
            cluster.time += pause
            await cluster.silence(SILENT)

    run(scenario)


def test_a_last_read_does_not_wait_for_a_node_that_is_known_to_be_silent() -> None:
    async def scenario(cluster: Cluster) -> None:
        waiting = [asyncio.ensure_future(cluster.finish(f"pod-{number}", SILENT)) for number in range(128)]
        await settled()
        await cluster.pass_by(30)
        told = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(error, KubeUnreachable) for error in told)

    assert len(run(scenario).asked) == reading_places.AT_ONCE_OF_A_NODE, "the others were told without asking again"


def test_what_a_silent_node_keeps_for_too_long_is_marked() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.silence(SILENT)
        with pytest.raises(NodeSilent):
            await cluster.finish("pod", SILENT)
        cluster.time += PATIENCE.total_seconds() + 1
        await cluster.silence(SILENT)
        await cluster.finish("pod", SILENT)
        with pytest.raises(NodeSilent):
            await cluster.finish("another, which ended just now", SILENT)

    assert run(scenario).abandoned == [
        f"pod: the log could not be read for 0:10:00: node {SILENT} does not answer: the logs of its Pods wait"
    ]


def test_a_node_that_answers_again_is_read_as_before() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.silence(SILENT)
        cluster.silent.clear()
        cluster.time += 2
        await cluster.finish("the one that asks", SILENT)
        await asyncio.gather(*(cluster.finish(f"pod-{number}", SILENT) for number in range(20)))

    assert len(run(scenario).asked) == 1 + 1 + 20


def test_what_fails_at_once_is_not_the_nodes_silence() -> None:
    """A Secret that cannot be read, a kubelet that restarts."""

    async def scenario(cluster: Cluster) -> None:
        asking = asyncio.ensure_future(cluster.finish("pod", SILENT))
        await settled()
        await cluster.pass_by(reading_places.SILENCE_SECONDS / 2)
        with pytest.raises(KubeUnreachable):
            await asking
        cluster.silent.clear()
        await cluster.finish("another", SILENT)

    assert run(scenario).asked == ["pod", "another"]


def test_last_reads_come_before_those_of_pods_that_run() -> None:
    async def scenario(cluster: Cluster) -> None:
        others = [f"other-{number}" for number in range(reading_places.AT_ONCE)]
        cluster.silent |= set(others)
        for node in others:
            cluster.follow(1, node)
        await settled()
        cluster.follow(3, GOOD)
        await settled()
        last = asyncio.ensure_future(cluster.finish("last", GOOD))
        await settled()
        assert cluster.reading.total() == reading_places.AT_ONCE
        cluster.follower.forget("other-0/0")
        await settled()
        await last

    cluster = run(scenario)
    assert cluster.asked[reading_places.AT_ONCE :][0] == "last"
    assert cluster.most["all"] == reading_places.AT_ONCE


@pytest.mark.parametrize("when", ["while it waits", "when it has just got its place"])
def test_a_read_that_is_cancelled_leaves_its_place(when: str) -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.silent |= {f"other-{number}" for number in range(reading_places.AT_ONCE)}
        for node in cluster.silent - {SILENT}:
            cluster.follow(1, node)
        await settled()
        cluster.follow(1, GOOD)
        await settled()
        if when == "while it waits":
            cluster.follower.forget(f"{GOOD}/0")
            await settled()
        cluster.follower.forget("other-0/0")
        await asyncio.sleep(0)
        cluster.follower.forget(f"{GOOD}/0")
        await settled()
        assert f"{GOOD}/0" not in cluster.asked
        await cluster.finish("good", GOOD)

    run(scenario)
