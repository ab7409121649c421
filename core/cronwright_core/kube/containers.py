"""The containers of a task's Pod: which one runs the task's program, and what others, which a webhook may have added,
do to it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cronwright_core.domain import naming

Body = Mapping[str, Any]
_WAITING_IS_NORMAL = frozenset({"ContainerCreating", "PodInitializing"})


def task_container(pod_spec: Body) -> Body:
    """The container of the task's program as a Pod's spec has it: the one of our name, or else the first; {} if there
    is none."""
    containers: Sequence[Body] = pod_spec.get("containers") or ({},)
    return next((item for item in containers if item.get("name") == naming.CONTAINER), containers[0])


def task_state(pod_spec: Body, status: Body) -> Body:
    """The state of the task's container; {} while the kubelet has said nothing of it."""
    name = task_container(pod_spec).get("name", naming.CONTAINER)
    # By name: the kubelet sorts the statuses by it (kubernetes@v1.35.4 pkg/kubelet/kubelet_pods.go,
    # SortedContainerStatuses), so the place in the list says nothing.
    return next((_state(item) for item in _statuses(status) if item.get("name") == name), {})


def why_waiting(pod_spec: Body, status: Body) -> tuple[str | None, str | None]:
    """(reason, message) if the program cannot start, be it for a container that comes before it."""
    before = (_state(item) for item in status.get("initContainerStatuses") or ())
    for state in (task_state(pod_spec, status), *before):
        waiting = state.get("waiting") or {}
        if waiting.get("reason") is not None and waiting["reason"] not in _WAITING_IS_NORMAL:
            return waiting["reason"], waiting.get("message")
    return None, None


def failed_by_another(pod_spec: Body, status: Body) -> tuple[str, str] | None:
    """(reason, message) if a failed Pod's program is not what failed: it never began, or ended with 0."""
    terminated = task_state(pod_spec, status).get("terminated")
    if status.get("phase") != "Failed" or (terminated is not None and terminated.get("exitCode") != 0):
        return None
    others: Sequence[Body]
    if terminated is None:
        # Those that are always restarted are sidecars, whose end decides nothing; others may name a policy, too (1.34).
        lasting = {
            item["name"] for item in pod_spec.get("initContainers") or () if item.get("restartPolicy") == "Always"
        }
        reason, kind = "InitContainerFailed", "an init container of its Pod"
        others = [item for item in status.get("initContainerStatuses") or () if item.get("name") not in lasting]
    else:
        reason, kind, others = "SidecarFailed", "another container of its Pod", _statuses(status)
    for item in others:
        code = (_state(item).get("terminated") or {}).get("exitCode")
        if code:
            return reason, f"{kind} ({item['name']}) ended with exit code {code}"
    return None


def _statuses(status: Body) -> Sequence[Body]:
    statuses: Sequence[Body] = status.get("containerStatuses") or ()
    return statuses


def _state(container_status: Body) -> Body:
    state: Body = container_status.get("state") or {}
    return state
