"""Requests to clean a Project's workspace: `cleanup.cronwright.dev/<any name>` on the Project. Pure.

The value is JSON - {"max_age_hours": 48, "by": "root", "at": "2026-11-02T03:00:00Z"} - or just the hours; who asks by
kubectl writes `cleanup.cronwright.dev/$(date +%s)=48`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from cronwright_core.domain.times import from_rfc3339, to_rfc3339

MAX_AGE_HOURS = 8760
"""A year: the most that may be asked for."""


class BadRequest(ValueError):
    """An annotation that cannot be understood."""


@dataclass(frozen=True, slots=True)
class CleanupRequest:
    """Directories of executions that ended before `cutoff` shall go."""

    id: str
    requested_by: str | None
    requested_at: datetime
    cutoff: datetime


def parse_request(id_: str, value: str, now: datetime) -> CleanupRequest:
    """Reads an annotation; one without a time counts from now. Raises BadRequest."""
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        raise BadRequest(f"{value[:80]!r} is neither a number of hours nor JSON") from None
    fields = found if isinstance(found, dict) else {"max_age_hours": found}
    hours = fields.get("max_age_hours")
    if isinstance(hours, bool) or not isinstance(hours, int) or not 0 <= hours <= MAX_AGE_HOURS:
        raise BadRequest(f"max_age_hours must be a whole number from 0 to {MAX_AGE_HOURS}")
    try:
        at = from_rfc3339(fields["at"]) if "at" in fields else now
    except (ValueError, TypeError, OverflowError):
        raise BadRequest("at must be a time such as 2026-11-02T03:00:00Z") from None
    # Never a time ahead: nothing that ends later may count as old.
    at = min(at, now)
    by = fields.get("by")
    return CleanupRequest(id_, by if isinstance(by, str) else None, at, at - timedelta(hours=hours))


def request_value(*, max_age_hours: int, by: str, at: datetime) -> str:
    """The annotation's text."""
    return json.dumps({"max_age_hours": max_age_hours, "by": by, "at": to_rfc3339(at)}, separators=(",", ":"))
