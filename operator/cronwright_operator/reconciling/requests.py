"""Trigger annotations of a task: what they say, and which of them cannot be done. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import StopIntent, StopReason
from cronwright_core.domain.parameters import RunRequest, parse_run_request
from cronwright_core.domain.task import Request
from cronwright_operator.reconciling.actions import Event, RecordCancelled

MAX_CLAIMED_WAIT = timedelta(hours=1)
"""So much of its wait a request has for the asking; with more, anybody could write his way to the head of the queue."""


@dataclass(frozen=True, slots=True)
class Refusals:
    """Requests that cannot be done: recorded with the reason, and taken off. `triggers` are those that are left."""

    records: tuple[RecordCancelled, ...]
    events: tuple[Event, ...]
    triggers: tuple[Request, ...]


def request_annotation(request: Request) -> str:
    """The annotation's full name."""
    return naming.TRIGGER_PREFIX + request.key


def read_request(request: Request, now: datetime) -> RunRequest:
    """What a trigger annotation asks for: the API writes JSON, a person may write anything, which counts as "now"."""
    return parse_run_request(request.value, now)


def parse_request(request: Request, now: datetime) -> tuple[datetime, str]:
    """The time and author of a trigger annotation."""
    found = read_request(request, now)
    return found.time, found.by


def waits_since(asked: datetime, seen: datetime) -> datetime:
    """From when on the wait for its turn counts, of a run that was asked for at `asked`, and `seen` by us or made."""
    return min(max(asked, seen - MAX_CLAIMED_WAIT), seen)


def refuse_requests(triggers: tuple[Request, ...], now: datetime) -> Refusals:
    """Judges the parameters as the API does, since `kubectl annotate` does not pass by it.

    The record comes first, then the annotation goes: if we die in between, both are done once more and change nothing.
    """
    records: list[RecordCancelled] = []
    events: list[Event] = []
    left: list[Request] = []
    for request in triggers:
        found = read_request(request, now)
        if found.problem is None:
            left.append(request)
            continue
        message = f"{found.problem.field}: {found.problem.message.en}"
        stop = StopIntent(StopReason.INVALID_REQUEST, found.by, now, message)
        records.append(RecordCancelled(request, found.time, found.by, stop, (request_annotation(request),)))
        told = f"trigger {request.key} is refused: {message}"
        events.append(Event("Warning", StopReason.INVALID_REQUEST.value, told, of_record=True))
    return Refusals(tuple(records), tuple(events), tuple(left))
