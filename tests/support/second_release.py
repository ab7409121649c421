"""A second installation beside the one under test, in a namespace that the first leaves alone, driven by helm."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from typing import Any

from support.chart import CHART, find_helm
from support.cluster import SYSTEM, kubectl

NAMESPACE = "cronwright-second"
RELEASE = "second"
FULL_NAME = "second-cronwright"
PATIENCE_SECONDS = 150
KEPT_KINDS = (
    *("deployments", "replicasets", "statefulsets", "jobs", "cronjobs", "pods", "services", "serviceaccounts"),
    *("configmaps", "secrets", "persistentvolumeclaims", "poddisruptionbudgets", "networkpolicies", "ingresses"),
    *("horizontalpodautoscalers", "roles", "rolebindings", "leases", "scheduledtasks", "projects.cronwright.dev"),
)
"""Everything that chart, operator or Kubernetes makes in the namespace, but events and what follows from Services."""
CLUSTER_KINDS = "clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings"

_ASK = """
import sys, urllib.request
request = urllib.request.Request("http://127.0.0.1:8000/api/v1/scheduler" + sys.argv[2])
request.add_header("Authorization", "Bearer " + sys.argv[1])
print(urllib.request.urlopen(request, timeout=20).read().decode())
"""


@dataclass(frozen=True)
class SecondRelease:
    """Helm's verbs, and a look at what there is. Images are those of the first installation."""

    values: dict[str, Any]

    @classmethod
    def beside_the_first(cls) -> SecondRelease:
        """One API, one operator, a database of its own, for its own namespace only."""
        operator = _image("deployment/cronwright-operator")
        repository, _, tag = operator.rpartition(":")
        return cls(
            {
                "image": {"repository": repository, "tag": tag},
                "settings": {"watchNamespaces": [NAMESPACE]},
                "api": {"replicas": 1, "drainSeconds": 1},
                "operator": {"replicas": 1},
                "postgresql": {"image": _image("statefulset/cronwright-postgresql"), "storage": {"size": "1Gi"}},
                # The first one owns the CRDs; policies are objects of the cluster.
                "crds": {"enabled": False},
                "admissionPolicy": {"enabled": False},
                "uninstall": {"suspendCronJobs": True},
            }
        )

    def install(self) -> None:
        self._helm("install", RELEASE, str(CHART), "--values", "-", "--wait", stdin=json.dumps(self.values))

    def upgrade(self, **settings: str) -> None:
        changed = {**self.values, "settings": {**self.values["settings"], **settings}}
        self._helm("upgrade", RELEASE, str(CHART), "--values", "-", "--wait", stdin=json.dumps(changed))

    def rollback(self, revision: int) -> None:
        self._helm("rollback", RELEASE, str(revision), "--wait")

    def test(self) -> str:
        return self._helm("test", RELEASE)

    def uninstall(self) -> str:
        return self._helm("uninstall", RELEASE, "--wait")

    def log_level(self) -> str:
        """The setting as the operator's Pods have it."""
        path = '{.spec.template.spec.containers[0].env[?(@.name=="CRONWRIGHT_LOG_LEVEL")].value}'
        return kubectl("-n", NAMESPACE, "get", f"deployment/{FULL_NAME}-operator", "-o", f"jsonpath={path}")

    def token(self) -> str:
        """One that alice may use."""
        command = ("cronwright", "token", "--user", "alice", "--ttl", "12h")
        return kubectl("-n", NAMESPACE, "exec", f"deploy/{FULL_NAME}-api", "-c", "api", "--", *command).strip()

    def ask(self, token: str, path: str) -> Any:
        """What the API answers to a GET, asked from within its own Pod: no port of the cluster need be open."""
        command = ("python3", "-c", _ASK, token, path)
        return json.loads(kubectl("-n", NAMESPACE, "exec", f"deploy/{FULL_NAME}-api", "-c", "api", "--", *command))

    def documented(self, block: str) -> str:
        """Commands that docs/ print for the release `cronwright` in `cronwright-system`, for this release."""
        block = re.sub(r"\bcronwright-(?=(operator|api|postgresql|jwt-keys)\b)", f"{FULL_NAME}-", block)
        block = block.replace("helm upgrade cronwright charts/cronwright", f"{find_helm()} upgrade {RELEASE} {CHART}")
        return block.replace("cronwright-system", NAMESPACE)

    def left(self) -> set[str]:
        """The objects that are there, as kind/name, but those that every namespace has."""
        found = set(kubectl("-n", NAMESPACE, "get", ",".join(KEPT_KINDS), "-o", "name").split())
        of_cluster = kubectl("get", CLUSTER_KINDS, "-l", f"app.kubernetes.io/instance={RELEASE}", "-o", "name").split()
        return (found | set(of_cluster)) - {"serviceaccount/default", "configmap/kube-root-ca.crt"}

    @staticmethod
    def _helm(*arguments: str, stdin: str | None = None) -> str:
        done = subprocess.run(
            [find_helm(), "-n", NAMESPACE, *arguments, "--timeout", f"{PATIENCE_SECONDS}s"],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS + 30,
            check=False,
        )
        if done.returncode != 0:
            pods = kubectl("-n", NAMESPACE, "get", "pods", "-o", "wide")
            raise AssertionError(f"helm {arguments[0]}: {done.stderr.strip()}\n{done.stdout.strip()}\n{pods}")
        return done.stdout


def _image(workload: str) -> str:
    return kubectl("-n", SYSTEM, "get", workload, "-o", "jsonpath={.spec.template.spec.containers[0].image}")
