"""What an execution used, from what its attempts used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cronwright_core.domain.execution import Attempt

BYTES_PER_MB = 1024 * 1024
"""A megabyte in every figure of the product is 2^20 bytes, as in `kubectl top` and in limits such as `256Mi`."""
_SHORTEST_SECONDS = 1.0
"""The cluster's times are whole seconds, so a measured attempt may seem to have taken none."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The most memory seen, in MB, and the mean use of the CPU, in percent of one CPU; None where nothing was seen."""

    max_memory_mb: float | None = None
    avg_cpu_percent: float | None = None


def usage_of(attempts: Sequence[Attempt]) -> Usage:
    """The use of an execution with these attempts.

    The CPU figure is the mean over the time of the attempts that have ended and were measured, so that a short retry
    does not weigh as much as an hour before it; before any has ended, it is that of the attempt that runs.
    """
    peaks = [attempt.max_memory_mb for attempt in attempts if attempt.max_memory_mb is not None]
    total = weighted = 0.0
    running: float | None = None
    for attempt in attempts:
        if attempt.avg_cpu_percent is None:
            continue
        if attempt.start_time is None or attempt.end_time is None:
            running = attempt.avg_cpu_percent
            continue
        seconds = max((attempt.end_time - attempt.start_time).total_seconds(), _SHORTEST_SECONDS)
        total += seconds
        weighted += attempt.avg_cpu_percent * seconds
    return Usage(max(peaks, default=None), round(weighted / total, 2) if total else running)
