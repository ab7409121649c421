"""Writing the status of one certain object, not of another that got its name meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cronwright_core.kube.errors import KubeConflict, KubeInvalid, KubeNotFound
from cronwright_core.kube.ports import Json, ObjectClient, PatchKind
from cronwright_core.kube.resources import Resource


async def replace_status(
    client: ObjectClient,
    resource: Resource,
    namespace: str,
    name: str,
    uid: str,
    status: Mapping[str, Any],
    *,
    decided_on: Mapping[str, Any] | None = None,
) -> Json:
    """Writes the whole status of the object with this uid; None values are left out.

    A uid in a merge patch does not protect here: the status subresource ignores all metadata but managedFields (tried).
    A JSON patch tests it first. With `decided_on` it also tests that these fields of the status still are what they
    were, None standing for one that is not there. The resourceVersion would not do: what others write, on spec and
    annotations, would refuse a status as well, again and again where they write often.

    Raises:
        KubeNotFound: the object is gone, or another one has its name now.
        KubeConflict: somebody has written one of the fields of `decided_on` meanwhile.
    """
    fields = decided_on or {}
    # A test of a field below one that is not there fails, whatever its value (tried): of a status that was never
    # written it is tested that it is not there.
    never_written = bool(fields) and all(value is None for value in fields.values())
    tests = {"/status": None} if never_written else _paths(fields)
    where = (client, resource, namespace, name, uid)
    try:
        return await _write(*where, tests, status)
    except KubeInvalid as error:
        # A test that failed and a status that the schema refuses are both 422, and only the message differs.
        current = await client.get(resource, namespace, name)
        if current["metadata"]["uid"] != uid:
            raise KubeNotFound(404, "NotFound", f"{resource.kind} {namespace}/{name} is another object now") from error
        stands = current.get("status")
        if any((stands or {}).get(key) != value for key, value in fields.items()):
            raise KubeConflict(
                409, "Conflict", f"the status of {resource.kind} {namespace}/{name} was written by another"
            ) from error
        if stands is None or not never_written:
            raise
        return await _write(*where, _paths(fields), status)


def _paths(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    return {f"/status/{key}": value for key, value in fields.items()}


async def _write(
    client: ObjectClient,
    resource: Resource,
    namespace: str,
    name: str,
    uid: str,
    tests: Mapping[str, Any],
    status: Mapping[str, Any],
) -> Json:
    patch: list[Json] = [
        *({"op": "test", "path": path, "value": value} for path, value in {"/metadata/uid": uid, **tests}.items()),
        {"op": "add", "path": "/status", "value": {key: value for key, value in status.items() if value is not None}},
    ]
    return await client.patch(resource, namespace, name, patch, subresource="status", kind=PatchKind.JSON)
