"""`cronwright release` on a real API server, with the operator's own rights: of the cluster, and of one namespace.

The Jobs here carry our finalizer but none of our labels, so that no operator that runs on this cluster takes part.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cronwright_core.domain import naming
from support import chart
from support.cluster import OWN_CONTEXTS, SYSTEM, KubectlFailed, eventually, kubectl

ACCOUNT = "cronwright-operator"


@pytest.fixture
def namespace() -> Iterator[str]:
    context = kubectl("config", "current-context").strip()
    allowed = OWN_CONTEXTS | {os.environ.get("CRONWRIGHT_ALLOW_CONTEXT", "")} - {""}
    assert context in allowed, f"KUBECONFIG points to {context!r}, which is not a cluster of ours; run `make up`"
    name = f"cronwright-release-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


def make_job(namespace: str, name: str) -> None:
    """A Job that makes no Pod, held as the operator holds one that is not recorded."""
    container = {"name": "task", "image": "none:1"}
    metadata = {
        "name": name,
        "namespace": namespace,
        "finalizers": ["example.com/another", naming.FINALIZER],
        "annotations": {naming.EXECUTION_ANNOTATION: "exec-20260302100000-0123456789abcdef"},
    }
    spec = {"suspend": True, "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}
    kubectl("apply", "-f", "-", document={"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec})


def finalizers(namespace: str, name: str) -> list[str]:
    found: list[str] = json.loads(kubectl("get", "job", name, "-n", namespace, "-o", "json"))["metadata"].get(
        "finalizers", []
    )
    return found


def account_kubeconfig(namespace: str, folder: Path) -> Path:
    """A kubeconfig of the operator's ServiceAccount in this namespace, and of nobody else."""
    config: dict[str, Any] = json.loads(kubectl("config", "view", "--raw", "--minify", "-o", "json"))
    config["users"] = [
        {"name": "account", "user": {"token": kubectl("-n", namespace, "create", "token", ACCOUNT).strip()}}
    ]
    config["contexts"][0]["context"]["user"] = "account"
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    return path


def release(*arguments: str, kubeconfig: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("CRONWRIGHT_")}
    env |= variables | ({"KUBECONFIG": str(kubeconfig)} if kubeconfig else {})
    command = [sys.executable, "-m", "cronwright_core.cli", "release", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def is_gone(namespace: str) -> bool:
    try:
        kubectl("get", "namespace", namespace)
    except KubectlFailed as error:
        return "NotFound" in str(error)
    return False


def test_a_namespace_that_hangs_is_let_go_with_the_operators_rights(namespace: str, tmp_path: Path) -> None:
    make_job(namespace, "held")
    account = account_kubeconfig(SYSTEM, tmp_path)
    kubectl("delete", "namespace", namespace, "--wait=false")
    eventually(
        lambda: kubectl("get", "job", "held", "-n", namespace, "-o", "jsonpath={.metadata.deletionTimestamp}"),
        seconds=30,
        what="the namespace to wait for its Job",
    )
    tried = release("-n", namespace, "--dry-run", kubeconfig=account)
    assert tried.returncode == 0, tried.stderr
    assert f"{namespace}/held  task -  exec-20260302100000-0123456789abcdef  waiting, being deleted" in tried.stdout
    assert naming.FINALIZER in finalizers(namespace, "held")

    done = release("-n", namespace, kubeconfig=account)
    assert done.returncode == 0, done.stderr
    assert "1 of 1 Jobs released" in done.stdout
    assert finalizers(namespace, "held") == ["example.com/another"], "somebody else's is theirs"
    kubectl("patch", "job", "held", "-n", namespace, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
    eventually(lambda: is_gone(namespace), seconds=60, what="the namespace to be gone")


def test_with_rights_in_one_namespace_only(namespace: str, tmp_path: Path) -> None:
    rendered = chart.render({"settings.watchNamespaces": [namespace]}, namespace=namespace)
    for kind in ("ServiceAccount", "Role", "RoleBinding"):
        kubectl("apply", "-f", "-", document=rendered.one(kind, ACCOUNT))
    make_job(namespace, "held")
    live = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": "live",
            "namespace": namespace,
            "labels": {naming.MANAGED_BY_LABEL: naming.MANAGED_BY, naming.TASK_UID_LABEL: str(uuid.uuid4())},
        },
        "spec": {
            "schedule": "0 0 1 1 *",
            "jobTemplate": {
                "spec": {
                    "template": {
                        "spec": {"restartPolicy": "Never", "containers": [{"name": "task", "image": "none:1"}]}
                    }
                }
            },
        },
    }
    kubectl("apply", "-f", "-", document=live)
    account = account_kubeconfig(namespace, tmp_path)

    everywhere = release("--all", kubeconfig=account)
    assert everywhere.returncode == 1
    assert "jobs of all namespaces: jobs.batch is forbidden" in everywhere.stderr
    assert "CRONWRIGHT_WATCH_NAMESPACES" in everywhere.stderr

    # As the operator's Pod has it: --all are the namespaces that it serves.
    done = release("--all", "--suspend-cronjobs", kubeconfig=account, CRONWRIGHT_WATCH_NAMESPACES=namespace)
    assert done.returncode == 0, done.stderr
    assert f"suspended CronJob {namespace}/live" in done.stdout
    assert finalizers(namespace, "held") == ["example.com/another"]
    assert kubectl("get", "cronjob", "live", "-n", namespace, "-o", "jsonpath={.spec.suspend}") == "true"
    again = release("--all", kubeconfig=account, CRONWRIGHT_WATCH_NAMESPACES=namespace)
    assert (again.returncode, again.stdout.strip()) == (0, f"no Job is held by a finalizer in namespace {namespace}")

    # Where the operator's rights are gone already, an administrator's are needed.
    make_job(namespace, "late")
    kubectl("delete", "rolebinding", ACCOUNT, "-n", namespace)
    eventually(
        lambda: "an administrator's kubeconfig" in release("-n", namespace, kubeconfig=account).stderr,
        seconds=30,
        what="the right to be gone",
    )
    assert release("-n", namespace).returncode == 0
    for name in ("held", "late"):
        assert finalizers(namespace, name) == ["example.com/another"]
        kubectl("patch", "job", name, "-n", namespace, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
