"""An API server in memory, as far as `ObjectClient` needs one: names, uids, merge patches, failures on demand."""

from __future__ import annotations

import copy
import itertools
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cronwright_core.domain.times import to_rfc3339
from cronwright_core.kube.errors import KubeAlreadyExists, KubeConflict, KubeError, KubeNotFound
from cronwright_core.kube.ports import Json, PatchKind
from cronwright_core.kube.resources import Resource


class FakeObjects:
    """The recording twin of `KubeClient`. `fail_next` is raised by the next call, `lose_next` after it was done."""

    def __init__(self, now: datetime, *, namespaces: Sequence[str] = ("default",)) -> None:
        self.now = now
        self.namespaces = set(namespaces)
        self.objects: dict[tuple[str, str, str], Json] = {}
        self.calls: list[str] = []
        self.fail_next: KubeError | None = None
        self.lose_next: KubeError | None = None
        self._numbers = itertools.count()

    async def get(self, resource: Resource, namespace: str, name: str) -> Json:
        self._called("get", resource, name)
        return copy.deepcopy(self._find(resource, namespace, name))

    async def create(self, resource: Resource, namespace: str, body: Mapping[str, Any]) -> Json:
        name = body["metadata"]["name"]
        self._called("create", resource, name)
        if namespace not in self.namespaces:
            raise KubeNotFound(404, "NotFound", f'namespaces "{namespace}" not found')
        key = (resource.plural, namespace, name)
        if key in self.objects:
            raise KubeAlreadyExists(409, "AlreadyExists", f"{name} already exists")
        stored = copy.deepcopy(dict(body))
        stored["metadata"] |= {
            "namespace": namespace,
            "uid": self._new_uid(key),
            "generation": 1,
            "resourceVersion": "1",
            "creationTimestamp": to_rfc3339(self.now),
        }
        self.objects[key] = stored
        self._lose()
        return copy.deepcopy(stored)

    def _new_uid(self, key: tuple[str, str, str]) -> str:
        """Another one for each object, and the same ones in each run: what follows from a uid is no matter of luck."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{key} {next(self._numbers)}"))

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
        self._called("patch", resource, name)
        assert kind is PatchKind.MERGE
        assert isinstance(patch, Mapping)
        stored = self._find(resource, namespace, name)
        wanted = (patch.get("metadata") or {}).get("uid")
        if wanted is not None and wanted != stored["metadata"]["uid"]:
            raise KubeConflict(409, "Conflict", "Precondition failed: UID in precondition")
        version = (patch.get("metadata") or {}).get("resourceVersion")
        if version is not None and version != stored["metadata"]["resourceVersion"]:
            raise KubeConflict(409, "Conflict", "the object has been modified")
        spec = copy.deepcopy(stored.get("spec"))
        _merge(stored, patch)
        stored["metadata"]["resourceVersion"] = str(int(stored["metadata"]["resourceVersion"]) + 1)
        if stored.get("spec") != spec:
            stored["metadata"]["generation"] += 1
        self._lose()
        return copy.deepcopy(stored)

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
        self._called("delete", resource, name)
        stored = self._find(resource, namespace, name)
        if uid is not None and uid != stored["metadata"]["uid"]:
            raise KubeConflict(409, "Conflict", "Precondition failed: UID in precondition")
        if resource_version is not None and resource_version != stored["metadata"]["resourceVersion"]:
            raise KubeConflict(409, "Conflict", "Precondition failed: ResourceVersion in precondition")
        del self.objects[(resource.plural, namespace, name)]
        self._lose()

    def only(self, resource: Resource) -> Json:
        """The one object of a kind."""
        found = [item for (plural, _, _), item in self.objects.items() if plural == resource.plural]
        assert len(found) == 1, found
        return found[0]

    def _find(self, resource: Resource, namespace: str, name: str) -> Json:
        try:
            return self.objects[(resource.plural, namespace, name)]
        except KeyError:
            raise KubeNotFound(404, "NotFound", f"{name} not found") from None

    def _called(self, verb: str, resource: Resource, name: str) -> None:
        self.calls.append(f"{verb} {resource.plural}/{name}")
        error, self.fail_next = self.fail_next, None
        if error is not None:
            raise error

    def _lose(self) -> None:
        error, self.lose_next = self.lose_next, None
        if error is not None:
            raise error


def _merge(target: Json, patch: Mapping[str, Any]) -> None:
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, Mapping):
            if not isinstance(target.get(key), dict):
                target[key] = {}
            _merge(target[key], value)
        else:
            target[key] = copy.deepcopy(value)
