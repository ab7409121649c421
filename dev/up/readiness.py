"""Waiting until the release answers; and when it does not, showing why."""

from __future__ import annotations

import time
from typing import Any

from cluster.console import Step
from cluster.errors import ClusterError
from up.commands import failure, last_of
from up.kubectl import SYSTEM, Kubectl
from up.release import RELEASE, WORKLOADS

DEADLINE_SECONDS = 300


def wait_ready(kubectl: Kubectl, current: Step, deadline_seconds: float = DEADLINE_SECONDS) -> None:
    """Wait until every workload of the release is ready and up to date.

    Raises ClusterError with the Pods' state, their events and the last lines of their logs.
    """
    waiting = list(WORKLOADS)
    while waiting:
        pods = (kubectl.get("-n", SYSTEM, "pods", "-l", f"app.kubernetes.io/instance={RELEASE}") or {"items": []})[
            "items"
        ]
        waiting = [
            name
            for name in WORKLOADS
            if not (_is_ready(workload := kubectl.get("-n", SYSTEM, name)) and _has_ready_pods(workload, pods))
        ]
        if waiting and current.elapsed_seconds > deadline_seconds:
            raise failure(
                f"not ready after {deadline_seconds:.0f} s: {', '.join(waiting)}",
                "Look at the lines above: an image that is not on the node, a database that refuses, no free volume "
                f"(python3 dev/cluster recycle-volumes). More: kubectl -n {SYSTEM} describe pods",
                diagnose(kubectl),
            )
        current.detail = f"waiting for {', '.join(name.split('/')[1] for name in waiting)}" if waiting else ""
        if waiting:
            time.sleep(1)


def _is_ready(workload: dict[str, Any] | None) -> bool:
    if workload is None:
        return False
    wanted = workload["spec"].get("replicas", 1)
    status = workload.get("status", {})
    updated = status.get("updatedReplicas", 0)
    # Older Pods may still be there during a rollout, and they are ready too: `replicas` counts them.
    return bool(
        status.get("observedGeneration", 0) >= workload["metadata"]["generation"]
        and updated >= wanted
        and status.get("readyReplicas", 0) >= wanted
        and status.get("replicas", 0) == wanted
    )


def _has_ready_pods(workload: dict[str, Any] | None, pods: list[dict[str, Any]]) -> bool:
    """Whether the Pods say so too: a workload's own status follows them, and is late when a cluster just restarted."""
    if workload is None:
        return False
    selector = workload["spec"]["selector"]["matchLabels"].items()
    own = [
        pod
        for pod in pods
        if selector <= pod["metadata"]["labels"].items() and "deletionTimestamp" not in pod["metadata"]
    ]
    ready = [
        pod
        for pod in own
        if any(item["type"] == "Ready" and item["status"] == "True" for item in pod["status"].get("conditions", []))
    ]
    return len(ready) == len(own) >= int(workload["spec"].get("replicas", 1))


def diagnose(kubectl: Kubectl) -> str:
    """The Pods of the release, the newest events, and the last log lines of what is not ready."""
    parts = []
    try:
        parts.append(kubectl("-n", SYSTEM, "get", "pods", "-o", "wide"))
        events = kubectl("-n", SYSTEM, "get", "events", "--sort-by=.lastTimestamp", "--field-selector=type=Warning")
        parts.append(last_of(events, 8))
        for pod in (kubectl.get("-n", SYSTEM, "pods") or {"items": []})["items"]:
            statuses = pod.get("status", {})
            for status in [*statuses.get("initContainerStatuses", []), *statuses.get("containerStatuses", [])]:
                if status.get("ready") or "terminated" in status.get("state", {}):
                    continue
                parts.append(f"log of {pod['metadata']['name']}/{status['name']}:")
                parts.append(_last_log(kubectl, pod["metadata"]["name"], status["name"]))
    except ClusterError as error:
        parts.append(error.message)
    return "\n".join(part.rstrip() for part in parts if part.strip())


def _last_log(kubectl: Kubectl, pod: str, container: str) -> str:
    """The container's last lines, of the run before if this one has said nothing yet."""
    for options in ((), ("--previous",)):
        try:
            text = kubectl("-n", SYSTEM, "logs", pod, "-c", container, "--tail=10", *options)
        except ClusterError:
            continue
        if text.strip():
            return text
    return "  (it said nothing)"
