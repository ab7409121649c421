"""The Job that cleans a Project's volume: where it runs."""

from __future__ import annotations

from typing import Any

from cronwright_operator.workspaces.job import CleanerImage, build_job
from support.builders import make_project


def template(**spec: Any) -> dict[str, Any]:
    job = build_job(make_project(**spec), "claim", (), "request", CleanerImage("cronwright:1", "IfNotPresent"))
    found: dict[str, Any] = job["spec"]["template"]
    return found


def test_it_runs_where_the_tasks_of_the_project_run() -> None:
    taint = {"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}
    placed = template(node_selector={"disk": "ssd"}, tolerations=(taint,), pod_annotations={"team": "data"})
    assert (placed["spec"].pop("nodeSelector"), placed["spec"].pop("tolerations")) == ({"disk": "ssd"}, [taint])
    assert placed["metadata"].pop("annotations") == {"team": "data"}, "so no sidecar that the tasks keep out"
    plain = template()
    assert plain["metadata"].pop("annotations") == {}
    assert placed == plain, "and is otherwise the same"
    assert not {"nodeSelector", "tolerations"} & template()["spec"].keys()
