"""A tick that did not run is told, besides in the history, by a Kubernetes event and a metric."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from cronwright_core.domain.task import ScheduledTask
from cronwright_operator.reconciling.actions import Event, RecordSkipped

_REMEMBERED = 20_000
_USUAL = frozenset({"AlreadyRunning", "QueueFull"})
"""Reasons that the task's own policy asks for; all others are warnings."""


class Events(Protocol):
    """What posts events."""

    def add(self, task: ScheduledTask, event: Event, now: datetime) -> None:
        """Takes an event; returns at once."""


class SkipReport:
    """`add` is called for each skipped tick, maybe again when the rest of a decision has failed and is repeated: then
    it is known from what is remembered here."""

    def __init__(
        self,
        events: Events,
        count: Callable[[str, int], None],
        now: Callable[[], datetime],
    ) -> None:
        self._events = events
        self._count = count
        self._now = now
        self._told: OrderedDict[tuple[str, datetime], None] = OrderedDict()

    def add(self, task: ScheduledTask, skipped: RecordSkipped) -> None:
        """Tells of a skipped tick; returns at once."""
        key = (task.uid, skipped.tick)
        if key in self._told:
            return
        self._told[key] = None
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        self._count(skipped.reason, skipped.count)
        # Without the tick in the text: the next one skipped for the same reason counts up the same event.
        type_ = "Normal" if skipped.reason in _USUAL else "Warning"
        self._events.add(task, Event(type_, skipped.reason, f"a run was skipped: {skipped.message}"), self._now())
