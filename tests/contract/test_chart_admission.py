"""The admission policies: where the cluster knows them, trusting the API's own account, judging what is served."""

from __future__ import annotations

from typing import Any

import pytest

from support import chart

KINDS = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")


def render(values: dict[str, Any] | None = None, **options: str) -> chart.Rendered:
    return chart.render(values, kube_version="1.30.0", **options)


def test_two_policies_each_bound_and_denying() -> None:
    rendered = render()
    policies, bindings = (rendered.of(kind) for kind in KINDS)
    names = [item["metadata"]["name"] for item in policies]
    assert names == ["cw-cronwright-owner", "cw-cronwright-overrides"]
    assert [item["spec"]["policyName"] for item in bindings] == names
    assert all(item["spec"]["validationActions"] == ["Deny"] for item in bindings)
    # Without the second the operator's condition remains; without the first nothing does.
    assert [item["spec"]["failurePolicy"] for item in policies] == ["Fail", "Ignore"]


@pytest.mark.parametrize(
    ("values", "version"), [({"admissionPolicy.enabled": False}, "1.35.0"), ({}, "1.29.9")], ids=["off", "old"]
)
def test_none_where_they_are_not_wanted_or_not_known(values: dict[str, Any], version: str) -> None:
    rendered = chart.render(values, kube_version=version)
    assert not [item for kind in KINDS for item in rendered.of(kind)]


@pytest.mark.parametrize(
    ("values", "account"),
    [
        ({}, "cronwright-api"),
        ({"api.serviceAccount": {"create": False, "name": "mine"}}, "mine"),
        ({"fullnameOverride": "other"}, "other-api"),
    ],
)
def test_the_apis_own_account_is_trusted(values: dict[str, Any], account: str) -> None:
    rendered = render(values)
    policy = next(item for item in rendered.of(KINDS[0]) if item["metadata"]["name"].endswith("-owner"))
    (condition,) = policy["spec"]["matchConditions"]
    assert condition["expression"] == f"request.userInfo.username != 'system:serviceaccount:cw:{account}'"
    used = rendered.pod_templates()[f"{values.get('fullnameOverride', 'cronwright')}-api"]["spec"]
    assert used["serviceAccountName"] == account


def test_only_the_namespaces_that_are_served_are_judged() -> None:
    everywhere = render().of(KINDS[0])
    assert all("namespaceSelector" not in item["spec"]["matchConstraints"] for item in everywhere)
    named = render({"settings.namespace": "a", "settings.watchNamespaces": ["a", "b"]}).of(KINDS[0])
    for item in named:
        (expression,) = item["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"]
        assert expression == {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["a", "b"]}


def test_two_releases_have_policies_of_their_own() -> None:
    names = [{item["metadata"]["name"] for item in render(namespace=name).of(KINDS[0])} for name in ("a", "b")]
    assert not names[0] & names[1]
