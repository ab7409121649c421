"""Metrics of launching: how late, and what was skipped. What waits and runs is read from the gate's books (`state`)."""

from __future__ import annotations

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Histogram

from cronwright_core.metrics import Vocabulary

SKIP_REASONS = ("MissedSchedule", "StartingDeadlineExceeded", "AlreadyRunning", "QueueFull", "JobRefused")
"""The usual ones: shown as zero from the start, since Prometheus sees no growth of a series that was not there."""
_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)


class Stage(StrEnum):
    """How far a run has come; `label` values of the lateness."""

    JOB_CREATED = "job_created"
    ADMITTED = "admitted"
    POD_CREATED = "pod_created"
    POD_STARTED = "pod_started"
    RUNNING = "running"


class LaunchMetrics:
    """`kind` is the schedule's type (`Cron`, `Interval`, `Date`, `Once`) or `Manual`; `reason` one CamelCase word."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lateness = Histogram(
            "cronwright_launch_lateness_seconds",
            "From the time at which a run is due (for a manual run: requested) until its Job is created, admitted, its"
            " first Pod created and taken by a node, and its program running; whoever made the Job.",
            ("kind", "stage"),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._skipped = Counter(
            "cronwright_ticks_skipped_total",
            "Ticks that were due and did not run, by the reason that stands in the history.",
            ("reason",),
            registry=registry,
        )
        self._reasons = Vocabulary()
        self._kinds = Vocabulary(10)
        for reason in SKIP_REASONS:
            self.tick_skipped(reason, 0)

    def reached(self, stage: Stage, lateness_seconds: float, kind: str) -> None:
        """A run has come to this stage, so long after it was due."""
        self._lateness.labels(self._kinds(kind), stage.value).observe(max(0.0, lateness_seconds))

    def tick_skipped(self, reason: str, count: int = 1) -> None:
        """`count` ticks will never run."""
        self._skipped.labels(self._reasons(reason)).inc(count)
