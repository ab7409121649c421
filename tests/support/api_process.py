"""`cronwright api` as a process of its own, with no cluster behind it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from support.ports import free_port

COMMAND = [sys.executable, "-m", "cronwright_core.cli"]
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: nowhere
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]
clusters: [{name: nowhere, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: nobody, user: {}}]
"""


def api_environment(folder: Path, database_url: str, **settings: str) -> dict[str, str]:
    """The environment of such a process; `folder/keys` holds the key k1."""
    keys = folder / "keys"
    keys.mkdir()
    (keys / "k1").write_text("k" * 40)
    (folder / "kubeconfig").write_text(KUBECONFIG)
    return {
        **os.environ,
        "DATABASE_URL": database_url,
        "CRONWRIGHT_JWT_KEYS_DIR": str(keys),
        "CRONWRIGHT_HOST": "127.0.0.1",
        "CRONWRIGHT_PORT": str(free_port()),
        "KUBECONFIG": str(folder / "kubeconfig"),
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": "127.0.0.1",
        **settings,
    }


class ApiProcess:
    """A running process; `log` is complete once it has ended."""

    def __init__(self, environment: Mapping[str, str], process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self._base = f"http://127.0.0.1:{environment['CRONWRIGHT_PORT']}"
        self._log = log

    def request(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """One request on a connection of its own."""
        with httpx.Client(base_url=self._base, trust_env=False) as client:
            return client.request(method, path, timeout=20, **kwargs)

    def status(self, token: str) -> int:
        """What the list of tasks answers to this token."""
        headers = {"Authorization": f"Bearer {token}"}
        return self.request("GET", "/api/v1/scheduler/tasks", headers=headers).status_code

    @property
    def log(self) -> str:
        """What it wrote until now."""
        return self._log.read_text()

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The log's lines."""
        return [json.loads(line) for line in self.log.splitlines()]


@contextmanager
def api_process(environment: Mapping[str, str], log: Path) -> Iterator[ApiProcess]:
    """Starts the process and waits until it answers; it is killed at the end if it still runs."""
    with log.open("w") as stderr, subprocess.Popen([*COMMAND, "api"], env=environment, stderr=stderr) as process:
        running = ApiProcess(environment, process, log)
        try:
            deadline = time.monotonic() + 30
            while True:
                try:
                    assert running.request("GET", "/healthz").status_code == 200
                    break
                except httpx.TransportError:
                    assert process.poll() is None, running.log
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
            yield running
        finally:
            process.kill()


def make_token(environment: Mapping[str, str], *arguments: str) -> str:
    """What `cronwright token` prints."""
    made = subprocess.run([*COMMAND, "token", *arguments], env=environment, capture_output=True, text=True, check=True)
    return made.stdout.strip()
