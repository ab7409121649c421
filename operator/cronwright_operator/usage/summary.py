"""A kubelet's Summary as samples (k8s.io/kubelet/pkg/apis/stats/v1alpha1/types.go). Pure.

Every field of a Summary may be missing, and each figure carries the time at which it was taken, not at which it is
read.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cronwright_core.domain.times import from_rfc3339
from cronwright_operator.usage.samples import NodeSample, PodRef, PodSample

_NANO = 1e-9


def node_sample(summary: Mapping[str, Any]) -> NodeSample | None:
    """What the node used, or None if the Summary does not say."""
    node = summary.get("node") or {}
    cpu, memory, disk = (node.get(key) or {} for key in ("cpu", "memory", "fs"))
    time = _time(cpu.get("time")) or _time(memory.get("time"))
    if time is None:
        return None
    cores = _number(cpu.get("usageNanoCores"))
    return NodeSample(
        time=time,
        cpus_used=None if cores is None else cores * _NANO,
        memory_used=_number(memory.get("workingSetBytes")),
        disk_used=_number(disk.get("usedBytes")),
        disk_available=_number(disk.get("availableBytes")),
    )


def pod_samples(summary: Mapping[str, Any], pods: Mapping[str, PodRef]) -> dict[str, PodSample]:
    """What the programs of these Pods (by uid) used; Pods that the kubelet has not measured yet are left out."""
    samples = {}
    for entry in summary.get("pods") or ():
        ref = pods.get((entry.get("podRef") or {}).get("uid") or "")
        if ref is None:
            continue
        for container in entry.get("containers") or ():
            sample = _container(container) if container.get("name") == ref.container else None
            if sample is not None:
                samples[ref.uid] = sample
    return samples


def _container(container: Mapping[str, Any]) -> PodSample | None:
    cpu, memory = container.get("cpu") or {}, container.get("memory") or {}
    counter = _number(cpu.get("usageCoreNanoSeconds"))
    memory_bytes = _number(memory.get("workingSetBytes"))
    time = _time(cpu.get("time")) or _time(memory.get("time"))
    if time is None or (counter is None and memory_bytes is None):
        return None
    return PodSample(
        time=time,
        memory_bytes=memory_bytes,
        start=_time(container.get("startTime")),
        cpu_seconds=None if counter is None else counter * _NANO,
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _time(value: Any) -> datetime | None:
    try:
        return from_rfc3339(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None
