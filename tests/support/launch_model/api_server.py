"""An API server in memory, as far as launching meets one: resourceVersions and conflicts, status subresources,
finalizers, garbage collection of what is owned, watches. Bodies that are stored are never changed, only replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from cronwright_core.domain.times import to_rfc3339
from cronwright_core.kube.errors import KubeAlreadyExists, KubeConflict, KubeInvalid, KubeNotFound
from cronwright_core.kube.ports import Json, PatchKind, WatchEvent
from cronwright_core.kube.resources import Resource

Key = tuple[str, str, str]
"""Plural, namespace, name."""
Hook = Callable[[str, str, "Json | None", "Json | None"], None]
"""Called after each change with the plural, who made it, and the body before and after."""
_WITH_STATUS = frozenset({"scheduledtasks", "projects", "cronjobs", "jobs"})


class ApiServer:
    """All methods act at once; who wants a network puts one in front."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self._version = 100
        self._made = 0
        self.objects: dict[Key, Json] = {}
        self.events: dict[str, list[tuple[float, WatchEvent]]] = {}
        self.hooks: list[Hook] = []
        self.changed = asyncio.Event()

    @property
    def version(self) -> str:
        return str(self._version)

    def all(self, resource: Resource) -> Iterator[Json]:
        return iter([body for (plural, _, _), body in self.objects.items() if plural == resource.plural])

    def find(self, resource: Resource, namespace: str, name: str) -> Json | None:
        return self.objects.get((resource.plural, namespace, name))

    def get(self, resource: Resource, namespace: str, name: str) -> Json:
        found = self.find(resource, namespace, name)
        if found is None:
            raise KubeNotFound(404, "NotFound", f"{resource.plural} {name} not found")
        return found

    def create(self, resource: Resource, namespace: str, body: Mapping[str, Any], *, by: str) -> Json:
        name = body["metadata"]["name"]
        key = (resource.plural, namespace, name)
        if key in self.objects:
            raise KubeAlreadyExists(409, "AlreadyExists", f"{resource.plural} {name} already exists")
        self._made += 1
        metadata = {
            **body["metadata"],
            "namespace": namespace,
            "uid": f"{resource.kind.lower()}-{self._made}",
            "generation": 1,
            "creationTimestamp": to_rfc3339(self.now()),
        }
        made = self._put(key, by, None, {"kind": resource.kind, **body, "metadata": metadata})
        owners = {owner["uid"] for owner in metadata.get("ownerReferences") or ()}
        if owners and not owners & {stored["metadata"]["uid"] for stored in self.objects.values()}:
            # Asked for before its owner was deleted, and made after: the garbage collector looks for the owner and
            # finds none (garbagecollector.go, attemptToDeleteItem).
            self.delete(resource, namespace, name, by="garbage collector")
        return made

    def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Any,
        *,
        by: str,
        subresource: str | None = None,
        kind: PatchKind = PatchKind.MERGE,
    ) -> Json:
        old = self.get(resource, namespace, name)
        if kind is PatchKind.JSON:
            new = _json_patch(old, patch)
        else:
            _check_preconditions(old, patch.get("metadata") or {}, subresource)
            if kind is PatchKind.STRATEGIC:
                patch = _with_finalizers(old, patch)
            new = _merge(old, patch)
        if resource.plural in _WITH_STATUS:
            own = ("status",) if subresource == "status" else tuple(key for key in new if key != "status")
            new = {**old, **{key: new[key] for key in own if key in new}}
            if subresource == "status" and "status" not in new:
                new.pop("status", None)
        metadata = {**new["metadata"], "uid": old["metadata"]["uid"]}
        metadata["resourceVersion"] = old["metadata"]["resourceVersion"]
        new = {**new, "metadata": metadata}
        if new == old:
            return old
        if new.get("spec") != old.get("spec"):
            new["metadata"]["generation"] = old["metadata"]["generation"] + 1
        return self._put((resource.plural, namespace, name), by, old, new)

    def delete(self, resource: Resource, namespace: str, name: str, *, by: str, uid: str | None = None) -> None:
        """In the background: what the object owns follows when it is gone."""
        old = self.get(resource, namespace, name)
        if uid is not None and uid != old["metadata"]["uid"]:
            raise KubeConflict(409, "Conflict", "Precondition failed: UID in precondition")
        if "deletionTimestamp" in old["metadata"]:
            return
        metadata = {**old["metadata"], "deletionTimestamp": to_rfc3339(self.now())}
        self._put((resource.plural, namespace, name), by, old, {**old, "metadata": metadata})

    def _put(self, key: Key, by: str, old: Json | None, new: Json) -> Json:
        self._version += 1
        metadata = {**new["metadata"], "resourceVersion": self.version}
        new = {**new, "metadata": metadata}
        gone = "deletionTimestamp" in metadata and not metadata.get("finalizers")
        if gone:
            self.objects.pop(key, None)
        else:
            self.objects[key] = new
        type_ = "DELETED" if gone else "ADDED" if old is None else "MODIFIED"
        time = asyncio.get_running_loop().time()
        self.events.setdefault(key[0], []).append((time, WatchEvent(type_, new)))
        for hook in self.hooks:
            hook(key[0], by, old, None if gone else new)
        if gone:
            self._collect(metadata["uid"])
        self.wake_watches()
        return new

    def wake_watches(self) -> None:
        """Whoever watches looks."""
        waiting, self.changed = self.changed, asyncio.Event()
        waiting.set()

    def _collect(self, owner_uid: str) -> None:
        for (plural, namespace, name), body in list(self.objects.items()):
            owners = body["metadata"].get("ownerReferences") or ()
            if any(owner["uid"] == owner_uid for owner in owners):
                self.delete(Resource("", "", plural, ""), namespace, name, by="garbage collector")


