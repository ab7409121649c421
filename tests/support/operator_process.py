"""`cronwright operator` as a process of its own, against the API server behind a door."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from support.api_process import COMMAND
from support.api_server_proxy import Door
from support.ports import free_port

_KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: door
contexts: [{{name: door, context: {{cluster: door, user: nobody}}}}]
clusters: [{{name: door, cluster: {{server: "{url}"}}}}]
users: [{{name: nobody, user: {{}}}}]
"""


class OperatorProcess:
    """A running process. What is stopped or killed is found out by the test, so no method hides it."""

    def __init__(self, name: str, door: Door, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.name = name
        self.door = door
        self.process = process
        self._base = f"http://127.0.0.1:{port}"
        self._log = log

    def send(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self.process.send_signal(number)

    def answers(self, path: str = "/readyz") -> bool:
        """Whether the path answers 200."""
        try:
            return httpx.get(self._base + path, timeout=5, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    @property
    def leads(self) -> bool:
        """Whether it says of itself that it may write; between two lives nobody says anything."""
        try:
            text = httpx.get(f"{self._base}/metrics", timeout=5, trust_env=False).text
        except httpx.TransportError:
            return False
        value = next(line for line in text.splitlines() if line.startswith("cronwright_operator_leader"))
        return float(value.split()[-1]) == 1.0

    @property
    def log(self) -> str:
        """What it wrote until now."""
        return self._log.read_text()


@contextmanager
def operator_process(
    name: str, door: Door, folder: Path, database_url: str, namespace: str
) -> Iterator[OperatorProcess]:
    """Starts one that serves `namespace` and keeps its Lease there; it is killed at the end if it still runs."""
    kubeconfig = folder / f"{name}.kubeconfig"
    kubeconfig.write_text(_KUBECONFIG.format(url=door.url))
    port, log = free_port(), folder / f"{name}.log"
    environment = {
        **os.environ,
        "KUBECONFIG": str(kubeconfig),
        "DATABASE_URL": database_url,
        "POD_NAME": name,
        "POD_NAMESPACE": namespace,
        "CRONWRIGHT_WATCH_NAMESPACES": namespace,
        "CRONWRIGHT_LEASE_NAME": "election",
        "CRONWRIGHT_HEALTH_HOST": "127.0.0.1",
        "CRONWRIGHT_HEALTH_PORT": str(port),
        "NO_PROXY": "127.0.0.1",
    }
    with (
        log.open("wb") as output,
        subprocess.Popen([*COMMAND, "operator"], env=environment, stdout=output, stderr=output) as process,
    ):
        try:
            yield OperatorProcess(name, door, process, port, log)
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()
