"""kubectl bound to the chosen cluster: never the caller's own current context."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from cluster.errors import ClusterError
from up import tools
from up.commands import run

SYSTEM = "cronwright-system"
"""The namespace of the release."""
DEMO = "cronwright-demo"
"""The namespace of the demo's Project and tasks."""


@dataclass(frozen=True)
class Kubectl:
    """Calls of kubectl for one kubeconfig and context."""

    kubeconfig: str
    context: str

    def __call__(self, *arguments: str, stdin: str | None = None, timeout_seconds: float = 120) -> str:
        """Run kubectl; return its output. Raises ClusterError with what it printed."""
        command = [tools.ensure("kubectl"), "--context", self.context, *arguments]
        # By the environment, since a kubeconfig may be a list of files, which the flag does not take.
        return run(command, env={"KUBECONFIG": self.kubeconfig}, stdin=stdin, timeout_seconds=timeout_seconds)

    def get(self, *arguments: str) -> dict[str, Any] | None:
        """An object or a list as JSON; None when it is not there."""
        try:
            loaded: dict[str, Any] = json.loads(self("get", *arguments, "-o", "json"))
        except ClusterError as error:
            if "NotFound" in error.message or "not found" in error.message:
                return None
            raise
        return loaded

    def ensure_namespace(self, name: str, labels: dict[str, str]) -> None:
        """Make a namespace with these labels, or add the labels to it; changes nothing that is right."""
        found = self.get("namespace", name)
        if found is None or labels.items() - found["metadata"].get("labels", {}).items():
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
            self("apply", "--server-side", "--field-manager=cronwright-up", "-f", "-", stdin=json.dumps(body))
