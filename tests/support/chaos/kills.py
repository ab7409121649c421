"""Ends parts of the installation by SIGKILL, the way that a machine does, and has them started again.

On the local cluster containers are processes of this machine: each is known by its Pod's uid in its cgroup, and the
cluster's own programs by the files that `dev/cluster` keeps. Elsewhere a Pod is deleted without grace, and the
cluster's own programs are left alone.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from support.cluster import SYSTEM, KubectlFailed, eventually, kubectl

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "dev"))

from cluster.processes import PidFiles, identify, send_signal  # noqa: E402
from cluster.settings import find_layout  # noqa: E402

LOCAL_CONTEXT = "cronwright-dev"


@dataclass
class Kills:
    """Counts what was ended, by its name."""

    local: bool
    counts: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of_this_cluster(cls) -> Kills:
        return cls(kubectl("config", "current-context").strip() == LOCAL_CONTEXT)

    def operator(self) -> None:
        """The operator that holds the Lease. One that was just killed still does; then its successor is waited for."""

        def holder() -> str:
            lease = json.loads(kubectl("get", "lease", "-n", SYSTEM, "cronwright-operator", "-o", "json"))
            return str(lease["spec"].get("holderIdentity") or "")

        killed = self._kill("operator", holder)
        # Its container would be started again after 10 s, 20 s, 40 s ... up to 5 minutes (CrashLoopBackOff): a wait of
        # the kubelet's, in which nothing of ours happens. A Pod that is gone is replaced at once.
        with suppress(KubectlFailed):
            kubectl("delete", "pod", "-n", SYSTEM, killed, "--grace-period=0", "--force", "--wait=false")

    def api(self) -> None:
        """One replica of the API."""
        self._kill("API", lambda: _a_pod("api"))

    def postgresql(self) -> None:
        """The database's Pod, without a shutdown of its own."""
        self._kill("PostgreSQL", lambda: _a_pod("postgresql"))

    def api_server(self) -> None:
        """The cluster's API server."""
        self._kill_component("kube-apiserver", "API server")

    def kubelet(self) -> None:
        """The node's kubelet; the containers run on."""
        self._kill_component("kubelet", "kubelet")

    def _kill(self, title: str, choose: Callable[[], str]) -> str:
        def blow() -> str | None:
            pod = choose()
            return pod if pod and self._kill_pod(pod) else None

        killed = eventually(blow, seconds=90, what=f"a process of {title} to end")
        self.counts[title] = self.counts.get(title, 0) + 1
        return killed

    def _kill_pod(self, pod: str) -> bool:
        with suppress(KubectlFailed):
            if not self.local:
                kubectl("delete", "pod", "-n", SYSTEM, pod, "--grace-period=0", "--force")
                return True
            uid = kubectl("get", "pod", "-n", SYSTEM, pod, "-o", "jsonpath={.metadata.uid}")
            return _kill_processes_of(uid)
        return False  # it has gone by itself meanwhile

    def _kill_component(self, component: str, title: str) -> None:
        if not self.local:
            return
        living = PidFiles(find_layout().pids).find_living(component)
        assert living is not None, f"{component} does not run"
        send_signal(living, signal.SIGKILL)
        self.counts[title] = self.counts.get(title, 0) + 1
        up = subprocess.run(
            [sys.executable, ROOT / "dev" / "cluster", "up"], capture_output=True, text=True, timeout=300, check=False
        )
        assert up.returncode == 0, up.stdout[-2000:] + up.stderr[-2000:]


def _a_pod(component: str) -> str:
    selector = f"app.kubernetes.io/component={component}"
    options = ("--field-selector=status.phase=Running", "-o", "name")
    found = kubectl("get", "pods", "-n", SYSTEM, "-l", selector, *options).split()
    return found[0].partition("/")[2] if found else ""


def _kill_processes_of(pod_uid: str) -> bool:
    """Whether a process of the Pod was there. Only processes in a cgroup of that Pod are looked at; the one that holds
    its namespaces stays."""
    killed = False
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):
            if pod_uid not in (folder / "cgroup").read_text() or _is_pause(folder):
                continue
            identity = identify(int(folder.name))
            if identity is not None:
                send_signal(identity, signal.SIGKILL)
                killed = True
    return killed


def _is_pause(folder: Path) -> bool:
    return (folder / "cmdline").read_bytes().split(b"\0")[0].endswith(b"pause")


Kill = Callable[[], None]
