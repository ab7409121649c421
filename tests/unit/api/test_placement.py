"""/projects: on which nodes the Pods of a project run, and their annotations."""

from __future__ import annotations

from typing import Any

import pytest

from cronwright_core.kube.resources import PROJECTS
from support import bad_inputs
from support.api import World

PLACED: dict[str, Any] = {
    "node_selector": {"disktype": "ssd", "kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0}],
    "pod_annotations": {"sidecar.istio.io/inject": "false"},
}
IN_RESOURCE = {"node_selector": "nodeSelector", "tolerations": "tolerations", "pod_annotations": "podAnnotations"}
BAD = [bad for bad in bad_inputs.PROJECTS if bad.field in PLACED]


def call(world: World, method: str, path: str, **body: Any) -> Any:
    return world.call(method, path, user="root", admin=True, json=body)


def create(world: World, **fields: Any) -> Any:
    return call(world, "POST", "/projects", name="data", image="busybox", **fields)


def put(world: World, **fields: Any) -> Any:
    return call(world, "PUT", "/projects/1", **fields)


def test_where_it_runs_is_set_read_changed_and_cleared(world: World) -> None:
    def stored() -> dict[str, Any]:
        spec = world.objects.only(PROJECTS)["spec"]
        return {name: spec[kube] for name, kube in IN_RESOURCE.items() if kube in spec}

    data = create(world, **PLACED).json()["data"]
    assert {name: data[name] for name in PLACED} == stored() == PLACED
    assert put(world, **data).json()["data"] == data, "what was read may be sent back"
    assert world.objects.only(PROJECTS)["metadata"]["generation"] == 1
    assert put(world, description="d").status_code == 200
    other = {"disktype": "hdd"}
    changed = put(world, node_selector=other).json()["data"]
    assert {name: changed[name] for name in PLACED} == stored() == PLACED | {"node_selector": other}
    cleared = put(world, node_selector={}, tolerations=[], pod_annotations={}).json()["data"]
    assert [cleared[name] for name in PLACED] == [{}, [], {}]
    assert stored() == {}
    for name in PLACED:
        assert put(world, **{name: None}).status_code == 400, "as every list of a project"


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_a_place_that_a_pod_would_be_refused_for_is_named(world: World, bad: bad_inputs.Bad) -> None:
    refused = create(world, **bad.rest)
    assert create(world).status_code == 200
    for response in (refused, put(world, **bad.rest)):
        assert response.status_code == 400, response.text
        assert {error["field"].split(".")[0] for error in response.json()["errors"]} == {bad.field}
