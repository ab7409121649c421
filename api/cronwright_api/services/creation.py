"""Creating the resource that belongs to a reserved row: what each answer of the API server means for the row.

No database transaction is held across the call. The resource's name holds the row's id, so a second creation of the
same row meets `AlreadyExists` instead of making a twin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool

from cronwright_api.services.rejections import to_invalid_input
from cronwright_core.kube.errors import KubeAlreadyExists, KubeInvalid, KubeRejected
from cronwright_core.kube.ports import Json, ObjectClient
from cronwright_core.kube.resources import Resource


class NameOccupied(Exception):
    """Another object has the name that our id gives: the database is younger than the cluster (restored, made anew)."""


async def create_reserved(
    objects: ObjectClient,
    resource: Resource,
    namespace: str,
    manifest: Mapping[str, Any],
    *,
    is_ours: Callable[[Json], bool],
    discard: Callable[[], None],
) -> Json:
    """Creates `manifest` and returns the object as stored; `discard` gives the row back if the API server said no.

    Raises:
        InvalidInput: it was refused for its content; the row is discarded.
        NameOccupied: the name is another's; the row is discarded, a new id may have more luck.
        KubeRejected: it was refused otherwise; the row is discarded.
        KubeUnreachable: nobody knows. The row stays pending: the operator finishes it or drops it.
    """
    try:
        return await objects.create(resource, namespace, manifest)
    except KubeAlreadyExists:
        found = await objects.get(resource, namespace, manifest["metadata"]["name"])
        if is_ours(found):
            return found
        await run_in_threadpool(discard)
        raise NameOccupied from None
    except KubeInvalid as error:
        await run_in_threadpool(discard)
        raise to_invalid_input(error) from error
    except KubeRejected:
        await run_in_threadpool(discard)
        raise
