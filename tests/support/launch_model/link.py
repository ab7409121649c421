"""What lies between the operator and the API server: time that requests take, watches that lag, requests that fail
before or after they took effect or take effect long after, and the operator's death at a certain write."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from cronwright_core.domain import naming
from cronwright_core.domain.times import from_rfc3339
from cronwright_core.kube.errors import KubeDenied, KubeGone, KubeNoRoom, KubeRejected, KubeUnreachable
from cronwright_core.kube.ports import Json, Listing, PatchKind, WatchEvent
from cronwright_core.kube.resources import CRON_JOBS, JOBS, PODS, SCHEDULED_TASKS, Resource
from support.launch_model.api_server import ApiServer

Result = TypeVar("Result")

UNSEEN_SECONDS = 4.0
"""A write whose connection broke arrives so much later at most, while its operator goes on (`kube.sockets`)."""
LATE: ContextVar[bool] = ContextVar("LATE", default=False)
"""Whether what happens now was asked for long ago, by an operator that has gone on or ended since."""

_OF_JOBS = {
    naming.STOP_ANNOTATION: "stop intent",
    "/spec/suspend": "admission",
    naming.RECORDED_ANNOTATION.replace("/", "~1"): "finalizer's removal",
    naming.FINALIZER: "acceptance",
}
"""What a patch of a Job is, by what it holds."""


@dataclass
class Weather:
    """How the network is; outlives the operators. `faults` are taken by the next requests: `before` and `after` it took
    effect the connection is lost, `late` long before, `refuse` is a quota's no to a new Job. `late_seconds`: so much
    later arrives what was under way when its operator ended, as it was frozen between its check of the lease and its
    write, or as the API server kept the request waiting; 0: never."""

    random: Random
    lag_seconds: float = 0.02
    slow_seconds: float = 0.02
    faults: list[str] = field(default_factory=list)
    late_seconds: float = 0.0
    refuses_jobs: bool = False
    """Whether a quota is used up, for as long as it is."""
    refuses_cronjobs: bool = False
    """Whether an admission policy refuses each new or changed CronJob."""
    outage_until: float = 0.0
    expiries: int = 0
    """How often all watches were too old to go on: each is answered by 410, and lists anew."""


@dataclass
class Death:
    """Ends the operator at its write number `at` (from 1), which still arrives or does not, or does `late_seconds`
    later. `writes` tells what each one was."""

    at: int | None = None
    arrives: bool = False
    late_seconds: float | None = None
    writes: list[str] = field(default_factory=list)
    happened: bool = False


class Link:
    """An `ObjectClient` and `ListWatchClient` for one operator."""

    def __init__(self, server: ApiServer, weather: Weather, death: Death, disturbed: Callable[[], None]) -> None:
        self._server = server
        self._weather = weather
        self._death = death
        self._disturbed = disturbed

    async def get(self, resource: Resource, namespace: str, name: str) -> Json:
        return await self._request(lambda: self._server.get(resource, namespace, name))

    async def create(self, resource: Resource, namespace: str, body: Mapping[str, Any]) -> Json:
        def act() -> Json:
            return self._server.create(resource, namespace, body, by="operator")

        return await self._request(act, f"{resource.kind}'s creation", resource=resource, create=True)

    async def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        subresource: str | None = None,
        kind: PatchKind = PatchKind.MERGE,
    ) -> Json:
        def act() -> Json:
            return self._server.patch(
                resource, namespace, name, patch, by="operator", subresource=subresource, kind=kind
            )

        named = self._named(resource, namespace, name, subresource, patch)
        return await self._request(act, named, resource=resource if subresource is None else None)

    async def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        grace_seconds: int | None = None,
    ) -> None:
        def act() -> None:
            self._server.delete(resource, namespace, name, by="operator", uid=uid)

        await self._request(act, f"{resource.kind}'s deletion")

    async def list(
        self, resource: Resource, namespace: str | None, *, label_selector: str = "", field_selector: str = ""
    ) -> Listing:
        def act() -> Listing:
            items = [body for body in self._server.all(resource) if _selected(body, label_selector)]
            return Listing(items, self._server.version)

        return await self._request(act)

    async def watch(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[Sequence[WatchEvent]]:
        loop = asyncio.get_running_loop()
        events = self._server.events.setdefault(resource.plural, [])
        place = len(events)
        while place > 0 and int(events[place - 1][1].object["metadata"]["resourceVersion"]) > int(resource_version):
            place -= 1
        expiries = self._weather.expiries
        await asyncio.sleep(self._weather.slow_seconds)  # until the first event, as with any request
        while True:
            if self._weather.expiries > expiries:
                raise KubeGone(410, "Expired", "too old resource version")
            if place == len(events):
                await self._server.changed.wait()
                continue
            come: list[WatchEvent] = []
            while place < len(events) and (wait := self._due(events[place][0]) - loop.time()) <= 0:
                come.append(events[place][1])
                place += 1
            if not come:
                await asyncio.sleep(wait)
            elif selected := [event for event in come if _selected(event.object, label_selector)]:
                yield selected

    def _due(self, time: float) -> float:
        """When a watch tells of what happened at a time."""
        return max(time + self._weather.lag_seconds, self._weather.outage_until)

    async def commit(self, act: Callable[[], Result], what: str) -> Result:
        """A transaction of PostgreSQL, which is a write as well; the network's weather is not its own."""
        number = await self._begun(what, None)
        await asyncio.sleep(self._weather.slow_seconds)
        result = act()
        await self._die(number, arrives=True)
        return result

    async def _request(
        self,
        act: Callable[[], Result],
        write: str | None = None,
        *,
        resource: Resource | None = None,
        create: bool = False,
    ) -> Result:
        loop, weather = asyncio.get_running_loop(), self._weather
        number = 0
        if write is not None:
            number = await self._begun(write, act)
        elif self._death.happened:
            await asyncio.Event().wait()
        fault = weather.faults.pop(0) if weather.faults else None
        if fault is not None:
            self._disturbed()
        try:
            await asyncio.sleep(weather.random.uniform(0.3, 1.0) * weather.slow_seconds)
        except asyncio.CancelledError:
            if write is not None and weather.late_seconds:
                self._arrive_late(weather.late_seconds, act)
            raise
        if fault == "late" and write is not None:
            self._arrive_late(weather.random.uniform(0.0, UNSEEN_SECONDS), act)
            fault = "before"
        if loop.time() < weather.outage_until or fault == "before":
            raise KubeUnreachable("the request got lost")
        if resource == JOBS and create and (fault == "refuse" or weather.refuses_jobs):
            raise KubeNoRoom(403, "Forbidden", "exceeded quota: jobs")
        if resource == CRON_JOBS and weather.refuses_cronjobs:
            raise KubeDenied(403, "Forbidden", "a policy denied the request")
        result = act()
        if write is not None:
            await self._die(number, arrives=True)
        await asyncio.sleep(weather.random.uniform(0.0, 0.5) * weather.slow_seconds)
        if loop.time() < weather.outage_until or fault == "after":
            raise KubeUnreachable("the answer got lost")
        return result

    def _named(self, resource: Resource, namespace: str, name: str, subresource: str | None, patch: Any) -> str:
        """What a patch is, in the words of docs/crash-points.md."""
        text = str(patch)
        if resource == JOBS:
            return next((what for key, what in _OF_JOBS.items() if key in text), "patch of a Job")
        if resource == PODS:
            return "Pod's deadline"
        if resource == SCHEDULED_TASKS and subresource == "status":
            before = (self._server.get(resource, namespace, name).get("status") or {}).get("claimedTime")
            value = patch[-1].get("value")
            noted = value.get("claimedTime") if value is not None else before
            return "claim's note" if noted != before else "task's status"
        if resource == SCHEDULED_TASKS:
            return "request's removal"
        if subresource == "status" and "active" in patch["status"]:
            return (
                "claim"
                if from_rfc3339(patch["status"]["lastScheduleTime"]) > self._server.now()
                else "CronJob's status"
            )
        return "CronJob's watermark" if subresource == "status" else "CronJob's spec"

    def _arrive_late(self, seconds: float, act: Callable[[], Any]) -> None:
        def arrive() -> None:
            LATE.set(True)
            self._disturbed()
            with contextlib.suppress(KubeRejected):
                act()

        asyncio.get_running_loop().call_later(seconds, arrive)

    async def _begun(self, what: str, act: Callable[[], Any] | None) -> int:
        """Returns the write's number."""
        death = self._death
        if not death.happened:
            death.writes.append(what)
        number = len(death.writes)
        if number == death.at and death.late_seconds is not None and not death.happened and act is not None:
            self._arrive_late(death.late_seconds, act)
        await self._die(number, arrives=False)
        return number

    async def _die(self, number: int, *, arrives: bool) -> None:
        death = self._death
        if number == death.at and arrives is death.arrives:
            death.happened = True
            self._disturbed()
        if death.happened:
            await asyncio.Event().wait()


def _selected(body: Json, label_selector: str) -> bool:
    labels = body["metadata"].get("labels") or {}
    return all(
        labels.get(key) == value for key, value in (pair.split("=") for pair in label_selector.split(",") if pair)
    )
