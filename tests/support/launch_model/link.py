"""What lies between the operator and the API server: time that requests take, watches that lag, requests that fail
before or after they took effect, and the operator's death at a certain write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from cronwright_core.domain import naming
from cronwright_core.domain.times import from_rfc3339
from cronwright_core.kube.errors import KubeForbidden, KubeGone, KubeUnreachable
from cronwright_core.kube.ports import Json, Listing, PatchKind, WatchEvent
from cronwright_core.kube.resources import JOBS, PODS, SCHEDULED_TASKS, Resource
from support.launch_model.api_server import ApiServer

Result = TypeVar("Result")

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
    effect the connection is lost, `refuse` is a quota's no to a new Job."""

    random: Random
    lag_seconds: float = 0.02
    slow_seconds: float = 0.02
    faults: list[str] = field(default_factory=list)
    outage_until: float = 0.0
    expiries: int = 0
    """How often all watches were too old to go on: each is answered by 410, and lists anew."""


@dataclass
class Death:
    """Ends the operator at its write number `at` (from 1), which still arrives or does not. `writes` tells what each
    one was."""

    at: int | None = None
    arrives: bool = False
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

        return await self._request(act, f"{resource.kind}'s creation", refusable=resource == JOBS)

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

        return await self._request(act, self._named(resource, namespace, name, subresource, patch))

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
    ) -> AsyncIterator[WatchEvent]:
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
            while place < len(events):
                time, event = events[place]
                place += 1
                due = max(time + self._weather.lag_seconds, self._weather.outage_until)
                while due > loop.time():
                    await asyncio.sleep(due - loop.time())
                    due = max(due, self._weather.outage_until)
                if _selected(event.object, label_selector):
                    yield event
            await self._server.changed.wait()

    async def commit(self, act: Callable[[], Result], what: str) -> Result:
        """A transaction of PostgreSQL, which is a write as well; the network's weather is not its own."""
        number = await self._begun(what)
        await asyncio.sleep(self._weather.slow_seconds)
        result = act()
        await self._die(number, arrives=True)
        return result

    async def _request(self, act: Callable[[], Result], write: str | None = None, *, refusable: bool = False) -> Result:
        loop, weather = asyncio.get_running_loop(), self._weather
        number = 0
        if write is not None:
            number = await self._begun(write)
        elif self._death.happened:
            await asyncio.Event().wait()
        fault = weather.faults.pop(0) if weather.faults else None
        if fault is not None:
            self._disturbed()
        await asyncio.sleep(weather.random.uniform(0.3, 1.0) * weather.slow_seconds)
        if loop.time() < weather.outage_until or fault == "before":
            raise KubeUnreachable("the request got lost")
        if fault == "refuse" and refusable:
            raise KubeForbidden(403, "Forbidden", "exceeded quota: jobs")
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

    async def _begun(self, what: str) -> int:
        """Returns the write's number."""
        if not self._death.happened:
            self._death.writes.append(what)
        number = len(self._death.writes)
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