def _check_preconditions(old: Json, metadata: Mapping[str, Any], subresource: str | None) -> None:
    wanted = metadata.get("uid")
    if wanted is not None and wanted != old["metadata"]["uid"] and subresource is None:
        raise KubeConflict(409, "Conflict", "Precondition failed: UID in precondition")
    version = metadata.get("resourceVersion")
    if version is not None and version != old["metadata"]["resourceVersion"]:
        raise KubeConflict(409, "Conflict", "the object has been modified")


def _with_finalizers(old: Json, patch: Json) -> Json:
    """A strategic merge patch adds to the list of finalizers."""
    metadata = patch["metadata"]
    if "finalizers" not in metadata:
        return patch
    if "deletionTimestamp" in old["metadata"]:
        raise KubeInvalid(422, "Invalid", "no new finalizers can be added if the object is being deleted")
    have = list(old["metadata"].get("finalizers") or ())
    have += [name for name in metadata["finalizers"] if name not in have]
    return {**patch, "metadata": {**metadata, "finalizers": have}}


def _merge(target: Any, patch: Mapping[str, Any]) -> Json:
    result = dict(target) if isinstance(target, Mapping) and patch.get("$patch") != "replace" else {}
    for key, value in patch.items():
        if key == "$patch":
            continue
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            result[key] = _merge(result.get(key), value)
        else:
            result[key] = value
    return result


def _json_patch(body: Json, operations: Sequence[Mapping[str, Any]]) -> Json:
    for operation in operations:
        path = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        body = _at(body, path, operation)
    return body


def _at(node: Any, path: list[str], operation: Mapping[str, Any]) -> Any:
    head, rest = path[0], path[1:]
    if isinstance(node, list):
        index = int(head)
        if index >= len(node):
            raise KubeInvalid(422, "Invalid", f"no such element: {operation['path']}")
        if rest:
            return [*node[:index], _at(node[index], rest, operation), *node[index + 1 :]]
        if operation["op"] == "test":
            _test(node[index], operation)
            return node
        return [*node[:index], *node[index + 1 :]]
    if rest:
        if head not in node:
            raise KubeInvalid(422, "Invalid", f"no such member: {operation['path']}")
        return {**node, head: _at(node[head], rest, operation)}
    if operation["op"] == "test":
        _test(node.get(head), operation)
        return node
    if operation["op"] == "remove":
        if head not in node:
            raise KubeInvalid(422, "Invalid", f"no such member: {operation['path']}")
        return {key: value for key, value in node.items() if key != head}
    return {**node, head: operation["value"]}


def _test(found: Any, operation: Mapping[str, Any]) -> None:
    if found != operation["value"]:
        raise KubeInvalid(422, "Invalid", f"the test of {operation['path']} failed")
