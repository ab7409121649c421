"""Why a Pod does not start, or a Job has no Pod: what the cluster says of it in its events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cronwright_core.kube.errors import KubeError
from cronwright_core.kube.ports import ListWatchClient
from cronwright_core.kube.resources import EVENTS


async def read_explanation(lists: ListWatchClient, namespace: str, uid: str) -> str:
    """`Reason: message` of the newest warning about the object, or an empty text: events are best effort."""
    try:
        listing = await lists.list(EVENTS, namespace, field_selector=f"involvedObject.uid={uid}")
    except KubeError:
        return ""
    return newest_warning(listing.items)


def newest_warning(events: Iterable[Mapping[str, Any]]) -> str:
    """The newest warning in words. Pure."""
    warnings = [event for event in events if event.get("type") == "Warning"]
    newest = max(warnings, key=_time, default=None)
    if newest is None:
        return ""
    reason, message = newest.get("reason") or "Warning", (newest.get("message") or "").strip()
    return f"{reason}: {message}" if message else str(reason)


def _time(event: Mapping[str, Any]) -> str:
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return max((time for time in times if time), default="")
