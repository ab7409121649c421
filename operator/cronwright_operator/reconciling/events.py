"""Kubernetes events on ScheduledTasks: what `kubectl describe` shows. Best effort; the condition says the same.

The same thing again within ten minutes is not a second event: the first one's `count` grows, as with client-go's
correlator. One task may have a burst of different ones, then one a minute. Posting waits for nobody: events are written
from a task of their own, so a burst of them does not slow down what they tell of.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cronwright_core.domain import naming
from cronwright_core.domain.task import ScheduledTask
from cronwright_core.domain.times import to_rfc3339
from cronwright_core.kube.errors import KubeError, KubeNotFound
from cronwright_core.kube.ports import Json, ObjectClient
from cronwright_core.kube.resources import EVENTS
from cronwright_operator.leadership import LeadershipLost
from cronwright_operator.reconciling.actions import Event

logger = logging.getLogger(__name__)

_MESSAGE_LENGTH = 1024
"""The API server refuses longer notes (events.k8s.io/v1)."""
WINDOW = timedelta(minutes=10)
"""The same event again within this is counted, not made anew."""
BURST = 25
"""So many different events one task may cause at once..."""
REFILL = timedelta(seconds=60)
"""...and one more for each of these."""
COUNT_SECONDS = 10.0
"""A growing count is written at most so often."""
_PACE_SECONDS = 0.02
"""Fifty writes a second at most: what launches comes first."""
_MAX_SERIES = 4096

Key = tuple[str, str, str, str]


@dataclass(slots=True)
class _Series:
    """One event of the API server, and how often it happened; `written` is the count that stands there."""

    name: str
    task: ScheduledTask
    event: Event
    first: datetime
    last: datetime
    count: int = 1
    written: int = 0
    write_at: float = 0.0


class _Budget:
    """A token bucket for each task."""

    def __init__(self) -> None:
        self._left: OrderedDict[str, tuple[float, datetime]] = OrderedDict()

    def take(self, task_uid: str, now: datetime) -> bool:
        left, since = self._left.pop(task_uid, (float(BURST), now))
        left = min(float(BURST), left + max(0.0, (now - since) / REFILL))
        allowed = left >= 1
        self._left[task_uid] = (left - 1 if allowed else left, now)
        if len(self._left) > _MAX_SERIES:
            self._left.popitem(last=False)
        return allowed


class EventPoster:
    """`add` or `post` an event; `run` writes them. A failure is logged and forgotten. Belongs to one event loop.

    `counted` hears what became of each: created, counted, dropped, failed.
    """

    def __init__(self, client: ObjectClient, reporter: str, counted: Callable[[str], None] = lambda _: None) -> None:
        self._client = client
        self._reporter = reporter
        self._counted = counted
        self._series: OrderedDict[Key, _Series] = OrderedDict()
        self._due: dict[Key, None] = {}
        self._budget = _Budget()
        self._wake = asyncio.Event()

    async def post(self, task: ScheduledTask, event: Event, now: datetime) -> None:
        """As `add`."""
        self.add(task, event, now)

    def add(self, task: ScheduledTask, event: Event, now: datetime) -> None:
        """Takes an event on the task; returns at once."""
        key = (task.uid, event.type, event.reason, event.message)
        series = self._series.get(key)
        if series is not None and now - series.last <= WINDOW:
            series.count += 1
            series.last = max(series.last, now)
            self._series.move_to_end(key)
        elif not self._budget.take(task.uid, now):
            self._counted("dropped")
            return
        else:
            stamp = to_rfc3339(now)
            suffix = naming.short_hash(task.uid, event.reason, event.message, stamp, length=16)
            self._series[key] = _Series(f"{task.name[:200]}.{suffix}", task, event, now, now)
            self._series.move_to_end(key)
            if len(self._series) > _MAX_SERIES:
                oldest, lost = self._series.popitem(last=False)
                self._due.pop(oldest, None)
                if not lost.written:
                    self._counted("dropped")
        self._due[key] = None
        self._wake.set()

    async def run(self) -> None:
        """Writes until cancelled."""
        while True:
            pause = await self.write_due()
            self._wake.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def write_due(self) -> float | None:
        """Writes what is new or has waited long enough; returns the seconds until more is due, None if nothing is."""
        now = asyncio.get_running_loop().time
        for key in list(self._due):
            series = self._series.get(key)
            if series is None or series.write_at > now():
                continue
            del self._due[key]
            await self._write(key, series)
            series.write_at = now() + COUNT_SECONDS
            await asyncio.sleep(_PACE_SECONDS)
        waits = [series.write_at - now() for key in self._due if (series := self._series.get(key)) is not None]
        return max(0.0, min(waits)) if waits else None

    async def _write(self, key: Key, series: _Series) -> None:
        count, again = series.count, series.written > 0
        try:
            if again:
                await self._count(series)
            else:
                await self._client.create(EVENTS, series.task.namespace, self._body(series))
        except KubeError as error:
            # The next of its kind begins anew.
            logger.info("an event could not be posted: %s", error)
            self._series.pop(key, None)
            self._counted("failed")
            return
        except LeadershipLost:
            raise
        except Exception:  # a bug in one event must not end the operator
            logger.exception("an event could not be posted")
            self._series.pop(key, None)
            self._counted("failed")
            return
        series.written = count
        self._counted("counted" if again else "created")

    async def _count(self, series: _Series) -> None:
        patch = {"count": series.count, "lastTimestamp": to_rfc3339(series.last)}
        try:
            await self._client.patch(EVENTS, series.task.namespace, series.name, patch)
        except KubeNotFound:
            # The API server forgets events after an hour.
            await self._client.create(EVENTS, series.task.namespace, self._body(series))

    def _body(self, series: _Series) -> Json:
        task = series.task
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": series.name, "namespace": task.namespace},
            "involvedObject": {
                "apiVersion": naming.API_VERSION,
                "kind": "ScheduledTask",
                "namespace": task.namespace,
                "name": task.name,
                "uid": task.uid,
                "resourceVersion": task.resource_version,
            },
            "type": series.event.type,
            "reason": series.event.reason,
            "message": series.event.message[:_MESSAGE_LENGTH],
            "firstTimestamp": to_rfc3339(series.first),
            "lastTimestamp": to_rfc3339(series.last),
            "count": series.count,
            "source": {"component": "cronwright-operator"},
            "reportingComponent": "cronwright-operator",
            "reportingInstance": self._reporter,
        }
