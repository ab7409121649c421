"""`cronwright api` as a process: starts with the database away, serves when it comes, ends with 0 when asked to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.postgres import PostgresServer, migrate

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: nowhere
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]
clusters: [{name: nowhere, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: nobody, user: {}}]
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def environment(tmp_path: Path, own_server: PostgresServer) -> dict[str, str]:
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "k1").write_text("k" * 40)
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    return {
        **os.environ,
        "DATABASE_URL": own_server.url,
        "CRONWRIGHT_JWT_KEYS_DIR": str(keys),
        "CRONWRIGHT_HOST": "127.0.0.1",
        "CRONWRIGHT_PORT": str(free_port()),
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
        "PYTHONUNBUFFERED": "1",
    }


def get(environment: dict[str, str], path: str, **kwargs: Any) -> httpx.Response:
    with httpx.Client(base_url=f"http://127.0.0.1:{environment['CRONWRIGHT_PORT']}", trust_env=False) as client:
        return client.request(kwargs.pop("method", "GET"), path, timeout=20, **kwargs)


def wait_until_it_answers(environment: dict[str, str], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            assert get(environment, "/healthz").status_code == 200
            return
        except httpx.TransportError:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_the_life_of_a_process(environment: dict[str, str], own_server: PostgresServer) -> None:
    command = [sys.executable, "-m", "cronwright_core.cli"]
    made = subprocess.run(
        [*command, "token", "--user", "root", "--admin"], env=environment, capture_output=True, text=True, check=True
    )
    headers = {"Authorization": f"Bearer {made.stdout.strip()}"}
    own_server.stop()
    with subprocess.Popen([*command, "api"], env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until_it_answers(environment, process)
            assert get(environment, "/readyz").status_code == 503
            assert get(environment, "/api/v1/scheduler/tasks", headers=headers).status_code == 503
            own_server.start()
            unmigrated = get(environment, "/api/v1/scheduler/tasks", headers=headers)
            assert unmigrated.status_code == 503, "an empty database is one that is not ready yet"
            migrate(own_server.url)
            assert get(environment, "/readyz").json()["status"] == "ok"
            assert get(environment, "/api/v1/scheduler/tasks", headers=headers).json()["total"] == 0
            body = {"name": "p", "image": "busybox"}
            created = get(environment, "/api/v1/scheduler/projects", method="POST", headers=headers, json=body)
            assert (created.status_code, created.json()["code"]) == (503, 503), "the API server is away"
            assert get(environment, "/openapi.json").json()["openapi"].startswith("3.")
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 0
    lines = [json.loads(line) for line in log.splitlines()]
    assert {"cronwright_api.access"} <= {line["logger"] for line in lines}
    assert "Traceback" not in log
    assert made.stdout.strip() not in log
