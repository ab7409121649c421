"""The API server's audit log: what the product's own service accounts ask for, and nothing else.

`make test` reads it at its end: a request that was forbidden, or a right that nobody used, is a mistake in the chart
(tests/rights). One line of about a kilobyte a request, without bodies; bounded.
"""

from __future__ import annotations

import json
from pathlib import Path

from cluster.settings import Layout

PRODUCT_NAMESPACE = "cronwright-system"
MEGABYTES_PER_FILE = 64
OLD_FILES = 3


def path_of(layout: Layout) -> Path:
    """The log that is being written; older parts lie beside it."""
    return layout.logs / "audit" / "audit.log"


def write_policy(layout: Layout) -> Path:
    """Writes the policy, if it differs, and makes the log's folder; returns the policy's path."""
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        # One event a request; ResponseStarted stays, as that of a watch comes at its begin and not minutes later.
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "Metadata", "userGroups": [f"system:serviceaccounts:{PRODUCT_NAMESPACE}"]},
            {"level": "None"},
        ],
    }
    text = json.dumps(policy, indent=1) + "\n"
    path = layout.config / "audit-policy.json"
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    path_of(layout).parent.mkdir(parents=True, exist_ok=True)
    return path


def build_arguments(layout: Layout, policy: Path) -> tuple[str, ...]:
    """The API server's arguments for it."""
    return (
        f"--audit-policy-file={policy}",
        f"--audit-log-path={path_of(layout)}",
        f"--audit-log-maxsize={MEGABYTES_PER_FILE}",
        f"--audit-log-maxbackup={OLD_FILES}",
    )
