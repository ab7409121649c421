"""Who asked the API server for what, and when a Job was made, from its audit log (Kubernetes, "Auditing")."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

_POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules: [%s]
"""
EVERYTHING = _POLICY % "{level: Metadata}"
NEW_JOBS = _POLICY % "{level: Metadata, verbs: [create], resources: [{group: batch, resources: [jobs]}]}, {level: None}"
"""The policy that logs who made which Job when, and costs nobody else anything."""
LOGS = "log polls"


def arguments(folder: Path, policy: str = EVERYTHING) -> tuple[str, ...]:
    """What the API server must be started with; writes its policy."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "policy.yaml").write_text(policy)
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


class NewJobs:
    """When the Jobs of a namespace were made, by name: the wall time at which the API server had stored each and
    answered whoever made it."""

    def __init__(self, folder: Path, namespace: str) -> None:
        self._log = log(folder)
        self._namespace = namespace
        self._read = 0
        self.times: dict[str, float] = {}

    def read(self) -> dict[str, float]:
        """Takes what has been logged since the last time; returns all."""
        if not self._log.exists():
            return self.times  # nothing has been logged yet
        with self._log.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # it is being written
                self._read += len(line)
                self._take(json.loads(line))
        return self.times

    def _take(self, event: dict[str, Any]) -> None:
        target = event.get("objectRef") or {}
        if target.get("namespace") == self._namespace and event["responseStatus"]["code"] == HTTPStatus.CREATED:
            self.times.setdefault(target["name"], datetime.fromisoformat(event["stageTimestamp"]).timestamp())


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
