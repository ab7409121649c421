"""The cluster that was chosen, and how its Services are reached from here."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from up.commands import ROOT

LOCAL = ROOT / ".local"
RECORD = LOCAL / "cluster.json"

API_NODE_PORT = 30080
DATABASE_NODE_PORT = 30432


@dataclass(frozen=True)
class Target:
    """A cluster: `kind` is `built` (ours, from Go modules), `kind` (in Docker) or `given` (somebody's kubeconfig)."""

    kubeconfig: str
    context: str
    kind: str

    @property
    def has_node_ports(self) -> bool:
        """Whether a NodePort answers on 127.0.0.1: so it is on the clusters that we make."""
        return self.kind in ("built", "kind")

    def remember(self) -> None:
        """Note what was chosen, for `make down` and `make status`."""
        LOCAL.mkdir(exist_ok=True)
        RECORD.write_text(json.dumps(asdict(self)) + "\n")


def remembered(record: Path = RECORD) -> Target | None:
    """The cluster of the last `make up` in this checkout."""
    try:
        return Target(**json.loads(record.read_text()))
    except (OSError, ValueError, TypeError):
        return None
