"""What must be on the machine besides Go: Debian packages, and the right to use them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from cluster.console import Step, step
from cluster.errors import ClusterError, last_lines

# Package -> a program or file that proves it is there, so that another way of installing it counts as well.
CLUSTER_PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "containernetworking-plugins": "/usr/lib/cni/bridge",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "iproute2": "ip",
    "kmod": "modprobe",
    "mount": "mount",
    "openssl": "openssl",
    "ca-certificates": "/etc/ssl/certs/ca-certificates.crt",
}
IMAGE_PACKAGES = {"buildah": "buildah", "debootstrap": "debootstrap"}

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def search_system_folders() -> None:
    """Lets every program be found where Debian puts it: a user's PATH has no /usr/sbin, a service's may be empty."""
    known = os.environ.get("PATH", "").split(":")
    os.environ["PATH"] = ":".join([*filter(None, known), *(at for at in SYSTEM_PATH.split(":") if at not in known)])


def find_missing(packages: dict[str, str]) -> list[str]:
    """The packages whose proof is not on this machine."""
    return [
        package
        for package, proof in packages.items()
        if not (Path(proof).exists() if proof.startswith("/") else shutil.which(proof))
    ]


def require_root() -> None:
    """Raises ClusterError, with what root would have to install, unless this is root."""
    if os.geteuid() == 0:
        return
    missing = find_missing({**CLUSTER_PACKAGES, **IMAGE_PACKAGES})
    hint = f" Missing Debian packages: {' '.join(missing)}." if missing else ""
    raise ClusterError(
        "the local cluster mounts file systems and makes network interfaces, which only root may",
        f"Run it with sudo (sudo -E keeps CRONWRIGHT_* variables).{hint}",
    )


def ensure_packages(packages: dict[str, str]) -> None:
    """Installs the Debian packages that are missing; nothing is asked of the network if none is."""
    missing = find_missing(packages)
    if not missing:
        return
    advice = f"Install them by hand: apt-get install {' '.join(missing)}"
    if shutil.which("apt-get") is None:
        raise ClusterError(f"missing on this machine: {' '.join(missing)}, and there is no apt-get", advice)
    with step("Debian packages") as current, tempfile.NamedTemporaryFile(prefix="cronwright-apt-") as log:
        current.detail = "reading package lists"
        # One unreachable third-party source must not stop us: the install below is what counts.
        _apt(current, log.name, "update")
        current.detail = f"installing {' '.join(missing)}"
        if _apt(current, log.name, "install", "-y", "--no-install-recommends", *missing) != 0:
            raise ClusterError(
                "apt-get install failed:\n    " + "\n    ".join(last_lines(Path(log.name))),
                advice,
            )
        current.detail = " ".join(missing)
    still = find_missing(packages)
    if still:
        raise ClusterError(f"installed, and yet not found: {' '.join(still)}", advice)


def _apt(current: Step, log: str, *arguments: str) -> int:
    # Another apt may run (unattended upgrades): wait for its lock instead of failing at once.
    command = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", *arguments]
    with Path(log).open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
        name = str(current.detail)
        current.detail = lambda: f"{name}: {(last_lines(Path(log), 1) or [''])[0][:60]}"
        return process.wait()
