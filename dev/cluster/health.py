"""How each part of the cluster is known to be well. A check answers None if it is, else what is wrong, in words."""

from __future__ import annotations

import http.client
import random
import socket
import ssl
import struct
from datetime import UTC, datetime
from typing import Any

from cluster.apiserver import ApiServer, RequestFailed
from cluster.settings import (
    API_SERVICE_ADDRESS,
    BRIDGE_ADDRESS,
    CLUSTER_DOMAIN,
    CLUSTER_NAME,
    CONTROLLER_MANAGER_PORT,
    DNS_READY_PORT,
    ETCD_METRICS_PORT,
    KUBELET_HEALTH_PORT,
    PROXY_HEALTH_PORT,
    SCHEDULER_PORT,
)

# Component -> where on 127.0.0.1 it says that it is well.
ENDPOINTS = {
    "etcd": ("http", ETCD_METRICS_PORT, "/health"),
    "kube-controller-manager": ("https", CONTROLLER_MANAGER_PORT, "/healthz"),
    "kube-scheduler": ("https", SCHEDULER_PORT, "/healthz"),
    "kubelet": ("http", KUBELET_HEALTH_PORT, "/healthz"),
    "kube-proxy": ("http", PROXY_HEALTH_PORT, "/healthz"),
    "coredns": ("http", DNS_READY_PORT, "/ready"),
}


def check_endpoint(component: str) -> str | None:
    """Asks a component's own health endpoint."""
    scheme, port, path = ENDPOINTS[component]
    connection: http.client.HTTPConnection
    if scheme == "https":
        # Controller manager and scheduler serve health with a certificate of their own making; nothing secret is asked.
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=3, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read(200).decode(errors="replace").strip()
        return None if answer.status == 200 else f"{path} says {answer.status} {body}"
    except (OSError, http.client.HTTPException) as error:
        return f"no answer on port {port} ({error})"
    finally:
        connection.close()


def check_node(server: ApiServer, since: datetime | None) -> str | None:
    """Whether the node is ready and takes Pods.

    With `since`, an older report does not count: it is of the kubelet before.
    """
    try:
        node = server.get(f"/api/v1/nodes/{CLUSTER_NAME}")
    except RequestFailed as failure:
        return "the kubelet has not registered it" if failure.status == 404 else failure.message
    return judge_node(node, since)


def judge_node(node: dict[str, object], since: datetime | None) -> str | None:
    """The verdict on a Node object; apart from the request so that it can be tested."""
    status, spec = node.get("status"), node.get("spec")
    conditions = status.get("conditions", []) if isinstance(status, dict) else []
    ready = next((condition for condition in conditions if condition["type"] == "Ready"), None)
    if ready is None:
        return "no report yet"
    if ready["status"] != "True":
        return f"not ready: {ready.get('message', ready.get('reason', ''))}"
    reported = datetime.strptime(ready["lastHeartbeatTime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    if since is not None and reported < since.replace(microsecond=0):
        return "its last report is from before the start"
    taints = spec.get("taints", []) if isinstance(spec, dict) else []
    refusing = [taint["key"] for taint in taints if taint["key"].startswith("node.kubernetes.io/")]
    return f"takes no Pods yet ({', '.join(refusing)})" if refusing else None


def check_pods(server: ApiServer, running: set[str]) -> str | None:
    """Whether what the API server holds of the node's Pods is true, given the containers that run.

    After a crash it shows Pods as running and ready that are long dead, until the new kubelet has looked at each: who
    waits for a Deployment to be ready would be told that it is.
    """
    try:
        pods = server.get(f"/api/v1/pods?fieldSelector=spec.nodeName={CLUSTER_NAME},status.phase=Running")
    except RequestFailed as failure:
        return failure.message
    return judge_pods(pods["items"], running)


def judge_pods(pods: list[dict[str, Any]], running: set[str]) -> str | None:
    """The verdict on a list of Pods; apart from the request so that it can be tested."""
    stale = [
        pod["metadata"]["name"]
        for pod in pods
        for status in pod["status"].get("containerStatuses", [])
        if "running" in status.get("state", {}) and status.get("containerID", "").rpartition("/")[2] not in running
    ]
    return f"reported as running, but not there: {', '.join(sorted(set(stale))[:3])}" if stale else None


def check_service_account(server: ApiServer) -> str | None:
    """Whether Pods can be made in the default namespace."""
    try:
        server.get("/api/v1/namespaces/default/serviceaccounts/default")
    except RequestFailed as failure:
        return failure.message
    return None


def check_service_address() -> str | None:
    """Whether kube-proxy leads the API server's Service address to the API server."""
    try:
        socket.create_connection((API_SERVICE_ADDRESS, 443), timeout=2).close()
    except OSError as error:
        return f"{API_SERVICE_ADDRESS}:443: {error}"
    return None


def check_dns() -> str | None:
    """Whether the cluster's DNS knows the API server's Service."""
    name = f"kubernetes.default.svc.{CLUSTER_DOMAIN}"
    number = random.randrange(65536)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        try:
            client.sendto(build_query(name, number), (BRIDGE_ADDRESS, 53))
            answer = client.recv(512)
        except OSError as error:
            return f"no answer from {BRIDGE_ADDRESS}:53 ({error})"
    if API_SERVICE_ADDRESS not in parse_addresses(answer, number):
        return f"{name} is not {API_SERVICE_ADDRESS} yet"
    return None


def build_query(name: str, number: int) -> bytes:
    """A DNS question for the IPv4 addresses of a name."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)


def parse_addresses(answer: bytes, number: int) -> list[str]:
    """The IPv4 addresses in a DNS answer to our one question; none if it is not an answer to it."""
    if len(answer) < 12:
        return []
    received, _, questions, answers = struct.unpack(">4H", answer[:8])
    if received != number or questions != 1:
        return []
    position = _skip_name(answer, 12) + 4
    addresses = []
    for _ in range(answers):
        position = _skip_name(answer, position)
        if position + 10 > len(answer):
            break
        kind, _, _, length = struct.unpack(">2HIH", answer[position : position + 10])
        data = answer[position + 10 : position + 10 + length]
        position += 10 + length
        if kind == 1 and len(data) == 4:
            addresses.append(socket.inet_ntoa(data))
    return addresses


def _skip_name(message: bytes, position: int) -> int:
    while position < len(message):
        length = message[position]
        if length >= 0xC0:
            return position + 2
        position += length + 1
        if length == 0:
            break
    return position
