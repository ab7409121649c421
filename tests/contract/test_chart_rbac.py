"""The rights that the chart grants are exactly these; one that is added is added here, with its reason in the chart."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from support import chart

Rights = set[tuple[str, str, str]]

API: Rights = {
    ("cronwright.dev", kind, verb)
    for kind in ("scheduledtasks", "projects")
    for verb in ("create", "get", "patch", "delete")
}
OPERATOR: Rights = {
    *(
        ("cronwright.dev", kind, verb)
        for kind in ("scheduledtasks", "projects")
        for verb in ("get", "list", "watch", "patch")
    ),
    *(("cronwright.dev", kind, "patch") for kind in ("scheduledtasks/status", "projects/status")),
    *(("batch", "jobs", verb) for verb in ("get", "list", "watch", "create", "patch", "delete")),
    *(("batch", "cronjobs", verb) for verb in ("get", "list", "watch", "create", "patch")),
    ("batch", "cronjobs/status", "patch"),
    *(("", "pods", verb) for verb in ("list", "watch", "patch", "delete")),
    ("", "pods/log", "get"),
    *(("", "events", verb) for verb in ("list", "create", "patch")),
}
LEASE: Rights = {("coordination.k8s.io", "leases", verb) for verb in ("get", "create", "update")}

NODE_METRICS: Rights = {
    ("", "nodes", "list"),
    ("", "nodes/stats", "get"),
    ("metrics.k8s.io", "nodes", "list"),
    ("metrics.k8s.io", "pods", "list"),
}


READ = ("get", "list", "watch")
WRITE = ("create", "update", "patch", "delete", "deletecollection")


def rights(rules: list[dict[str, Any]]) -> Rights:
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def granted(rendered: chart.Rendered, account: str) -> dict[str, Rights]:
    """The rights of a ServiceAccount by namespace; `*` is the whole cluster."""
    result: dict[str, Rights] = {}
    for binding in rendered.of("RoleBinding") + rendered.of("ClusterRoleBinding"):
        if {"kind": "ServiceAccount", "name": account, "namespace": "cw"} not in binding["subjects"]:
            continue
        kind = binding["roleRef"]["kind"]
        namespace = binding["metadata"].get("namespace", "*")
        role = next(
            item
            for item in rendered.of(kind)
            if item["metadata"]["name"] == binding["roleRef"]["name"]
            and item["metadata"].get("namespace", "*") == ("*" if kind == "ClusterRole" else namespace)
        )
        result.setdefault(namespace, set()).update(rights(role["rules"]))
    return result


def test_rights_when_all_namespaces_are_served() -> None:
    rendered = chart.render()
    assert granted(rendered, "cronwright-api") == {"*": API}
    assert granted(rendered, "cronwright-operator") == {"*": OPERATOR, "cw": LEASE}


PEOPLE: dict[str, Rights] = {
    "view": {("cronwright.dev", kind, verb) for kind in ("scheduledtasks", "projects") for verb in READ},
    "edit": {("cronwright.dev", "scheduledtasks", verb) for verb in WRITE},
    "admin": {("cronwright.dev", "projects", verb) for verb in WRITE},
}


def aggregated(rendered: chart.Rendered) -> dict[str, Rights]:
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    return {
        label.removeprefix(prefix): rights(role["rules"])
        for role in rendered.of("ClusterRole")
        for label in role["metadata"]["labels"]
        if label.startswith(prefix)
    }


def test_people_get_rights_by_kubernetes_own_roles() -> None:
    assert aggregated(chart.render()) == PEOPLE
    assert aggregated(chart.render({"rbac.aggregate": False})) == {}


def test_nothing_is_cluster_wide_when_namespaces_are_named() -> None:
    rendered = chart.render({"settings.namespace": "a", "settings.watchNamespaces": ["a", "b"]})
    assert rendered.of("ClusterRole") == rendered.of("ClusterRoleBinding") == []
    assert granted(rendered, "cronwright-api") == {"a": API, "b": API}
    assert granted(rendered, "cronwright-operator") == {"a": OPERATOR, "b": OPERATOR, "cw": LEASE}


def test_nodes_are_read_only_where_the_value_asks_for_it() -> None:
    everywhere = chart.render({"nodeMetrics.enabled": True})
    assert granted(everywhere, "cronwright-operator") == {"*": OPERATOR | NODE_METRICS, "cw": LEASE}
    named = chart.render({"nodeMetrics.enabled": True, "settings.namespace": "a", "settings.watchNamespaces": ["a"]})
    assert granted(named, "cronwright-operator") == {"*": NODE_METRICS, "a": OPERATOR, "cw": LEASE}
    assert granted(named, "cronwright-api") == {"a": API}


def test_log_files_and_secrets_are_read_only_where_a_value_asks_for_it() -> None:
    files, secrets = ("", "nodes/log", "get"), ("", "secrets", "get")
    values = {"logs.kubeletFiles": True, "logs.redact.secrets": True}
    everywhere = chart.render(values)
    assert granted(everywhere, "cronwright-operator") == {"*": OPERATOR | {files, secrets}, "cw": LEASE}
    named = chart.render({**values, "settings.namespace": "a", "settings.watchNamespaces": ["a", "b"]})
    assert granted(named, "cronwright-operator") == {
        "*": {files},
        "a": OPERATOR | {secrets},
        "b": OPERATOR | {secrets},
        "cw": LEASE,
    }
    assert granted(named, "cronwright-api") == {"a": API, "b": API}


def test_log_files_cannot_be_the_source_without_the_right() -> None:
    with pytest.raises(chart.RenderError, match="kubeletFiles"):
        chart.render({"logs.source": "files"})
    env = {
        variable["name"]: variable.get("value")
        for variable in chart.render(
            {"logs.source": "files", "logs.kubeletFiles": True, "logs.redact.patterns": ['a"b', "c d"]}
        ).pod_templates()["cronwright-operator"]["spec"]["containers"][0]["env"]
    }
    assert env["CRONWRIGHT_LOG_SOURCE"] == "files"
    assert json.loads(env["CRONWRIGHT_LOG_REDACT_PATTERNS"]) == ['a"b', "c d"]
    assert env["CRONWRIGHT_KUBELET_PORT"] == "10250"


def test_the_lease_is_bound_to_its_name() -> None:
    role = chart.render({"operator.leaseName": "the-lease"}).one("Role", "cronwright-operator-lease")
    for rule in role["rules"]:
        assert rule["verbs"] == ["create"] or rule["resourceNames"] == ["the-lease"]


@pytest.mark.parametrize("part", ["api", "operator"])
def test_pods_use_the_account_of_their_part(part: str) -> None:
    rendered = chart.render()
    name = f"cronwright-{part}"
    assert rendered.pod_templates()[name]["spec"]["serviceAccountName"] == name
    assert rendered.one("ServiceAccount", name)


def test_no_wildcard_and_no_way_to_more_rights() -> None:
    rendered = chart.render()
    everything = set().union(*(rights(item["rules"]) for item in rendered.of("Role") + rendered.of("ClusterRole")))
    assert not {item for item in everything if "*" in item}
    forbidden = {
        "secrets",
        "nodes",
        "nodes/proxy",
        "pods/exec",
        "pods/attach",
        "roles",
        "clusterroles",
        "serviceaccounts/token",
    }
    assert not {resource for _, resource, _ in everything} & forbidden


@pytest.mark.parametrize("part", ["api", "operator"])
def test_each_rule_stands_below_its_reason(part: str) -> None:
    lines = (chart.CHART / "templates" / part / "rbac.yaml").read_text().splitlines()
    rules = [number for number, line in enumerate(lines) if re.match(r"\s*- apiGroups:", line)]
    assert rules
    unexplained = [lines[number] for number in rules if not lines[number - 1].lstrip().startswith("#")]
    assert unexplained == []


@pytest.mark.parametrize("namespaces", [[], ["team-a"]])
def test_every_right_of_the_operator_goes_to_the_account_that_it_runs_as(namespaces: list[str]) -> None:
    rendered = chart.render(
        {
            "operator.serviceAccount.name": "mine",
            "settings.watchNamespaces": namespaces,
            "settings.namespace": namespaces[0] if namespaces else "",
            "nodeMetrics.enabled": True,
            "logs.kubeletFiles": True,
            "logs.redact.secrets": True,
        }
    )
    of_operator = [
        item
        for item in rendered.objects
        if item["kind"] in ("RoleBinding", "ClusterRoleBinding")
        and item["metadata"]["labels"].get("app.kubernetes.io/component") == "operator"
    ]
    assert len(of_operator) >= 4
    assert {subject["name"] for item in of_operator for subject in item["subjects"]} == {"mine"}
