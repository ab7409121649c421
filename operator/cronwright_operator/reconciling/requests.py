"""Trigger annotations of a task: what they say. Pure."""

from __future__ import annotations

import json
from datetime import datetime

from cronwright_core.domain import naming
from cronwright_core.domain.task import Request
from cronwright_core.domain.times import from_rfc3339, whole_seconds


def request_annotation(request: Request) -> str:
    """The annotation's full name."""
    return naming.TRIGGER_PREFIX + request.key


def parse_request(request: Request, now: datetime) -> tuple[datetime, str]:
    """The time and author of a trigger annotation: the API writes JSON, a person anything, which counts as "now"."""
    try:
        value = json.loads(request.value)
        return whole_seconds(from_rfc3339(value["time"])), str(value.get("by") or "kubectl")[:253]
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return whole_seconds(now), "kubectl"
