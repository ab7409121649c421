"""The whole end-to-end run used every right that the chart grants, and asked for none that it lacks.

Runs last: what it reads is the API server's audit log of all that went before, from the moment on at which `make up`
installed this build. Requests of earlier builds do not count.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from support.audit import (
    EVERYWHERE,
    Request,
    Right,
    granted_rights,
    parts_of,
    read_requests,
    refused_for_want,
    unused_rights,
)
from support.cluster import SYSTEM, kubectl

SINCE = "cronwright.dev/installed-at"
OPERATOR = "cronwright-operator"

NEVER_SEEN = {
    Right(OPERATOR, EVERYWHERE, "", "nodes/stats", "get"): "asked of the kubelets, which check it under their own name",
    Right(OPERATOR, EVERYWHERE, "", "nodes/log", "get"): "asked of the kubelets, which check it under their own name",
    Right(OPERATOR, EVERYWHERE, "metrics.k8s.io", "nodes", "list"): "only where a kubelet does not answer",
    Right(OPERATOR, EVERYWHERE, "metrics.k8s.io", "pods", "list"): "only where a kubelet does not answer",
    Right(OPERATOR, EVERYWHERE, "batch", "cronjobs", "get"): "only where the answer to a create was lost",
    Right(OPERATOR, SYSTEM, "coordination.k8s.io", "leases", "create"): "only at the first installation in a cluster",
}
"""Rights that a run need not use, and why each is granted all the same."""


@pytest.fixture(scope="module")
def requests() -> list[Request]:
    given = os.environ.get("CRONWRIGHT_AUDIT_LOG")
    if not given:
        pytest.skip("CRONWRIGHT_AUDIT_LOG is not set: only the local cluster's API server shows its audit log")
    annotations = json.loads(kubectl("get", "namespace", SYSTEM, "-o", "json"))["metadata"].get("annotations", {})
    assert SINCE in annotations, f"the namespace has no {SINCE}: run `make up`"
    since = datetime.fromisoformat(annotations[SINCE])
    found: list[Request] = []
    for part in parts_of(Path(given)):
        with part.open(errors="replace") as lines:
            found += read_requests(lines, namespace=SYSTEM, since=since)
    assert found, f"no request of {SYSTEM} in {given} since {since}"
    return found


@pytest.fixture(scope="module")
def granted() -> set[Right]:
    def items(*kinds: str) -> list[dict[str, Any]]:
        listed = [json.loads(kubectl("get", kind, "-A", "-o", "json"))["items"] for kind in kinds]
        return [item for page in listed for item in page]

    bindings = items("rolebindings", "clusterrolebindings")
    return granted_rights(bindings, items("roles", "clusterroles"), SYSTEM)


def test_nothing_was_refused_for_want_of_a_right(requests: list[Request], granted: set[Right]) -> None:
    lacking = refused_for_want(requests, granted)
    refused = Counter(f"{request.right} ({request.path[:120]})" for request in lacking)
    assert not refused, "forbidden by RBAC:\n" + "\n".join(
        f"{count} x {what}" for what, count in refused.most_common(20)
    )


def test_every_right_was_used(requests: list[Request], granted: set[Right]) -> None:
    assert {right.account for right in granted} == {OPERATOR, "cronwright-api"}
    unused = [right for right in unused_rights(granted, requests) if right not in NEVER_SEEN]
    assert not unused, (
        f"of {len(granted)} rights, these were not used by {len(requests)} requests (the whole of e2e, lifecycle and"
        " absence has to have run since the installation):\n" + "\n".join(map(str, unused))
    )


def test_each_exception_is_a_right(granted: set[Right]) -> None:
    assert set(NEVER_SEEN) <= granted
