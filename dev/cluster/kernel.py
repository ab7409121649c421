"""Kernel settings that the cluster needs or its components change, remembered as they were before, so that `down`
puts them back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from cluster.processes import read_boot

SYSCTLS = Path("/proc/sys")

WANTED = {
    "net/ipv4/ip_forward": "1",
    # A Service's answer from one Pod to another on the same bridge must pass iptables, or its address is not
    # translated back.
    "net/bridge/bridge-nf-call-iptables": "1",
}
# Written by the kubelet and kube-proxy themselves; here only to be put back.
CHANGED_BY_COMPONENTS = (
    "net/ipv4/conf/all/route_localnet",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def read_settings(root: Path = SYSCTLS) -> dict[str, str]:
    """The present value of every setting named here that this kernel has."""
    values = {}
    for name in (*WANTED, *CHANGED_BY_COMPONENTS):
        try:
            values[name] = (root / name).read_text().strip()
        except OSError:
            continue
    return values


def write_settings(values: Mapping[str, str], root: Path = SYSCTLS) -> list[str]:
    """Writes the values that differ from the present ones; answers the names that could not be written."""
    failed = []
    for name, value in values.items():
        try:
            if (root / name).read_text().strip() != value:
                (root / name).write_text(value)
        except OSError:
            failed.append(name)
    return failed


def remember_settings(path: Path) -> None:
    """Saves the present values, unless this boot's were saved before: after an unclean end the present ones are the
    cluster's own.
    """
    saved = _load(path)
    if saved is None or saved[0] != read_boot():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps({"boot": read_boot(), "settings": read_settings()}))
        temporary.rename(path)


def restore_settings(path: Path) -> list[str]:
    """Puts the saved values back and forgets them; a save of an earlier boot is only forgotten.

    Answers what could not be written.
    """
    saved = _load(path)
    failed = write_settings(saved[1]) if saved is not None and saved[0] == read_boot() else []
    path.unlink(missing_ok=True)
    return failed


def has_bridge_netfilter() -> bool:
    """Whether this kernel shows bridged packets to iptables (module br_netfilter)."""
    return (SYSCTLS / "net/bridge/bridge-nf-call-iptables").exists()


def _load(path: Path) -> tuple[str, dict[str, str]] | None:
    try:
        data = json.loads(path.read_text())
        return str(data["boot"]), {str(name): str(value) for name, value in data["settings"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
