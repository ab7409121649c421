"""What the container runtime leaves on the machine: shims, the containers' processes, mounts, cgroups.

Found by our own paths only.
"""

from __future__ import annotations

import itertools
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from cluster.processes import Identity, end_processes, identify, send_signal
from cluster.settings import Layout

CGROUPS = Path("/sys/fs/cgroup")
PODS_CGROUP = "kubepods"
POD_LOGS = Path("/var/log/pods")
CONTAINER_LOGS = Path("/var/log/containers")
SHIM_SOCKETS = Path("/run/containerd/s")


def is_our_shim(command_line: list[str], containerd_socket: Path) -> bool:
    """Whether a command line is that of a shim of our containerd; another containerd's shims name another socket."""
    if not command_line or "containerd-shim" not in Path(command_line[0]).name:
        return False
    return any(
        option == "-address" and value == str(containerd_socket) for option, value in itertools.pairwise(command_line)
    )


def is_pod_cgroup(cgroup: str) -> bool:
    """Whether /proc/<pid>/cgroup is that of a Pod's process of this machine's own kubelet; kind's lie below Docker."""
    return any(re.match(rf"/{PODS_CGROUP}(/|$)", line.split(":", 2)[-1]) for line in cgroup.splitlines())


def find_shims(layout: Layout) -> list[Identity]:
    """The living shims of our containerd."""
    found = []
    for folder in _process_folders():
        try:
            command_line = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if is_our_shim(command_line, layout.containerd_socket) and (identity := identify(int(folder.name))):
            found.append(identity)
    return found


def find_pod_processes() -> list[Identity]:
    """The living processes inside Pods' containers, whether their shim still lives or not."""
    found = []
    for folder in _process_folders():
        try:
            cgroup = (folder / "cgroup").read_text()
        except OSError:
            continue
        if is_pod_cgroup(cgroup) and (identity := identify(int(folder.name))):
            found.append(identity)
    return found


def end_containers(layout: Layout, grace_seconds: float) -> None:
    """Ends what runs in Pods (SIGTERM, grace, SIGKILL), then the shims.

    The kubelet must be stopped before, or it starts them again.
    """
    end_processes(find_pod_processes(), grace_seconds)
    for shim in find_shims(layout):
        # A shim ignores SIGTERM while it holds a container, and what it held is gone.
        send_signal(shim, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while (find_shims(layout) or find_pod_processes()) and time.monotonic() < deadline:
        # A process that forked between the listing and its end shows up in the next listing.
        end_processes(find_pod_processes(), 0)
        time.sleep(0.05)


def parse_mounts(mountinfo: str, roots: Iterable[Path]) -> list[str]:
    """The mount points at the roots and below, in the order in which they can be unmounted (latest first)."""
    prefixes = tuple(f"{root}/" for root in roots)
    points = []
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        if len(fields) > 4:
            point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4])
            if f"{point}/".startswith(prefixes):
                points.append(point)
    return points[::-1]


def list_mounts(layout: Layout) -> list[str]:
    """What is mounted by our runtime and kubelet now; the kubelet mounts its own folder onto itself.

    A disk that somebody mounted at the state folder or the volumes' is not ours.
    """
    return parse_mounts(Path("/proc/self/mountinfo").read_text(), (layout.run, layout.kubelet, layout.containerd_root))


def unmount_all(layout: Layout) -> list[str]:
    """Unmounts everything of ours, lazily where it is busy. Answers what is still mounted."""
    for _ in range(3):
        points = list_mounts(layout)
        if not points:
            break
        for point in points:
            if subprocess.run(["umount", point], capture_output=True).returncode != 0:
                subprocess.run(["umount", "--lazy", point], capture_output=True)
    return list_mounts(layout)


def list_cgroups() -> list[Path]:
    """The cgroups of Pods at the top of each hierarchy."""
    candidates = [CGROUPS / PODS_CGROUP, *(CGROUPS.glob(f"*/{PODS_CGROUP}"))]
    return sorted({path.resolve() for path in candidates if path.is_dir()})


def remove_cgroups() -> None:
    """Removes the Pods' cgroups, innermost first. One with a process in it stays, and is reported as a leftover."""
    for top in list_cgroups():
        for folder in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
            _remove_folder(folder)
        _remove_folder(top)


def remove_dead_shim_sockets() -> None:
    """Removes sockets of shims that nobody listens on any more; a living shim, ours or another's, keeps its own."""
    for path in SHIM_SOCKETS.glob("*"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1)
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink(missing_ok=True)
            except OSError:
                continue


def wipe_run(layout: Layout) -> None:
    """Removes the runtime's passing state.

    Nothing may be mounted below it: removal would reach through a mount into a volume.
    """
    _remove_tree_without_mounts(layout.run, layout)


def wipe_pods(layout: Layout) -> None:
    """Removes the kubelet's folders and the Pods' logs, under the same condition."""
    _remove_tree_without_mounts(layout.kubelet, layout)
    for folder in (POD_LOGS, CONTAINER_LOGS):
        shutil.rmtree(folder, ignore_errors=True)


def _remove_tree_without_mounts(folder: Path, layout: Layout) -> None:
    if any(f"{point}/".startswith(f"{folder}/") for point in list_mounts(layout)):
        raise OSError(f"{folder} still has mounts below it")
    shutil.rmtree(folder, ignore_errors=True)


def _process_folders() -> list[Path]:
    return [folder for folder in Path("/proc").iterdir() if folder.name.isdigit()]


def _remove_folder(folder: Path) -> None:
    # A cgroup whose last process has just ended stays busy for some milliseconds.
    for _ in range(20):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.02)
        else:
            return
