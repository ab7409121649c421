"""Nodes, Pods and what was measured of them, free of the form it came in; Nodes and Pods from their JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cronwright_core.kube.containers import task_container
from cronwright_core.kube.quantities import to_number

KUBELET_PORT = 10250


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A node: where its kubelet listens, and what it has - `cpus`, `memory_bytes`."""

    name: str
    host: str | None
    port: int
    cpus: float
    memory_bytes: float


@dataclass(frozen=True, slots=True)
class PodRef:
    """A Pod of ours that runs; `container` is the one of the task's program."""

    uid: str
    namespace: str
    name: str
    job_uid: str
    container: str


@dataclass(frozen=True, slots=True)
class NodeSample:
    """What a node used at `time`: CPUs, bytes of memory that cannot be given up, bytes of its file system.

    None where it was not said.
    """

    time: datetime
    cpus_used: float | None
    memory_used: float | None
    disk_used: float | None = None
    disk_available: float | None = None


@dataclass(frozen=True, slots=True)
class PodSample:
    """What the program of a Pod used at `time`.

    Of the CPU either `cpu_seconds`, a counter that began with 0 at `start` and is exact however rarely it is read, or
    `cpus`, the mean over the last `window_seconds`.
    """

    time: datetime
    memory_bytes: float | None = None
    start: datetime | None = None
    cpu_seconds: float | None = None
    cpus: float | None = None
    window_seconds: float | None = None


def to_node(body: Mapping[str, Any]) -> NodeFacts:
    """Reads a Node. Raises KeyError or ValueError for one that does not say what it has."""
    status = body["status"]
    addresses = {item["type"]: item["address"] for item in status.get("addresses") or ()}
    host = next((addresses[kind] for kind in ("InternalIP", "ExternalIP", "Hostname") if kind in addresses), None)
    endpoint = (status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}
    return NodeFacts(
        name=body["metadata"]["name"],
        host=host,
        port=int(endpoint.get("Port") or KUBELET_PORT),
        cpus=to_number(str(status["capacity"]["cpu"])),
        memory_bytes=to_number(str(status["capacity"]["memory"])),
    )


def to_running_pod(body: Mapping[str, Any]) -> PodRef | None:
    """A Pod of a Job while it runs; None for any other."""
    metadata = body["metadata"]
    if (body.get("status") or {}).get("phase") != "Running":
        return None
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller") and owner.get("kind") == "Job":
            container = task_container(body["spec"])["name"]
            return PodRef(metadata["uid"], metadata["namespace"], metadata["name"], owner["uid"], container)
    return None
