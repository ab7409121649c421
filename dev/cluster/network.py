"""The node's network: one bridge that holds the node's address, and the CNI configuration that joins Pods to it."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

from cluster.errors import ClusterError
from cluster.files import write_if_changed
from cluster.kernel import WANTED, has_bridge_netfilter, remember_settings, write_settings
from cluster.settings import BRIDGE, BRIDGE_ADDRESS, CNI_NETWORK, POD_RANGE, Layout

INTERFACES = Path("/sys/class/net")
CNI_RESULTS = Path("/var/lib/cni/results")


def set_up_network(layout: Layout) -> None:
    """Kernel settings, the bridge with the node's address, the CNI configuration. May be called again at any time."""
    if not has_bridge_netfilter():
        # Absent on some kernels; kube-proxy then masquerades, see node.py.
        subprocess.run(["modprobe", "br_netfilter"], capture_output=True)
    remember_settings(layout.before)
    failed = [name for name in write_settings(WANTED) if name == "net/ipv4/ip_forward"]
    if failed:
        raise ClusterError("net.ipv4.ip_forward cannot be set on this machine", "Set it to 1 from outside.")
    if not (INTERFACES / BRIDGE).exists():
        _refuse_taken_range()
        _ip("link", "add", BRIDGE, "type", "bridge")
    _ip("link", "set", BRIDGE, "up")
    _ip("address", "replace", f"{BRIDGE_ADDRESS}/{POD_RANGE.split('/')[1]}", "dev", BRIDGE)
    write_if_changed(layout.config / "cni/10-cronwright-dev.conflist", json.dumps(build_cni_config(layout), indent=1))


def build_cni_config(layout: Layout) -> dict[str, object]:
    """The CNI network: bridge + host-local addresses + portmap.

    Leases lie under `run`, since they end with the boot.
    """
    bridge: dict[str, object] = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(layout.run / "cni"),
            "ranges": [[{"subnet": POD_RANGE, "gateway": BRIDGE_ADDRESS}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}
    return {"cniVersion": "0.4.0", "name": CNI_NETWORK, "plugins": [bridge, portmap]}


def list_interfaces() -> list[str]:
    """The bridge and what hangs on it, as far as they are there."""
    if not (INTERFACES / BRIDGE).exists():
        return []
    ports = sorted(entry.name for entry in (INTERFACES / BRIDGE / "brif").iterdir())
    return [*ports, BRIDGE]


def remove_network(layout: Layout) -> None:
    """Removes the bridge, the interfaces on it and the CNI results of our Pods. Nothing happens if they are gone."""
    for name in list_interfaces():
        subprocess.run(["ip", "link", "delete", name], capture_output=True)
    for path in CNI_RESULTS.glob("*"):
        # The folder is fixed in the CNI library and shared; our Pods are known by where their network namespaces lie.
        if str(layout.run) in path.read_text(errors="replace"):
            path.unlink(missing_ok=True)


def remove_ports() -> None:
    """Removes what hangs on the bridge, but not the bridge: components listen on its address."""
    for name in list_interfaces():
        if name != BRIDGE:
            subprocess.run(["ip", "link", "delete", name], capture_output=True)


def is_port_free(address: str, port: int) -> bool:
    """Whether a listener could bind it now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def _refuse_taken_range() -> None:
    """Another interface with our addresses (podman's default is the same range) would swallow the Pods' traffic."""
    answer = subprocess.run(["ip", "-json", "-4", "address"], capture_output=True, text=True)
    for interface in json.loads(answer.stdout or "[]"):
        for address in interface.get("addr_info", []):
            if str(address.get("local", "")).startswith("10.88."):
                name = interface["ifname"]
                raise ClusterError(
                    f"the address range {POD_RANGE} of the cluster's Pods is in use by interface {name}",
                    f"If it is podman's and idle: ip link delete {name}",
                )


def _ip(*arguments: str) -> None:
    answer = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if answer.returncode != 0:
        raise ClusterError(f"ip {' '.join(arguments)}: {answer.stderr.strip()}")
