"""Writes only while this operator is the active one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cronwright_core.kube.ports import Json, ObjectClient, PatchKind
from cronwright_core.kube.resources import Resource


class FencedClient:
    """An `ObjectClient` that calls `check` before each write; `check` raises when the lease may have run out."""

    def __init__(self, client: ObjectClient, check: Callable[[], None]) -> None:
        self._client = client
        self._check = check

    async def get(self, resource: Resource, namespace: str, name: str) -> Json:
        return await self._client.get(resource, namespace, name)

    async def create(self, resource: Resource, namespace: str, body: Mapping[str, Any]) -> Json:
        self._check()
        return await self._client.create(resource, namespace, body)

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
        self._check()
        return await self._client.patch(resource, namespace, name, patch, subresource=subresource, kind=kind)

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
        self._check()
        await self._client.delete(
            resource, namespace, name, uid=uid, resource_version=resource_version, grace_seconds=grace_seconds
        )
