"""Metrics of recording: how executions ended, how long until that was committed, how much output was stored."""

from __future__ import annotations

from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram

from cronwright_core.domain.execution import ExecutionState
from cronwright_core.metrics import Vocabulary

_USUAL_ENDS = (("SUCCESS", ""), ("FAILED", "Error"), ("TIMEOUT", "DeadlineExceeded"), ("CANCELLED", "Cancelled"))
"""Shown as zero from the start, since Prometheus sees no growth of a series that was not there."""
_LAG_BUCKETS = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
_DURATION_BUCKETS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0, 86400.0)


class RecordingMetrics:
    """Told by the recorder."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._ended = Counter(
            "cronwright_executions_total",
            "Executions that ended and are recorded, by status and reason (empty for a success).",
            ("status", "reason"),
            registry=registry,
        )
        self._duration = Histogram(
            "cronwright_execution_duration_seconds",
            "From the start of the program to the end of the execution, retries included, by status.",
            ("status",),
            buckets=_DURATION_BUCKETS,
            registry=registry,
        )
        self._lag = Histogram(
            "cronwright_recording_lag_seconds",
            "From the end of an execution until its record is committed, its whole output before it.",
            buckets=_LAG_BUCKETS,
            registry=registry,
        )
        self._log_bytes = Counter(
            "cronwright_log_stored_bytes_total", "Output of programs that was stored.", registry=registry
        )
        self._reasons = Vocabulary()
        for status, reason in _USUAL_ENDS:
            self._ended.labels(status, self._reasons(reason) if reason else "")

    def ended(self, state: ExecutionState, now: datetime) -> None:
        """The record of this end was committed just now."""
        self._ended.labels(state.status.value, self._reasons(state.reason)).inc()
        if state.end_time is None:
            return
        # Kubernetes gives whole seconds: an end in this very second may seem to lie ahead.
        self._lag.observe(max(0.0, (now - state.end_time).total_seconds()))
        if state.start_time is not None:
            duration = (state.end_time - state.start_time).total_seconds()
            self._duration.labels(state.status.value).observe(max(0.0, duration))

    def log_stored(self, size: int) -> None:
        """So many bytes of output were committed."""
        self._log_bytes.inc(size)
