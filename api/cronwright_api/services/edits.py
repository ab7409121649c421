"""Changing and deleting one resource while others may do so too: what tasks and projects share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from cronwright_api import messages
from cronwright_core.domain.errors import Conflict
from cronwright_core.kube.errors import KubeConflict, KubeNotFound
from cronwright_core.kube.ports import ObjectClient
from cronwright_core.kube.resources import Resource

ATTEMPTS = 10
"""How often an edit is judged anew because somebody else was first; each round lets at least one of them through."""


def merge_difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON merge patch (RFC 7386) that makes `after` of `before`; None takes a key away."""
    patch: dict[str, Any] = {}
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        nested = isinstance(old, Mapping) and isinstance(new, Mapping)
        patch[key] = merge_difference(old, new) if nested else new  # type: ignore[arg-type]
    return patch


async def delete_resource(
    objects: ObjectClient,
    resource: Resource,
    namespace: str,
    name: str,
    uid: str,
    version: Callable[[], Awaitable[str]] | None,
) -> None:
    """Deletes the resource of that uid; one that is gone already is no error.

    `version` reads the resource, raises if it may not be deleted as it is, and returns its resourceVersion, on which
    the deletion then depends; None: whatever it is.

    Raises:
        Conflict: with `version` only, if the resource is being changed by others all the time.
    """
    # Not found: gone already. A conflict: the name is another resource's now, which is not ours to delete.
    if version is None:
        with suppress(KubeNotFound, KubeConflict):
            await objects.delete(resource, namespace, name, uid=uid)
        return
    for _ in range(ATTEMPTS):
        current = await version()
        try:
            await objects.delete(resource, namespace, name, uid=uid, resource_version=current)
        except KubeNotFound:
            return
        except KubeConflict:
            continue
        return
    raise Conflict(messages.CHANGED_MEANWHILE)
