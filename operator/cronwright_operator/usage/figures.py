"""Samples become figures: what a Pod used over its life, what the cluster uses now. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cronwright_core.domain.times import to_rfc3339
from cronwright_core.domain.usage import BYTES_PER_MB, Usage
from cronwright_operator.usage.samples import NodeFacts, NodeSample, PodSample

ENOUGH_SAMPLES = 2
"""One look at a Pod tells nothing of its mean use."""


@dataclass(frozen=True, slots=True)
class PodUsage:
    """What has been seen of a Pod so far. `cpu_seconds` were used within `measured_seconds`; `counter` is its last
    reading, at `counter_time`.
    """

    time: datetime
    samples: int
    max_memory_bytes: float | None
    counter: float | None
    counter_time: datetime
    cpu_seconds: float
    measured_seconds: float

    def figures(self) -> Usage:
        """The figures to be recorded."""
        memory = None if self.max_memory_bytes is None else round(self.max_memory_bytes / BYTES_PER_MB, 1)
        cpu = None
        if self.samples >= ENOUGH_SAMPLES and self.measured_seconds > 0:
            cpu = round(100 * self.cpu_seconds / self.measured_seconds, 1)
        return Usage(memory, cpu)


def seen(before: PodUsage | None, sample: PodSample) -> PodUsage:
    """Adds a sample. A sample that is not newer than the last - kubelets measure more rarely than they are asked -
    changes nothing.

    The first reading of a counter counts from the container's start, where it was 0; so an operator that starts in the
    middle of a run still gives the mean over the whole of it. A counter that has become less began anew.
    """
    if before is None:
        cpu, seconds = _first(sample)
        return PodUsage(sample.time, 1, sample.memory_bytes, sample.cpu_seconds, sample.time, cpu, seconds)
    if sample.time <= before.time:
        return before
    cpu, seconds = 0.0, 0.0
    if sample.cpu_seconds is not None:
        if before.counter is None:
            cpu, seconds = _first(sample)
        else:
            gained = sample.cpu_seconds - before.counter
            cpu = gained if gained >= 0 else sample.cpu_seconds
            seconds = (sample.time - before.counter_time).total_seconds()
    elif sample.cpus is not None and sample.window_seconds is not None:
        # Windows may overlap if it is asked often; time counts once.
        seconds = min(sample.window_seconds, (sample.time - before.time).total_seconds())
        cpu = sample.cpus * seconds
    peaks = [value for value in (before.max_memory_bytes, sample.memory_bytes) if value is not None]
    return replace(
        before,
        time=sample.time,
        samples=before.samples + 1,
        max_memory_bytes=max(peaks, default=None),
        counter=before.counter if sample.cpu_seconds is None else sample.cpu_seconds,
        counter_time=before.counter_time if sample.cpu_seconds is None else sample.time,
        cpu_seconds=before.cpu_seconds + cpu,
        measured_seconds=before.measured_seconds + seconds,
    )


def _first(sample: PodSample) -> tuple[float, float]:
    """(CPU seconds, seconds) that a first sample tells of."""
    if sample.cpu_seconds is not None and sample.start is not None and sample.start < sample.time:
        return sample.cpu_seconds, (sample.time - sample.start).total_seconds()
    if sample.cpus is not None and sample.window_seconds is not None:
        return sample.cpus * sample.window_seconds, sample.window_seconds
    return 0.0, 0.0


@dataclass(frozen=True, slots=True)
class ClusterFigures:
    """What all nodes together use, in percent of what they have; None where nothing is known, and then `reason` (one
    word) and `message` say why.

    With some nodes unread the figures are those of the others, and the reason says so too.
    """

    cpu_percent: float | None = None
    memory_percent: float | None = None
    disk_usage: float | None = None
    nodes: int = 0
    nodes_measured: int = 0
    sampled_at: datetime | None = None
    source: str | None = None
    reason: str | None = None
    message: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As it stands in the operator's heartbeat."""
        return {
            "cpu_percent": self.cpu_percent,
            "memory_percent": self.memory_percent,
            "disk_usage": self.disk_usage,
            "nodes": self.nodes,
            "nodes_measured": self.nodes_measured,
            "sampled_at": None if self.sampled_at is None else to_rfc3339(self.sampled_at),
            "source": self.source,
            "reason": self.reason,
            "message": self.message,
        }


SWITCHED_OFF = ClusterFigures(reason="Disabled", message="the chart's value nodeMetrics.enabled is false")
NOT_YET = ClusterFigures(reason="NotMeasuredYet", message="the operator has just started")


def cluster_figures(
    nodes: Mapping[str, NodeFacts], samples: Mapping[str, NodeSample], *, source: str | None
) -> ClusterFigures:
    """Sums over the nodes that were read: a large node weighs more than a small one.

    The disks are the nodes' root file systems, used against used and available, as `df` shows it.
    """
    read = [(nodes[name], sample) for name, sample in samples.items() if name in nodes]
    cpu = [(sample.cpus_used, node.cpus) for node, sample in read if sample.cpus_used is not None]
    memory = [(sample.memory_used, node.memory_bytes) for node, sample in read if sample.memory_used is not None]
    disk = [
        (sample.disk_used, sample.disk_used + sample.disk_available)
        for _, sample in read
        if sample.disk_used is not None and sample.disk_available is not None
    ]
    return ClusterFigures(
        cpu_percent=_percent(cpu),
        memory_percent=_percent(memory),
        disk_usage=_percent(disk),
        nodes=len(nodes),
        nodes_measured=len(read),
        sampled_at=max((sample.time for _, sample in read), default=None),
        source=source if read else None,
    )


def _percent(parts: Iterable[tuple[float, float]]) -> float | None:
    parts = list(parts)
    whole = sum(size for _, size in parts)
    if whole <= 0:
        return None
    # Used CPU time is a mean over some seconds and may come out a little above what there is.
    return round(min(100.0, 100 * sum(used for used, _ in parts) / whole), 1)
