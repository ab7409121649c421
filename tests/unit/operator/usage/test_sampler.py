"""One round after the other, against nodes that answer, refuse, or are gone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cronwright_core.domain.times import to_rfc3339
from cronwright_core.domain.usage import Usage
from cronwright_core.kube.errors import (
    KubeCertificateError,
    KubeError,
    KubeForbidden,
    KubeNotFound,
    KubeUnreachable,
)
from cronwright_core.kube.ports import Json, Listing
from cronwright_core.kube.resources import Resource
from cronwright_operator.usage.sampler import Sampler

START = datetime(2026, 11, 2, 3, 0, tzinfo=UTC)
FORBIDDEN = KubeForbidden(403, "Kubelet", "Forbidden (user=u, verb=get, resource=nodes, subresource(s)=[stats])")


def node(name: str, **status: Any) -> Json:
    return {
        "metadata": {"name": name},
        "status": {
            "addresses": [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": f"ip-{name}"}],
            "capacity": {"cpu": "2", "memory": "1Gi"},
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10251}},
            **status,
        },
    }


def pod(uid: str, phase: str = "Running") -> Json:
    owner = {"controller": True, "kind": "Job", "uid": f"job-{uid}"}
    return {
        "metadata": {"uid": uid, "namespace": "team", "name": f"pod-{uid}", "ownerReferences": [owner]},
        "spec": {"containers": [{"name": "task"}, {"name": "injected"}]},
        "status": {"phase": phase},
    }


class World:
    """The cluster: both ports of the sampler, and the clock."""

    def __init__(self) -> None:
        self.now = START
        self.nodes = [node("a")]
        self.pods = [pod("1")]
        self.cpu_seconds = 0.0
        self.failures: dict[str, KubeError] = {}
        self.metrics: Json | None = None
        self.list_failure: KubeError | None = None
        self.asked: list[tuple[str, int, bool]] = []
        self.told: list[str] = []
        self.sampler = Sampler(self, self, lambda: self.pods, tell=self.told.append, now=lambda: self.now)  # type: ignore[arg-type]

    async def list(self, resource: Resource, namespace: str | None, **_: str) -> Listing:
        if resource.group == "metrics.k8s.io":
            if self.metrics is None:
                raise KubeNotFound(404, "NotFound", "no metrics.k8s.io")
            return Listing(self.metrics[resource.plural], "1")
        if self.list_failure is not None:
            raise self.list_failure
        return Listing(self.nodes, "1")

    async def summary(self, host: str, port: int, *, cpu_and_memory_only: bool) -> Json:
        self.asked.append((host, port, cpu_and_memory_only))
        if host in self.failures:
            raise self.failures[host]
        time = to_rfc3339(self.now)
        memory = {"time": time, "workingSetBytes": 2**28}
        containers = {
            "startTime": to_rfc3339(START),
            "name": "task",
            "cpu": {"time": time, "usageCoreNanoSeconds": self.cpu_seconds * 1e9},
            "memory": {"time": time, "workingSetBytes": 2**25},
        }
        disk = {} if cpu_and_memory_only else {"fs": {"usedBytes": 1, "availableBytes": 3}}
        return {
            "node": {"cpu": {"time": time, "usageNanoCores": 5e8}, "memory": memory, **disk},
            "pods": [{"podRef": {"uid": "1"}, "containers": [containers]}],
        }

    def round(self, seconds: float = 15, cpu_seconds: float = 0) -> Any:
        self.now += timedelta(seconds=seconds)
        self.cpu_seconds += cpu_seconds
        asyncio.run(self.sampler.sample())
        return self.sampler.figures()


@pytest.fixture
def world() -> World:
    return World()


def test_before_the_first_round_nothing_is_known(world) -> None:
    assert world.sampler.figures().reason == "NotMeasuredYet"
    assert world.sampler.usage("1") == Usage()


def test_figures_of_nodes_and_pods(world) -> None:
    world.round(15, 3)
    figures = world.round(15, 3)
    assert (figures.cpu_percent, figures.memory_percent, figures.disk_usage) == (25.0, 25.0, 25.0)
    assert (figures.reason, figures.source, figures.sampled_at) == (None, "kubelet", world.now)
    assert world.sampler.usage("1") == Usage(32.0, 20.0)


def test_asks_the_kubelet_at_its_own_address_and_rarely_for_the_disk(world) -> None:
    for _ in range(6):
        assert world.round().disk_usage == 25.0
    assert {asked[:2] for asked in world.asked} == {("ip-a", 10251)}
    assert [only for _, _, only in world.asked] == [False, True, True, True, False, True]


def test_tells_of_a_running_execution_now_and_then(world) -> None:
    for _ in range(6):
        world.round(5, 1)
    assert world.told == ["job-1"]
    for _ in range(6):
        world.round(5, 3)
    assert world.told == ["job-1", "job-1"]


def test_pods_that_are_over_keep_their_figures_for_a_while(world) -> None:
    world.round(15, 3)
    world.round(15, 3)
    world.pods = [pod("1", "Succeeded")]
    world.round()
    assert world.sampler.usage("1") == Usage(32.0, 20.0)
    world.round(601)
    assert world.sampler.usage("1") == Usage()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FORBIDDEN, "Forbidden"),
        (KubeCertificateError("not trusted"), "CertificateNotTrusted"),
        (KubeUnreachable("no answer"), "Unreachable"),
    ],
)
def test_a_kubelet_that_cannot_be_read_is_a_reason_and_no_figure(world, error, reason) -> None:
    world.failures["ip-a"] = error
    figures = world.round()
    assert (figures.cpu_percent, figures.memory_percent, figures.disk_usage) == (None, None, None)
    assert figures.reason == reason
    assert str(error) in figures.message


def test_the_others_are_read(world) -> None:
    world.nodes.append(node("b"))
    world.failures["ip-b"] = FORBIDDEN
    figures = world.round()
    assert (figures.cpu_percent, figures.nodes, figures.nodes_measured, figures.reason) == (25.0, 2, 1, "Partial")


def test_metrics_k8s_io_is_the_second_choice(world) -> None:
    world.failures["ip-a"] = FORBIDDEN
    entry = {"timestamp": to_rfc3339(START), "window": "15s"}
    usage = {"cpu": "500m", "memory": "512Mi"}
    world.metrics = {
        "nodes": [{**entry, "metadata": {"name": "a"}, "usage": usage}],
        "pods": [
            {
                **entry,
                "metadata": {"namespace": "team", "name": "pod-1"},
                "containers": [{"name": "task", "usage": usage}],
            }
        ],
    }
    figures = world.round()
    assert (figures.cpu_percent, figures.memory_percent, figures.disk_usage) == (25.0, 50.0, None)
    assert (figures.source, figures.reason) == ("metrics.k8s.io", "Partial")
    world.metrics["pods"][0]["timestamp"] = to_rfc3339(START + timedelta(seconds=15))
    world.round()
    assert world.sampler.usage("1") == Usage(512.0, 50.0)


def test_nodes_that_cannot_be_listed(world) -> None:
    world.list_failure = KubeForbidden(403, "Forbidden", 'nodes is forbidden: User "x" cannot list resource "nodes"')
    figures = world.round()
    assert (figures.reason, figures.cpu_percent) == ("Forbidden", None)


@pytest.mark.parametrize("nodes", [[], [{"metadata": {"name": "a"}, "status": {}}]])
def test_no_node_that_says_what_it_has(world, nodes) -> None:
    world.nodes = nodes
    assert world.round().reason == "NoNodes"


def test_a_node_without_an_address(world) -> None:
    world.nodes = [node("a", addresses=[])]
    assert world.round().reason == "Unreachable"


def test_comes_back_by_itself(world) -> None:
    world.failures["ip-a"] = FORBIDDEN
    assert world.round().reason == "Forbidden"
    world.failures.clear()
    assert world.round().reason is None
