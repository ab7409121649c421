"""From samples to figures: counters that begin anew, windows that overlap, nodes that were not read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest

from cronwright_core.domain.usage import Usage
from cronwright_operator.usage.figures import PodUsage, cluster_figures, seen
from cronwright_operator.usage.samples import NodeFacts, NodeSample, PodSample

START = datetime(2026, 11, 2, 3, 0, tzinfo=UTC)
MB = 1024 * 1024


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def counted(seconds: float, cpu: float | None, megabytes: float | None = 10, *, start: bool = True) -> PodSample:
    return PodSample(
        time=after(seconds),
        memory_bytes=None if megabytes is None else megabytes * MB,
        start=START if start else None,
        cpu_seconds=cpu,
    )


def rated(seconds: float, cpus: float, window: float) -> PodSample:
    return PodSample(time=after(seconds), memory_bytes=MB, cpus=cpus, window_seconds=window)


def usage(*samples: PodSample) -> Usage:
    total: PodUsage | None = reduce(seen, samples, None)
    assert total is not None
    return total.figures()


@pytest.mark.parametrize(
    ("samples", "cpu"),
    [
        # One look is too few, and so is the same look twice.
        ([counted(10, 5)], None),
        ([counted(10, 5), counted(10, 5)], None),
        # The mean over the whole run, not between the two looks.
        ([counted(10, 1), counted(20, 10)], 50.0),
        # Without the container's start, between the looks.
        ([counted(10, 1, start=False), counted(20, 10, start=False)], 90.0),
        # Two CPUs busy.
        ([counted(10, 20), counted(20, 40)], 200.0),
        ([counted(10, 0), counted(20, 0)], 0.0),
        # The counter began anew after 10 s: 5 s before it and 2 s after.
        ([counted(10, 5), counted(20, 2)], 35.0),
        # A look that came late is no news.
        ([counted(10, 5), counted(20, 10), counted(15, 7)], 50.0),
        # A look without a counter does not end the counting.
        ([counted(10, 5), counted(20, None), counted(30, 15)], 50.0),
        # Memory first, the counter later.
        ([counted(5, None), counted(10, 5), counted(20, 10)], 50.0),
        # metrics.k8s.io: means over windows.
        ([rated(15, 0.5, 15)], None),
        ([rated(15, 0.5, 15), rated(30, 1.0, 15)], 75.0),
        # Windows overlap: what is new of the second is 5 s.
        ([rated(15, 0.5, 15), rated(20, 1.0, 15)], 62.5),
    ],
)
def test_the_mean_use_of_the_cpu(samples: list[PodSample], cpu: float | None) -> None:
    assert usage(*samples).avg_cpu_percent == cpu


@pytest.mark.parametrize(
    ("megabytes", "peak"),
    [([], None), ([None], None), ([20], 20.0), ([20, 35.25, 10], 35.2), ([None, 7, None], 7.0)],
)
def test_the_memory_peak(megabytes: list[float | None], peak: float | None) -> None:
    samples = [counted(10 * (number + 1), 1, value) for number, value in enumerate(megabytes)]
    assert (usage(*samples).max_memory_mb if samples else None) == peak


NODES = {
    "small": NodeFacts("small", "10.0.0.1", 10250, cpus=2, memory_bytes=4e9),
    "large": NodeFacts("large", "10.0.0.2", 10250, cpus=6, memory_bytes=12e9),
}


def test_a_large_node_weighs_more() -> None:
    samples = {
        "small": NodeSample(after(0), cpus_used=2, memory_used=4e9, disk_used=50, disk_available=50),
        "large": NodeSample(after(5), cpus_used=0, memory_used=0, disk_used=100, disk_available=200),
    }
    found = cluster_figures(NODES, samples, source="kubelet")
    assert (found.cpu_percent, found.memory_percent, found.disk_usage) == (25.0, 25.0, 37.5)
    assert (found.nodes, found.nodes_measured, found.sampled_at) == (2, 2, after(5))


def test_a_node_that_was_not_read_does_not_count_as_idle() -> None:
    samples = {"small": NodeSample(after(0), cpus_used=1, memory_used=1e9)}
    found = cluster_figures(NODES, samples, source="kubelet")
    assert (found.cpu_percent, found.memory_percent, found.disk_usage) == (50.0, 25.0, None)
    assert (found.nodes, found.nodes_measured) == (2, 1)


def test_nothing_read_is_nothing_known() -> None:
    found = cluster_figures(NODES, {}, source="kubelet")
    assert (found.cpu_percent, found.memory_percent, found.disk_usage, found.source) == (None, None, None, None)


def test_never_above_all_there_is() -> None:
    samples = {"small": NodeSample(after(0), cpus_used=2.03, memory_used=None)}
    assert cluster_figures(NODES, samples, source="kubelet").cpu_percent == 100.0
