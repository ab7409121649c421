"""Metrics of the Kubernetes events that the operator posts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter


class EventMetrics:
    """Told by the poster."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = Counter(
            "cronwright_kubernetes_events_total",
            "Events on ScheduledTasks by what became of them: created, counted (the same one again), dropped (too many"
            " of one task), failed.",
            ("outcome",),
            registry=registry,
        )

    def count(self, outcome: str) -> None:
        """One event more."""
        self._events.labels(outcome).inc()
