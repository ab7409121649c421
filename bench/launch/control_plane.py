"""A real control plane of the benchmark's own: etcd, API server, controller manager and scheduler, and kwok for nodes.

Beside the local cluster, on ports of its own and without a kubelet: thousands of Pods are to be made, not run.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[2]
PORT_SHIFT = 137
# Read by `cluster.settings` when it is imported, so before the imports below.
os.environ.setdefault("CRONWRIGHT_PORT_SHIFT", str(PORT_SHIFT))
sys.path.append(str(ROOT / "dev"))

import yaml  # noqa: E402

from cluster import certificates, controlplane, health  # noqa: E402
from cluster.apiserver import ApiServer  # noqa: E402
from cluster.binaries import ensure_binaries, find_go  # noqa: E402
from cluster.console import step  # noqa: E402
from cluster.processes import Component, Supervisor  # noqa: E402
from cluster.settings import Layout, find_layout  # noqa: E402

Result = TypeVar("Result")

NODES = 20
PODS_OF_A_NODE = 500
KWOK_SOURCE = ROOT / "bench" / "kwok"
_COMPONENTS = ("kwok", "kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd")


class ControlPlane:
    """Started empty by `start`, taken away with its data by `stop`."""

    def __init__(self, state: Path) -> None:
        found = find_layout()
        self._layout = Layout(state, found.cache, found.source)
        self._supervisor = Supervisor(self._layout.pids, self._layout.logs)
        self._binaries = Path()

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self._layout.kubeconfig

    def pids(self) -> dict[str, int]:
        """The process of each component, by its name."""
        found = {name: self._supervisor.pid_files.find_living(name) for name in _COMPONENTS}
        return {name: identity.pid for name, identity in found.items() if identity is not None}

    def start(self, requests_per_second: int | None, api_server: tuple[str, ...] = ()) -> None:
        """Start everything; `requests_per_second` is the controller manager's client rate, None its default of 20.

        `api_server` are arguments for the API server besides the usual ones.
        """
        self.stop()
        self._binaries = ensure_binaries(self._layout)
        kwok = ensure_kwok(self._layout.cache)
        layout, server = self._layout, ApiServer(self._layout)
        with step(f"control plane ({requests_per_second or 'default'} requests a second)"):
            certificates.ensure_certificates(layout)
            self._launch("etcd", controlplane.build_etcd(layout, self._binaries), server)
            usual = controlplane.build_api_server(layout, self._binaries)
            self._launch("kube-apiserver", replace(usual, command=(*usual.command, *api_server)), server)
            rate = {"CRONWRIGHT_KCM_QPS": str(requests_per_second)} if requests_per_second else {}
            manager = controlplane.build_controller_manager(layout, self._binaries, rate)
            self._launch("kube-controller-manager", manager, server)
            self._launch("kube-scheduler", controlplane.build_scheduler(layout, self._binaries), server)
            self._supervisor.start(
                Component(
                    "kwok",
                    (
                        str(kwok),
                        f"--kubeconfig={layout.kubeconfig}",
                        "--manage-all-nodes=true",
                        "--node-lease-duration-seconds=120",
                        "--server-address=",
                    ),
                )
            )
            _retry(lambda: self._make_nodes(server))

    def stop(self) -> None:
        """End what runs and remove its data; also what an earlier benchmark that was killed left."""
        self._supervisor.stop(_COMPONENTS)
        shutil.rmtree(self._layout.state, ignore_errors=True)

    def as_service_account(self) -> Path:
        """A kubeconfig with the token of a ServiceAccount that may do everything, as an operator in a Pod has one.

        The API server remembers a token that it has checked; a client certificate it verifies at each request.
        """
        server = ApiServer(self._layout)
        account = {"name": "bench", "namespace": "default"}
        rbac = "rbac.authorization.k8s.io"
        accounts, secrets = (f"/api/v1/namespaces/default/{plural}" for plural in ("serviceaccounts", "secrets"))
        server.apply(accounts, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
        server.apply(
            f"/apis/{rbac}/v1/clusterrolebindings",
            {
                "apiVersion": f"{rbac}/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": account["name"]},
                "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"},
                "subjects": [{"kind": "ServiceAccount", **account}],
            },
        )
        annotations = {"kubernetes.io/service-account.name": account["name"]}
        server.apply(
            secrets,
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "kubernetes.io/service-account-token",
                "metadata": {**account, "annotations": annotations},
            },
        )
        token = _retry(lambda: base64.b64decode(server.get(f"{secrets}/{account['name']}")["data"]["token"]).decode())
        config = yaml.safe_load(self.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": token}
        written = self.kubeconfig.with_name("service-account.kubeconfig")
        written.write_text(yaml.safe_dump(config))
        return written

    def apply_crds(self) -> None:
        """Apply the product's CRDs and wait until the API server serves them."""
        server = ApiServer(self._layout)
        for path in sorted((ROOT / "crds").glob("*.yaml")):
            manifest = yaml.safe_load(path.read_text())
            server.apply("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", manifest)
            plural = manifest["spec"]["names"]["plural"]
            _retry(lambda plural=plural: server.get(f"/apis/cronwright.dev/v1/{plural}"))

    def _launch(self, name: str, component: Component, server: ApiServer) -> None:
        self._supervisor.start(component)
        end = time.monotonic() + 120
        while True:
            problem = server.is_ready() if name == "kube-apiserver" else health.check_endpoint(name)
            if problem is None:
                return
            if time.monotonic() > end or not self._supervisor.is_running(name):
                raise RuntimeError(f"{name} does not come up: {problem}; its log is {self._supervisor.log_of(name)}")
            time.sleep(0.2)

    def _make_nodes(self, server: ApiServer) -> None:
        for number in range(NODES):
            name = f"kwok-{number:02}"
            server.apply(
                "/api/v1/nodes",
                {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"type": "kwok"}}},
            )
            capacity = {"cpu": "64", "memory": "256Gi", "pods": str(PODS_OF_A_NODE)}
            server.merge(f"/api/v1/nodes/{name}/status", {"status": {"capacity": capacity, "allocatable": capacity}})
        node = server.get("/api/v1/nodes/kwok-00")
        if not any(
            item["type"] == "Ready" and item["status"] == "True" for item in node["status"].get("conditions", [])
        ):
            raise RuntimeError("kwok has not made the nodes ready")


def ensure_kwok(cache: Path) -> Path:
    """Build kwok from the module that bench/kwok pins, once."""
    target = cache / "bench" / "kwok-v0.7.0"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with step("kwok (go build)"):
            go = find_go() or "go"
            command = [go, "build", "-trimpath", "-mod=readonly", "-ldflags=-s -w", "-o", str(target) + ".new"]
            environment = {"GOTOOLCHAIN": "local", **os.environ, "CGO_ENABLED": "0"}
            subprocess.run([*command, "sigs.k8s.io/kwok/cmd/kwok"], cwd=KWOK_SOURCE, env=environment, check=True)
            Path(str(target) + ".new").rename(target)
    return target


def _retry(action: Callable[[], Result], seconds: float = 60) -> Result:
    end = time.monotonic() + seconds
    while True:
        try:
            return action()
        except Exception:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)
