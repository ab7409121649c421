"""The local cluster's audit log: what is written, and how it is read."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "dev"))

from cluster import audit, controlplane  # noqa: E402
from cluster.settings import find_layout  # noqa: E402
from support.audit import (  # noqa: E402
    EVERYWHERE,
    Request,
    Right,
    granted_rights,
    parts_of,
    read_requests,
    refused_for_want,
    unused_rights,
)

SINCE = datetime(2026, 3, 1, tzinfo=UTC)


def event(account: str = "ns:op", time: str = "2026-03-01T00:00:01.000000Z", **changes: Any) -> str:
    body = {
        "stage": "ResponseComplete",
        "requestURI": "/apis/batch/v1/namespaces/a/jobs/x",
        "verb": "patch",
        "user": {"username": f"system:serviceaccount:{account}"},
        "objectRef": {"resource": "jobs", "namespace": "a", "apiGroup": "batch", "name": "x"},
        "requestReceivedTimestamp": time,
        "annotations": {"authorization.k8s.io/decision": "allow"},
    }
    return json.dumps({**body, **changes})


def read(*lines: str) -> list[Request]:
    return list(read_requests(lines, namespace="ns", since=SINCE))


def test_only_this_build_and_only_our_accounts_count() -> None:
    requests = read(
        event(),
        event(time="2026-02-28T23:59:59.999999Z"),
        event("another:op"),
        event("ns2:op"),
        event()[:-20],
    )
    assert [request.right for request in requests] == [Right("op", "a", "batch", "jobs", "patch")]


def test_refused_by_rbac_is_not_refused_by_a_quota() -> None:
    quota = event(responseStatus={"code": 403})
    rbac = event(responseStatus={"code": 403}, annotations={"authorization.k8s.io/decision": "forbid"})
    assert [request.forbidden for request in read(quota, rbac)] == [False, True]


def test_a_refusal_of_what_is_granted_is_one_of_an_api_server_that_has_just_started() -> None:
    forbidden = {"authorization.k8s.io/decision": "forbid"}
    (request,) = read(event(annotations=forbidden))
    right = request.right
    assert refused_for_want([request], {right}) == refused_for_want([request], {right._replace(namespace="*")}) == []
    assert refused_for_want([request], {right._replace(verb="get")}) == [request]
    assert refused_for_want([request], {right._replace(namespace="b")}) == [request]
    assert refused_for_want(read(event()), set()) == []


def test_a_subresource_is_a_right_of_its_own_and_a_path_without_object_is_named() -> None:
    log = {"resource": "pods", "subresource": "log", "namespace": "a", "name": "p"}
    found = read(event(verb="get", objectRef=log), event(verb="get", objectRef=None, requestURI="/version?timeout=5s"))
    assert [(r.right.group, r.right.resource) for r in found] == [("", "pods/log"), ("", "/version")]


def role(kind: str, name: str, rules: list[dict[str, Any]], namespace: str | None = None) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, **({"namespace": namespace} if namespace else {})}, "rules": rules}


def binding(kind: str, name: str, namespace: str | None = None, subject_namespace: str = "ns") -> dict[str, Any]:
    return {
        "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        "roleRef": {"kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "op", "namespace": subject_namespace}],
    }


def test_rights_are_compared_within_their_reach() -> None:
    jobs = [{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["patch", "get"]}]
    roles = [role("ClusterRole", "wide", jobs), role("Role", "near", jobs, "b")]
    bindings = [binding("ClusterRole", "wide"), binding("Role", "near", "b"), binding("ClusterRole", "wide", None, "x")]
    granted = granted_rights(bindings, roles, "ns")
    assert len(granted) == 4
    assert unused_rights(granted, read(event())) == [
        Right("op", EVERYWHERE, "batch", "jobs", "get"),
        Right("op", "b", "batch", "jobs", "get"),
        Right("op", "b", "batch", "jobs", "patch"),
    ]


def test_rotated_parts_are_read_too(tmp_path: Path) -> None:
    names = ("audit-2026-03-01T00-00-00.000.log", "audit-2026-03-02T00-00-00.000.log", "audit.log", "other.log")
    for name in names:
        (tmp_path / name).touch()
    assert [path.name for path in parts_of(tmp_path / "audit.log")] == list(names[:3])


def test_a_changed_policy_starts_the_api_server_anew(tmp_path: Path) -> None:
    layout = find_layout({"CRONWRIGHT_STATE": str(tmp_path)})
    layout.pki.mkdir(parents=True)
    (layout.pki / "apiserver.crt").write_text("")
    policy = audit.write_policy(layout)
    plain = controlplane.build_api_server(layout, Path("/b")).fingerprint()
    audited = controlplane.build_api_server(layout, Path("/b"), policy)
    before = audited.fingerprint()
    assert f"--audit-policy-file={policy}" in audited.command
    written = policy.stat().st_mtime_ns
    assert audit.write_policy(layout).stat().st_mtime_ns == written
    policy.write_text(policy.read_text().replace("cronwright-system", "another"))
    assert len({plain, before, audited.fingerprint()}) == 3
    assert json.loads(audit.write_policy(layout).read_text())["rules"][-1] == {"level": "None"}
