"""Writing the status of one certain object, not of another that got its name meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cronwright_core.kube.errors import KubeInvalid, KubeNotFound
from cronwright_core.kube.ports import Json, ObjectClient, PatchKind
from cronwright_core.kube.resources import Resource


async def replace_status(
    client: ObjectClient, resource: Resource, namespace: str, name: str, uid: str, status: Mapping[str, Any]
) -> Json:
    """Writes the whole status of the object with this uid; None values are left out.

    A uid in a merge patch does not protect here: the status subresource ignores all metadata but managedFields (tried).
    A JSON patch tests it first.

    Raises:
        KubeNotFound: the object is gone, or another one has its name now.
    """
    patch: list[Json] = [
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "add", "path": "/status", "value": {key: value for key, value in status.items() if value is not None}},
    ]
    try:
        return await client.patch(resource, namespace, name, patch, subresource="status", kind=PatchKind.JSON)
    except KubeInvalid as error:
        # A test that failed and a status that the schema refuses are both 422, and only the message differs.
        current = await client.get(resource, namespace, name)
        if current["metadata"]["uid"] == uid:
            raise
        raise KubeNotFound(404, "NotFound", f"{resource.kind} {namespace}/{name} is another object now") from error
