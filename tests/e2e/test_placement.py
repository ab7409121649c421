"""The Pods of a Project's tasks run on the nodes that it names, with its annotations, until it names none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.cluster import Rest, Space, eventually, kubectl

TAINT = {"key": "cronwright-e2e", "operator": "Exists", "effect": "NoSchedule"}
NOTE = {"example.com/team": "data"}


def place_of(template: dict[str, Any]) -> dict[str, Any]:
    """What a template, or a Pod, says of nodes and annotations, without what the cluster adds to it."""
    spec, notes = template["spec"], template["metadata"].get("annotations", {})
    return {
        "node_selector": spec.get("nodeSelector", {}),
        "tolerations": [taint for taint in spec.get("tolerations", []) if taint["key"] == TAINT["key"]],
        "pod_annotations": {key: value for key, value in notes.items() if key in NOTE},
    }


@pytest.mark.takes(20)
def test_pods_run_where_the_project_says_and_anywhere_again(space: Space, alice: Rest, admin: Rest) -> None:
    nodes = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    node = next(item["metadata"] for item in nodes if not item["spec"].get("taints"))
    placed = {
        "node_selector": {"kubernetes.io/hostname": node["labels"]["kubernetes.io/hostname"]},
        "tolerations": [TAINT],
        "pod_annotations": NOTE,
    }
    space.apply_project(
        "placed", nodeSelector=placed["node_selector"], tolerations=[TAINT], podAnnotations=placed["pod_annotations"]
    )
    space.apply_task("placed", projectName="placed", scheduleType="Cron", schedule="0 0 1 1 *")
    task, project = space.task_id("placed"), f"/projects/{space.project_id('placed')}"
    read = admin.data("GET", project)
    assert {name: read[name] for name in placed} == placed

    def template() -> dict[str, Any]:
        (cronjob,) = space.items("cronjobs")
        found: dict[str, Any] = cronjob["spec"]["jobTemplate"]["spec"]["template"]
        return found

    def pod_of_a_run(count: int) -> dict[str, Any]:
        before = {pod["metadata"]["name"] for pod in space.items("pods")}
        alice.trigger(task)
        assert {run["status"] for run in alice.ended(task, count=count)} == {"SUCCESS"}
        (pod,) = (pod for pod in space.items("pods") if pod["metadata"]["name"] not in before)
        return pod

    eventually(lambda: place_of(template()) == placed, seconds=30, what="the CronJob to have the Project's place")
    pod = pod_of_a_run(1)
    assert (place_of(pod), pod["spec"]["nodeName"]) == (placed, node["name"])

    none: dict[str, Any] = {"node_selector": {}, "tolerations": [], "pod_annotations": {}}
    cleared = admin.data("PUT", project, json=none)
    assert {name: cleared[name] for name in none} == none
    left = space.get("project.cronwright.dev", "placed")["spec"].keys()
    assert not left & {"nodeSelector", "tolerations", "podAnnotations"}
    eventually(lambda: place_of(template()) == none, seconds=30, what="the CronJob to have no place")
    assert place_of(pod_of_a_run(2)) == none
