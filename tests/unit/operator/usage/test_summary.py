"""A kubelet's own words (recorded from a 1.35 kubelet, a Pod held to 200m CPU with 64 MiB in use) as samples."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import support
from cronwright_operator.usage.figures import seen
from cronwright_operator.usage.samples import PodRef
from cronwright_operator.usage.summary import node_sample, pod_samples

RECORDED = Path(next(iter(support.__path__))) / "kubelet"


def recorded(seconds: int) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((RECORDED / f"summary_{seconds}s.json").read_text())
    return summary


def burning(summary: dict[str, Any]) -> dict[str, PodRef]:
    uid = next(p["podRef"]["uid"] for p in summary["pods"] if p["podRef"]["namespace"] == "nodes-fixture")
    return {uid: PodRef(uid, "nodes-fixture", "burn", "job-uid", "task")}


def at(second: int) -> datetime:
    return datetime(2026, 11, 24, 4, 39, second, tzinfo=UTC)


def test_what_the_node_used() -> None:
    summary = recorded(18)
    sample = node_sample(summary)
    node = summary["node"]
    assert sample is not None
    assert sample.cpus_used == pytest.approx(node["cpu"]["usageNanoCores"] / 1e9)
    assert sample.memory_used == node["memory"]["workingSetBytes"]
    assert (sample.disk_used, sample.disk_available) == (node["fs"]["usedBytes"], node["fs"]["availableBytes"])


def test_what_the_program_of_a_pod_used() -> None:
    first = recorded(7)
    samples = pod_samples(first, burning(first))
    (sample,) = samples.values()
    assert (sample.start, sample.time) == (at(19), at(26))
    assert (sample.cpu_seconds, sample.memory_bytes) == (pytest.approx(1.480538630), 70569984)


def test_figures_of_the_whole_run() -> None:
    first, last = recorded(7), recorded(18)
    pods = burning(first)
    (before,), (after,) = (pod_samples(summary, pods).values() for summary in (first, last))
    usage = seen(seen(None, before), after).figures()
    # 3.679 CPU seconds within 18 s; the peak is the first reading's.
    assert (usage.max_memory_mb, usage.avg_cpu_percent) == (67.3, 20.4)


def test_other_pods_and_other_containers_are_left_out() -> None:
    summary = recorded(7)
    uid = next(iter(burning(summary)))
    assert pod_samples(summary, {}) == {}
    assert pod_samples(summary, {uid: PodRef(uid, "nodes-fixture", "burn", "job-uid", "sidecar")}) == {}


@pytest.mark.parametrize(
    "summary",
    [
        {},
        {"node": None, "pods": None},
        {"node": {"cpu": {}, "memory": {}}, "pods": [{}]},
        {"node": {"cpu": {"time": "yesterday", "usageNanoCores": 5}}},
        {"node": {}, "pods": [{"podRef": {"uid": "u"}, "containers": [{"name": "task"}]}]},
        {"pods": [{"podRef": {"uid": "u"}, "containers": [{"name": "task", "cpu": {"time": "2026-11-24T04:39:26Z"}}]}]},
    ],
)
def test_a_summary_that_says_nothing_gives_nothing(summary: dict[str, Any]) -> None:
    assert node_sample(summary) is None
    assert pod_samples(summary, {"u": PodRef("u", "n", "p", "j", "task")}) == {}


def test_each_figure_may_be_missing() -> None:
    sample = node_sample({"node": {"memory": {"time": "2026-11-24T04:39:26Z", "workingSetBytes": 7}}})
    assert sample is not None
    assert (sample.cpus_used, sample.memory_used, sample.disk_used) == (None, 7, None)
