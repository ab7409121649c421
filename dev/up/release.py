"""The chart's release: installed or upgraded when chart or values changed, left alone when they did not."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cluster.console import Step
from cluster.errors import ClusterError
from up import tools
from up.commands import ROOT, run
from up.kubectl import SYSTEM, Kubectl
from up.target import API_NODE_PORT, DATABASE_NODE_PORT, Target

RELEASE = "cronwright"
CHART = ROOT / "charts" / "cronwright"
OTHERS = (
    "cronwright-second",
    "cronwright-election-killed",
    "cronwright-election-stopped",
    "cronwright-election-cut",
)
"""Namespaces that this installation leaves alone: a second one, or operators that are not Pods, serve them."""
WORKLOADS = ("deployment/cronwright-api", "deployment/cronwright-operator", "statefulset/cronwright-postgresql")
_HASH = "cronwright.dev/installed"
_SINCE = "cronwright.dev/installed-at"
"""Since when this build has these rights: what the audit log holds from before is of another one (tests/rights)."""
_RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}


def install(target: Target, kubectl: Kubectl, images: dict[str, str], current: Step) -> None:
    """Bring the release to this chart and these images; at once when it is there already.

    An installation that was killed half-way is taken up again.
    """
    kubectl.ensure_namespace(SYSTEM, _RESTRICTED)
    values = build_values(target, images)
    wanted = compute_fingerprint(CHART, values)
    status, revision = _state(target)
    namespace = kubectl.get("namespace", SYSTEM) or {}
    noted = namespace.get("metadata", {}).get("annotations", {})
    if status == "deployed" and noted.get(_HASH) == wanted and _SINCE in noted and _is_whole(kubectl):
        current.detail = "unchanged"
        return
    if status.startswith("pending"):
        # Its process is gone, but the revision still counts as under way and would refuse every other one.
        kubectl("-n", SYSTEM, "delete", "secret", f"sh.helm.release.v1.{RELEASE}.v{revision}")
    begun = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    _upgrade(target, values)
    kubectl("annotate", "namespace", SYSTEM, f"{_HASH}={wanted}", f"{_SINCE}={begun}", "--overwrite")
    current.detail = "upgraded" if status == "deployed" else "installed"


def build_values(target: Target, images: dict[str, str]) -> dict[str, Any]:
    """The chart's values for a cluster of this kind."""
    repository, _, tag = images["app"].rpartition(":")
    ports: dict[str, Any] = {"type": "ClusterIP"}
    database: dict[str, Any] = {"type": "ClusterIP"}
    if target.has_node_ports:
        ports = {"type": "NodePort", "nodePort": API_NODE_PORT}
        database = {"type": "NodePort", "nodePort": DATABASE_NODE_PORT}
    return {
        "image": {"repository": repository, "tag": tag},
        # One of the API, which is busy on a small machine; two operators, of which one only waits.
        "api": {"replicas": 1, "service": ports},
        "operator": {"replicas": 2},
        # For tests that bring operators of their own.
        "settings": {"ignoreNamespaces": list(OTHERS)},
        # Often, so that runs of some seconds have figures too.
        "nodeMetrics": {"enabled": True, "periodSeconds": 2},
        # Rights that are off by default, for the tests that need them.
        "logs": {"kubeletFiles": True, "redact": {"secrets": True}},
        "postgresql": {"enabled": True, "image": images["postgres"], "service": database, "storage": {"size": "1Gi"}},
    }


def compute_fingerprint(chart: Path, values: dict[str, Any]) -> str:
    """A hash of all files of the chart and of the values."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for path in sorted(item for item in chart.rglob("*") if item.is_file()):
        digest.update(b"\0" + str(path.relative_to(chart)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:32]


def uninstall(target: Target) -> None:
    """Remove the release; CRDs, tasks, database volume and password stay."""
    _helm(target, "uninstall", RELEASE, "--ignore-not-found", "--wait")


def _upgrade(target: Target, values: dict[str, Any]) -> None:
    arguments = ["upgrade", "--install", RELEASE, str(CHART), "--values", "-"]
    try:
        _helm(target, *arguments, stdin=json.dumps(values))
    except ClusterError as error:
        # CRDs that somebody applied by hand: on a cluster of ours the release takes them over.
        if target.kind == "given" or "invalid ownership metadata" not in error.message:
            raise
        _helm(target, *arguments, "--take-ownership", stdin=json.dumps(values))


def _helm(target: Target, *arguments: str, stdin: str | None = None) -> str:
    command = [tools.ensure("helm"), "--kube-context", target.context, "-n", SYSTEM, *arguments]
    return run(command, env={"KUBECONFIG": target.kubeconfig}, stdin=stdin)


def _state(target: Target) -> tuple[str, int]:
    try:
        found = json.loads(_helm(target, "status", RELEASE, "-o", "json"))
    except ClusterError as error:
        if "not found" in error.message:
            return "absent", 0
        raise
    return str(found["info"]["status"]), int(found["version"])


def _is_whole(kubectl: Kubectl) -> bool:
    """Whether all workloads are there and wanted to run: somebody may have scaled one to zero."""
    found = [kubectl.get("-n", SYSTEM, workload) for workload in WORKLOADS]
    return all(item is not None and item["spec"].get("replicas", 1) > 0 for item in found)
