"""metrics.k8s.io's objects as samples."""

from __future__ import annotations

import pytest

from cronwright_operator.usage.metrics_api import node_samples, pod_samples, seconds_of
from cronwright_operator.usage.samples import PodRef

POD = PodRef("uid-1", "team", "job-1-abc", "job-uid", "task")


def test_nodes() -> None:
    items = [
        {
            "metadata": {"name": "n1"},
            "timestamp": "2026-11-24T04:39:26Z",
            "window": "20.074s",
            "usage": {"cpu": "151913742n", "memory": "1048576Ki"},
        },
        {"metadata": {"name": "broken"}},
    ]
    (sample,) = node_samples(items).values()
    assert (sample.cpus_used, sample.memory_used) == (pytest.approx(0.151913742), 2**30)
    assert sample.disk_used is None


def test_pods() -> None:
    item = {
        "metadata": {"name": "job-1-abc", "namespace": "team"},
        "timestamp": "2026-11-24T04:39:26Z",
        "window": "1m15.5s",
        "containers": [
            {"name": "proxy", "usage": {"cpu": "1", "memory": "1Gi"}},
            {"name": "task", "usage": {"cpu": "250m", "memory": "64Mi"}},
        ],
    }
    strange = {**item, "metadata": {"name": "job-1-abc", "namespace": "other"}}
    samples = pod_samples([item, strange, {}], [POD])
    assert list(samples) == ["uid-1"]
    sample = samples["uid-1"]
    assert (sample.cpus, sample.memory_bytes, sample.window_seconds) == (0.25, 64 * 2**20, 75.5)


@pytest.mark.parametrize(("text", "seconds"), [("20.074s", 20.074), ("1m0s", 60), ("1h2m3s", 3723), ("30s", 30)])
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "-5s", "5"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError):
        seconds_of(text)
