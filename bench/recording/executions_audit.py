"""Who asked the API server for what, from its audit log (Kubernetes, "Auditing")."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules: [{level: Metadata}]
"""
LOGS = "log polls"


def arguments(folder: Path) -> tuple[str, ...]:
    """What the API server must be started with; writes its policy."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "policy.yaml").write_text(POLICY)
    log(folder).unlink(missing_ok=True)
    return (
        f"--audit-policy-file={folder / 'policy.yaml'}",
        f"--audit-log-path={log(folder)}",
        "--audit-log-mode=blocking",
    )


def log(folder: Path) -> Path:
    """The file that it writes."""
    return folder / "audit.log"


def requests(lines: Iterable[str], namespace: str) -> Iterator[tuple[str, str]]:
    """(who, what) of each request about an object in the namespace; watches are left out, as one serves many."""
    for line in lines:
        event = json.loads(line)
        target = event.get("objectRef") or {}
        if target.get("namespace") == namespace and event["verb"] != "watch":
            yield _who(event), _what(event["verb"], target)


def count(folder: Path, namespace: str) -> Counter[tuple[str, str]]:
    """How often each (who, what) came."""
    with log(folder).open() as lines:
        return Counter(requests(lines, namespace))


def _who(event: dict[str, Any]) -> str:
    agent = str(event.get("userAgent", "")).split("/", 1)[0]
    # The controllers of the controller manager have names of their own.
    user = str(event["user"]["username"]).rpartition(":")[2]
    return user if agent == "kube-controller-manager" else agent


def _what(verb: str, target: dict[str, Any]) -> str:
    if target.get("subresource") == "log":
        return LOGS
    resource = "/".join(part for part in (target.get("resource"), target.get("subresource")) if part)
    return f"{verb} {resource}"
