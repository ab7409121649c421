"""What an execution used, from its attempts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cronwright_core.domain.execution import Attempt, ExecutionStatus
from cronwright_core.domain.usage import Usage, usage_of

START = datetime(2026, 11, 2, 3, 0, tzinfo=UTC)


def attempt(number: int, memory: float | None, cpu: float | None, seconds: float | None = 60) -> Attempt:
    return Attempt(
        number=number,
        pod_name=f"pod-{number}",
        pod_uid=f"uid-{number}",
        status=ExecutionStatus.RUNNING if seconds is None else ExecutionStatus.FAILED,
        created_time=START,
        start_time=START,
        end_time=None if seconds is None else START + timedelta(seconds=seconds),
        max_memory_mb=memory,
        avg_cpu_percent=cpu,
    )


@pytest.mark.parametrize(
    ("attempts", "expected"),
    [
        ([], Usage(None, None)),
        ([attempt(1, None, None)], Usage(None, None)),
        ([attempt(1, 64.0, 25.0)], Usage(64.0, 25.0)),
        ([attempt(1, 64.0, None)], Usage(64.0, None)),
        # The mean over time: 300 s at 100 % and 100 s at 20 %.
        ([attempt(1, 64.0, 100.0, 300), attempt(2, 32.0, 20.0, 100)], Usage(64.0, 80.0)),
        # One that was not measured neither counts nor thins out the others.
        ([attempt(1, None, None, 300), attempt(2, 32.0, 20.0, 100)], Usage(32.0, 20.0)),
        # The one that runs counts alone until one has ended.
        ([attempt(1, 10.0, 7.0, None)], Usage(10.0, 7.0)),
        ([attempt(1, 10.0, 40.0, 10), attempt(2, 90.0, 7.0, None)], Usage(90.0, 40.0)),
        # Whole seconds: it started and ended within one.
        ([attempt(1, 10.0, 40.0, 0), attempt(2, 10.0, 20.0, 1)], Usage(10.0, 30.0)),
    ],
)
def test_memory_is_the_peak_and_cpu_the_mean_over_time(attempts: list[Attempt], expected: Usage) -> None:
    assert usage_of(attempts) == expected
