"""Metrics of the work queues; `worked` is a `workqueue.Observer`."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class QueueMetrics:
    """How long the work on one key takes, and how often it fails."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._duration = Histogram(
            "cronwright_workqueue_work_duration_seconds",
            "Work on one key, by queue.",
            ("queue",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._retries = Counter(
            "cronwright_workqueue_retries_total",
            "Work that failed and is tried again, by queue and cause: trouble (outside: API server, database) or bug.",
            ("queue", "cause"),
            registry=registry,
        )

    def known(self, queue: str) -> None:
        """Shows the failures of a queue as zero from the start, since Prometheus sees no growth of a new series."""
        for cause in ("trouble", "bug"):
            self._retries.labels(queue, cause)

    def worked(self, queue: str, seconds: float, failure: str | None) -> None:
        """One key was worked on; `failure` is None, `trouble` or `bug`."""
        self._duration.labels(queue).observe(seconds)
        if failure is not None:
            self._retries.labels(queue, failure).inc()
