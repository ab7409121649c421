"""metrics.k8s.io as samples (k8s.io/metrics/pkg/apis/metrics/v1beta1/types.go). Pure.

The second choice: it knows neither disks nor counters, and forgets a Pod at its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from cronwright_core.domain.times import from_rfc3339
from cronwright_core.kube.quantities import to_number
from cronwright_operator.usage.samples import NodeSample, PodRef, PodSample

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")


def node_samples(items: Iterable[Mapping[str, Any]]) -> dict[str, NodeSample]:
    """What the nodes used, by name."""
    samples = {}
    for item in items:
        try:
            samples[item["metadata"]["name"]] = NodeSample(
                time=from_rfc3339(item["timestamp"]),
                cpus_used=to_number(item["usage"]["cpu"]),
                memory_used=to_number(item["usage"]["memory"]),
            )
        except (KeyError, ValueError, TypeError, OverflowError):
            continue
    return samples


def pod_samples(items: Iterable[Mapping[str, Any]], pods: Iterable[PodRef]) -> dict[str, PodSample]:
    """What the programs of these Pods used, by uid."""
    by_name = {(pod.namespace, pod.name): pod for pod in pods}
    samples = {}
    for item in items:
        try:
            ref = by_name[item["metadata"]["namespace"], item["metadata"]["name"]]
            usage = next(entry["usage"] for entry in item["containers"] if entry["name"] == ref.container)
            samples[ref.uid] = PodSample(
                time=from_rfc3339(item["timestamp"]),
                memory_bytes=to_number(usage["memory"]),
                cpus=to_number(usage["cpu"]),
                window_seconds=seconds_of(item["window"]),
            )
        except (KeyError, ValueError, TypeError, OverflowError, StopIteration):
            continue
    return samples


def seconds_of(duration: str) -> float:
    """A metav1.Duration such as `20.074s` or `1m30s` in seconds. Raises ValueError."""
    match = _DURATION.fullmatch(duration)
    if match is None or not duration:
        raise ValueError(f"{duration[:40]!r} is no duration")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds
