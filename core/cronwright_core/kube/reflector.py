"""A live copy of one kind of object: list, then watch, and after every gap list again and compare.

The comparison is the point: a watch that broke may have missed deletions, and these must be seen.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from time import monotonic

from cronwright_core.kube.deletions import Deletions
from cronwright_core.kube.errors import KubeError, KubeGone
from cronwright_core.kube.ports import Json, ListWatchClient, WatchEvent
from cronwright_core.kube.resources import Resource

logger = logging.getLogger(__name__)

_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)

Listener = Callable[[Json | None, Json | None], None]
"""Called with (old, new); new is None for a deletion."""

_STATES = frozenset(("ADDED", "MODIFIED"))


def newest(events: Sequence[WatchEvent]) -> Sequence[WatchEvent]:
    """The events without those that a later one of the same object makes old; a deletion does not: what it ends was to
    be seen before. Pure."""
    kept: list[WatchEvent] = []
    told: set[str] = set()
    for event in reversed(events):
        uid = event.object["metadata"].get("uid")  # a bookmark has none
        if event.type == "DELETED":
            told.discard(uid)
        elif event.type in _STATES:
            if uid in told:
                continue
            told.add(uid)
        kept.append(event)
    kept.reverse()
    return kept


async def at_once() -> None:
    """No pause."""


class Reflector:
    """Keeps the objects of a resource, by uid; `listener` hears each change once, in the event loop's thread.

    `pause` is awaited before events are read again. Of those that come meanwhile only the newest of an object counts.
    """

    def __init__(
        self,
        client: ListWatchClient,
        resource: Resource,
        *,
        namespaces: tuple[str | None, ...],
        label_selector: str,
        listener: Listener,
        pause: Callable[[], Awaitable[None]] = at_once,
    ) -> None:
        self._client = client
        self._resource = resource
        self._namespaces = namespaces
        self._selector = label_selector
        self._listener = listener
        self._pause = pause
        self._objects: dict[str, Json] = {}
        self._removed = Deletions()
        self._last_contact = dict.fromkeys(namespaces, 0.0)
        self._synced = {namespace: asyncio.Event() for namespace in namespaces}

    async def run(self) -> None:
        """Lists and watches until cancelled; trouble is logged and tried again."""
        async with asyncio.TaskGroup() as group:
            for namespace in self._namespaces:
                group.create_task(self._follow(namespace))

    async def wait_synced(self) -> None:
        """Returns once every namespace has been listed completely."""
        for event in self._synced.values():
            await event.wait()

    @property
    def synced(self) -> bool:
        """Whether the copy has been complete at least once."""
        return all(event.is_set() for event in self._synced.values())

    def age_seconds(self) -> float:
        """Seconds since the API server was last heard of, for the slowest namespace."""
        return monotonic() - min(self._last_contact.values())

    def get(self, uid: str) -> Json | None:
        """The object as last seen."""
        return self._objects.get(uid)

    def remember(self, body: Json) -> None:
        """Takes what a write of ours returned, so that the next decision sees it before the watch brings it."""
        uid = body["metadata"]["uid"]
        old = self._objects.get(uid)
        # A write's answer may arrive after the watch has told of the deletion; it must not bring a ghost back.
        if uid not in self._removed and (old is None or _version(body) > _version(old)):
            self._store(uid, body)

    def __iter__(self) -> Iterator[Json]:
        return iter(self._objects.values())

    async def _follow(self, namespace: str | None) -> None:
        failures = 0
        version: str | None = None
        while True:
            try:
                if version is None:
                    version = await self._list(namespace)
                async for events in self._client.watch(
                    self._resource, namespace, resource_version=version, label_selector=self._selector
                ):
                    # Not before: a watch that is refused at once, again and again, is not asked for ever faster.
                    failures = 0
                    self._last_contact[namespace] = monotonic()
                    for event in newest(events):
                        if event.type == "DELETED":
                            self._remove(event.object["metadata"]["uid"])
                        elif event.type in _STATES:
                            self._store(event.object["metadata"]["uid"], event.object)
                    version = events[-1].object["metadata"]["resourceVersion"]
                    await self._pause()
                failures = 0
                self._last_contact[namespace] = monotonic()
            except KubeGone:
                version = None
            except KubeError as error:
                # After any trouble the version may still be good; if not, the server says Gone and we list again.
                delay = _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)]
                failures += 1
                logger.warning("watch of %s: %s; again in %.1f s", self._resource.plural, error, delay)
                await asyncio.sleep(delay)

    async def _list(self, namespace: str | None) -> str:
        listing = await self._client.list(self._resource, namespace, label_selector=self._selector)
        self._last_contact[namespace] = monotonic()
        seen = set()
        for body in listing.items:
            body.setdefault("kind", self._resource.kind)
            seen.add(body["metadata"]["uid"])
            self._store(body["metadata"]["uid"], body)
        # The answer to a write of ours may have come while the list was under way, and be newer than its snapshot. That
        # the list lacks it says nothing: the watch, which goes on from the snapshot, brings it, and its end. Forgotten
        # here, a run would give its slot to another.
        snapshot = int(listing.resource_version)
        for uid, body in list(self._objects.items()):
            if uid not in seen and self._within(body, namespace) and _version(body) <= snapshot:
                self._remove(uid)
        self._synced[namespace].set()
        return listing.resource_version

    @staticmethod
    def _within(body: Json, namespace: str | None) -> bool:
        return namespace is None or body["metadata"]["namespace"] == namespace

    def _store(self, uid: str, body: Json) -> None:
        old = self._objects.get(uid)
        if old is not None and _version(body) < _version(old):
            return
        # Nobody reads managedFields, and they are half of a small object's memory.
        body["metadata"].pop("managedFields", None)
        self._objects[uid] = body
        # A label that was taken off and put back makes a deletion and an addition of the same object.
        self._removed.discard(uid)
        if old is None or _version(old) != _version(body):
            self._tell(old, body)

    def _remove(self, uid: str) -> None:
        old = self._objects.pop(uid, None)
        self._removed.add(uid)
        if old is not None:
            self._tell(old, None)

    def _tell(self, old: Json | None, new: Json | None) -> None:
        try:
            self._listener(old, new)
        except Exception:
            # One odd object, which anybody with rights in one namespace can make, must not stop the watch for all.
            metadata = (new or old or {}).get("metadata") or {}
            where = f"{metadata.get('namespace')}/{metadata.get('name')}"
            logger.exception("%s %s cannot be understood and is left alone", self._resource.kind, where)


def _version(body: Json) -> int:
    # Comparable as numbers within one kind since Kubernetes 1.35 (KEP-5504), and in fact ever since etcd3.
    return int(body["metadata"]["resourceVersion"])
