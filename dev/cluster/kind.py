"""kind: Kubernetes in Docker, the natural choice where a Docker engine runs.

Not usable without privileged containers.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from cluster.console import step
from cluster.errors import ClusterError
from cluster.settings import Layout

NAME = "cronwright"
CONTEXT = f"kind-{NAME}"
NODE_CONTAINER = f"{NAME}-control-plane"

# NodePorts that the host shall reach: the API and PostgreSQL. On the built cluster every NodePort is there by itself.
NODE_PORTS = (30080, 30432)

# The feature gate for separate stdout and stderr logs is unknown to Kubernetes before 1.32, which kind 0.26 brought.
SPLIT_LOGS_SINCE = (0, 26)


def is_usable() -> bool:
    """Whether `kind` is on PATH and a Docker engine answers."""
    return shutil.which("kind") is not None and is_engine_answering()


@cache
def is_engine_answering() -> bool:
    """Whether a Docker engine answers; the command alone (a client without an engine) is not enough."""
    if shutil.which("docker") is None:
        return False
    try:
        command = ["docker", "info", "--format", "{{.ServerVersion}}"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except subprocess.TimeoutExpired:
        return False
    # Some versions answer 0 though the engine is away; then there is no version either.
    return answer.returncode == 0 and bool(answer.stdout.strip())


def ensure_cluster(layout: Layout) -> Path:
    """Creates the kind cluster if there is none, starts it if it is stopped, and answers the path of its kubeconfig."""
    kubeconfig = layout.cache / "kind.kubeconfig"
    layout.cache.mkdir(parents=True, exist_ok=True)
    if NAME not in _run("kind", "get", "clusters").split():
        with step("kind cluster"):
            config = layout.cache / "kind.json"
            config.write_text(json.dumps(build_config(parse_version(_run("kind", "version")))))
            _run(
                *("kind", "create", "cluster", "--name", NAME, "--config", str(config)),
                *("--kubeconfig", str(kubeconfig), "--wait", "180s"),
            )
        return kubeconfig
    if _run("docker", "inspect", "--format", "{{.State.Running}}", NODE_CONTAINER).strip() != "true":
        with step("kind cluster started"):
            _run("docker", "start", NODE_CONTAINER)
    # The port changes with each start of the container.
    _run("kind", "export", "kubeconfig", "--name", NAME, "--kubeconfig", str(kubeconfig))
    with step("kind node ready", quiet_below_seconds=1):
        _run(
            *("docker", "exec", NODE_CONTAINER, "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf"),
            *("wait", "--for=condition=Ready", "node", "--all", "--timeout=120s"),
        )
    return kubeconfig


def parse_version(text: str) -> tuple[int, int]:
    """The (major, minor) of `kind version`; (0, 0) if it says something else."""
    match = re.search(r"v(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def build_config(version: tuple[int, int]) -> dict[str, object]:
    """kind's configuration (JSON is YAML): one node, its NodePorts on loopback only."""
    mappings = [{"containerPort": port, "hostPort": port, "listenAddress": "127.0.0.1"} for port in NODE_PORTS]
    config: dict[str, object] = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": [{"role": "control-plane", "extraPortMappings": mappings}],
    }
    if version >= SPLIT_LOGS_SINCE:
        config["featureGates"] = {"PodLogsQuerySplitStreams": True}
    return config


def _run(*command: str) -> str:
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode != 0:
        raise ClusterError(
            f"{' '.join(command[:4])} failed: {answer.stderr.strip()[-1500:]}", "Is Docker healthy? docker info"
        )
    return answer.stdout
