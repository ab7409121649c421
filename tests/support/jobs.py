"""What Jobs of the cluster really did, and when the runs in the record were due."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from cronwright_core.domain import naming

_OUTCOMES = {"Complete": "SUCCESS", "Failed": "FAILED"}


def outcome(job: dict[str, Any]) -> str | None:
    """The status that a Job's end stands for; None: it has not ended."""
    conditions = job.get("status", {}).get("conditions", [])
    ends = (c["type"] for c in conditions if c["type"] in _OUTCOMES and c["status"] == "True")
    return next((_OUTCOMES[end] for end in ends), None)


def tick_times(runs: Iterable[dict[str, Any]]) -> list[datetime]:
    """When executions were due, earliest first; their ids say it."""
    times = [naming.execution_time(run["execution_id"]) for run in runs]
    return sorted(time for time in times if time is not None)


def seconds_between(times: Iterable[datetime]) -> set[int]:
    """How far successive ones lie apart."""
    return {int((later - earlier).total_seconds()) for earlier, later in itertools.pairwise(times)}
