"""What the rest of Cronwright needs of an API server, as ports; `client.KubeClient` is the real one, tests bring
fakes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from cronwright_core.kube.resources import Resource

Json = dict[str, Any]
"""An object as the API server sends it: raw, so that fields unknown to us survive."""


class PatchKind(Enum):
    """How a patch's body is read (RFC 7386, RFC 6902)."""

    MERGE = "application/merge-patch+json"
    JSON = "application/json-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"


@dataclass(frozen=True, slots=True)
class Listing:
    """A complete list and the resourceVersion from which a watch goes on."""

    items: list[Json]
    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Json


class ObjectClient(Protocol):
    """Reads and writes single objects. All methods raise `kube.errors.KubeError`."""

    async def get(self, resource: Resource, namespace: str, name: str) -> Json:
        """Reads one object."""

    async def create(self, resource: Resource, namespace: str, body: Mapping[str, Any]) -> Json:
        """Creates an object and returns it as stored."""

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
        """Patches an object and returns it as stored. A `metadata.resourceVersion` in a merge patch makes it
        conditional."""

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
        """Deletes with propagationPolicy Background (the API's default for Jobs orphans their Pods); `uid` and
        `resource_version` are preconditions."""


class ListWatchClient(Protocol):
    """Lists and watches collections."""

    async def list(
        self, resource: Resource, namespace: str | None, *, label_selector: str = "", field_selector: str = ""
    ) -> Listing:
        """Lists in pages of 500 and returns all."""

    def watch(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[Sequence[WatchEvent]]:
        """Yields events, as many as have come since the last ones, until the server ends the watch. Raises KubeGone
        when the version is too old."""


class LogClient(Protocol):
    """Reads what containers wrote."""

    def read_log(
        self,
        namespace: str,
        pod: str,
        *,
        container: str,
        stream: str | None,
        since_time: str | None,
        limit_bytes: int | None,
    ) -> AsyncIterator[bytes]:
        """Yields raw bytes with RFC 3339 nano timestamps before each line; `stream` is Stdout, Stderr or None for
        both."""
