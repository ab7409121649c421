"""What a Project may say of nodes and annotations; what it may not is tried through REST (`support.bad_inputs`)."""

from __future__ import annotations

from typing import Any

import pytest

from cronwright_core.domain.placement import check_placement
from support.builders import make_project

LONGEST_KEY = "a" * 253 + "/" + "B" * 63
GOOD: list[dict[str, Any]] = [
    {},
    {"node_selector": {LONGEST_KEY: "v" * 63, "kubernetes.io/hostname": "node-1", "Disk_type.x": ""}},
    {"node_selector": {f"k{number}": "v" for number in range(16)}},
    {"pod_annotations": {LONGEST_KEY: "日" * 1024, "sidecar.istio.io/inject": "false", "kubernetes.io": "a\nb"}},
    {"pod_annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}},
    {"pod_annotations": {"x-k8s.io/a": "", "kueue.x-k8s.io/a": "", "notkubernetes.io/a": "", "k8s.io.example/a": ""}},
    {"pod_annotations": {f"k{number}": "v" for number in range(32)}},
    *(
        {"tolerations": (toleration,)}
        for toleration in (
            {"operator": "Exists"},
            {"key": "", "operator": "Exists", "value": "", "effect": "NoExecute"},
            {"key": LONGEST_KEY, "value": "v" * 63},
            {"key": "gpu", "operator": "Equal", "value": "", "effect": "PreferNoSchedule"},
            {"key": "gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0},
        )
    ),
    {"tolerations": ({"key": "same", "operator": "Exists"},) * 16},
]


@pytest.mark.parametrize("placement", GOOD, ids=range(len(GOOD)))
def test_what_a_pod_may_say_a_project_may_say(placement: dict[str, Any]) -> None:
    assert check_placement(make_project(**placement).spec) == []


def test_everything_that_is_wrong_is_told_at_once_and_in_both_languages() -> None:
    wrong = make_project(
        node_selector={"a b": "v", "zone": "-"},
        tolerations=({"key": "ok"}, {"operator": "Exists", "value": "v", "tolerationSeconds": 1}),
        pod_annotations={"k8s.io/x": "", "x" * 1_000_000: "", "note": "x" * 1025},
    )
    errors = check_placement(wrong.spec)
    assert [(error.field, error.kube_field) for error in errors] == [
        *[("node_selector", "spec.nodeSelector")] * 2,
        ("tolerations.1.value", "spec.tolerations[1].value"),
        ("tolerations.1.tolerationSeconds", "spec.tolerations[1].tolerationSeconds"),
        *[("pod_annotations", "spec.podAnnotations")] * 3,
    ]
    assert errors[0].message.en == "a b: is no label key, such as team or example.com/team"
    assert errors[0].message.zh == "a b：不是有效的标签键，如 team 或 example.com/team"
    assert all(len(error.message.en) < 250 for error in errors), "a key of 1 MB is not said back"


def test_of_too_many_entries_none_is_judged() -> None:
    many = {f"a b {number}": "v" for number in range(10_000)}
    spec = make_project(node_selector=many, tolerations=({},) * 17, pod_annotations=many).spec
    messages = [error.message.en for error in check_placement(spec)]
    assert messages == [f"must not have more than {most} items" for most in (16, 16, 32)]
