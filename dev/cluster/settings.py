"""Where the cluster keeps its things and which addresses it uses: the one place for paths, ports and names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CLUSTER_NAME = "cronwright-dev"
"""Name of the kubeconfig context, the cluster in it and the node."""

BRIDGE = "cni-local"
BRIDGE_ADDRESS = "10.88.0.1"
"""The node's address and that of the cluster's DNS; the kubelet refuses loopback as a node address."""
POD_RANGE = "10.88.0.0/16"
SERVICE_RANGE = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"
CLUSTER_DOMAIN = "cluster.local"
CNI_NETWORK = "cronwright-dev"

# Out of the way of a second Kubernetes on the machine (6443, 2379, 1025x), except the kubelet's, which binds the
# bridge only.
# A benchmark's own control plane stands beside the cluster, with every port moved by as much.
PORT_SHIFT = int(os.environ.get("CRONWRIGHT_PORT_SHIFT") or 0)
API_PORT = 16443 + PORT_SHIFT
ETCD_PORT = 12379 + PORT_SHIFT
ETCD_PEER_PORT = 12380 + PORT_SHIFT
ETCD_METRICS_PORT = 12381 + PORT_SHIFT
CONTROLLER_MANAGER_PORT = 20257 + PORT_SHIFT
SCHEDULER_PORT = 20259 + PORT_SHIFT
KUBELET_PORT = 10250 + PORT_SHIFT
KUBELET_HEALTH_PORT = 20248 + PORT_SHIFT
PROXY_HEALTH_PORT = 20256 + PORT_SHIFT
PROXY_METRICS_PORT = 20249 + PORT_SHIFT
DNS_HEALTH_PORT = 20280 + PORT_SHIFT
DNS_READY_PORT = 20281 + PORT_SHIFT

VOLUME_COUNT = 8
STORAGE_CLASS = "cronwright-local"


@dataclass(frozen=True)
class Layout:
    """The folders of one cluster. `state` holds everything that belongs to the machine, `cache` what may be thrown
    away.
    """

    state: Path
    cache: Path
    source: Path

    @property
    def kubeconfig(self) -> Path:
        return self.state / "admin.kubeconfig"

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def config(self) -> Path:
        return self.state / "config"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def run(self) -> Path:
        """What is worthless after a reboot: sockets, pid files, containerd's and runc's state."""
        return self.state / "run"

    @property
    def pids(self) -> Path:
        return self.state / "pids"

    @property
    def etcd(self) -> Path:
        return self.state / "etcd"

    @property
    def containerd_root(self) -> Path:
        return self.state / "containerd"

    @property
    def containerd_socket(self) -> Path:
        return self.run / "containerd.sock"

    @property
    def kubelet(self) -> Path:
        return self.state / "kubelet"

    @property
    def volumes(self) -> Path:
        return self.state / "volumes"

    @property
    def before(self) -> Path:
        """Kernel settings as they were before the cluster came, for `down` to put back."""
        return self.state / "before.json"

    @property
    def lock(self) -> Path:
        """Machine-wide and outside `state`: there is one bridge and one set of ports, and `down --purge` removes
        `state`.
        """
        return Path("/run/lock/cronwright-dev.lock")


def find_layout(environment: Mapping[str, str] = os.environ) -> Layout:
    """The folders that CRONWRIGHT_STATE, CRONWRIGHT_CACHE and XDG_CACHE_HOME ask for."""
    cache = environment.get("CRONWRIGHT_CACHE")
    if not cache:
        home = environment.get("XDG_CACHE_HOME") or str(Path(environment.get("HOME") or "/root") / ".cache")
        cache = str(Path(home) / "cronwright")
    state = environment.get("CRONWRIGHT_STATE") or "/var/lib/cronwright-dev"
    return Layout(Path(state).absolute(), Path(cache).absolute(), Path(__file__).resolve().parent)
