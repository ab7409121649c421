"""What the manifests of a task say about themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cronwright_core.domain import naming
from cronwright_core.domain.project import ContainerTemplate, Workspace
from cronwright_core.domain.task import Overrides
from cronwright_operator.reconciling import manifests
from cronwright_operator.reconciling.manifests import (
    CronJobOutline,
    build_cron_tick_job,
    build_cronjob,
    build_request_job,
    build_tick_job,
    outline_cronjob,
    spec_hash,
)
from support.builders import CREATED, make_cronjob, make_project, make_task

LINE: dict[str, Any] = {"cron_line": "* * * * *", "suspend": False, "priority_class": None}
TASK, PROJECT = make_task(), make_project()
CHANGES = {
    "nothing": (TASK, PROJECT, LINE),
    "name": (replace(TASK, name="other"), PROJECT, LINE),
    "image": (make_task(overrides=Overrides(image="alpine:3")), PROJECT, LINE),
    "time limit": (make_task(timeout_seconds=7), PROJECT, LINE),
    "policy": (make_task(max_instances=2), PROJECT, LINE),
    "zone": (make_task(time_zone="Asia/Shanghai"), PROJECT, LINE),
    "queue": (replace(TASK, queue_labels={naming.KUEUE_QUEUE_LABEL: "batch"}), PROJECT, LINE),
    "Project's image": (TASK, make_project(container=ContainerTemplate(image="busybox:2")), LINE),
    "Project's account": (TASK, make_project(service_account_name="runner"), LINE),
    "Project's nodes": (TASK, make_project(node_selector={"disk": "ssd"}), LINE),
    "Project's tolerations": (TASK, make_project(tolerations=({"operator": "Exists"},)), LINE),
    "Project's annotations": (TASK, make_project(pod_annotations={"team": "data"}), LINE),
    "line": (TASK, PROJECT, {**LINE, "cron_line": "0 9 * * *"}),
    "pause": (TASK, PROJECT, {**LINE, "suspend": True}),
    "priority": (TASK, PROJECT, {**LINE, "priority_class": "high"}),
}


def test_the_hash_of_a_cronjob_is_of_what_it_says_in_any_order_and_any_text() -> None:
    assert spec_hash({"suspend": False, "env": "日"}) == spec_hash({"env": "日", "suspend": False})
    assert spec_hash({"env": "\ud800"}) != spec_hash({"env": "\ud801"}), "halves of a character, which kubectl takes"


def test_the_hash_of_a_cronjob_whose_project_says_little_is_what_it_always_was() -> None:
    """Another one, and at an upgrade every CronJob of every installation is written anew: what a Project may leave out
    leaves no trace in the template."""
    manifest = build_cronjob(TASK, PROJECT, **LINE)
    assert manifest["metadata"]["annotations"] == {naming.SPEC_HASH_ANNOTATION: "5f5d53e2b6fd98b3"}


def test_another_title_or_owner_writes_no_cronjob_anew() -> None:
    """Whose a run is and what its task is called stands in its record."""
    handed_on = replace(TASK, spec=replace(TASK.spec, display_name="another", owner="bob"))
    manifest = build_cronjob(TASK, PROJECT, **LINE)
    assert build_cronjob(handed_on, make_project(owner="carol"), **LINE) == manifest


def _container(cronjob: dict[str, Any]) -> dict[str, Any]:
    (container,) = cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    return container


def test_a_task_cannot_name_its_workspace_itself() -> None:
    own = {"name": "CRONWRIGHT_JOB_NAME", "value": "another"}
    task = make_task(overrides=Overrides(env=(own, {"name": "A", "value": "1"})))
    container = _container(build_cronjob(task, make_project(workspace=Workspace("claim", "/data")), **LINE))
    named = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert named == {"A": "1", "CRONWRIGHT_JOB_NAME": None, "CRONWRIGHT_WORKSPACE": "/data"}
    assert container["volumeMounts"][0]["subPathExpr"] == "$(CRONWRIGHT_JOB_NAME)"


def test_a_program_without_a_workspace_gets_its_own_variables_and_no_other() -> None:
    variable = {"name": "A", "value": "1"}
    task = make_task(overrides=Overrides(env=(variable,)))
    assert _container(build_cronjob(task, PROJECT, **LINE))["env"] == [variable]
    assert "env" not in _container(build_cronjob(TASK, PROJECT, **LINE))


def test_every_pod_of_a_project_is_placed_and_annotated_as_it_says() -> None:
    taint = {"key": "dedicated", "operator": "Equal", "value": "batch", "effect": "NoSchedule"}
    project = make_project(
        node_selector={"disk": "ssd"}, tolerations=(taint,), pod_annotations={"sidecar.istio.io/inject": "false"}
    )
    cronjob = build_cronjob(TASK, project, **LINE)
    jobs = (
        cronjob["spec"]["jobTemplate"],
        build_tick_job(TASK, project, tick=CREATED),
        build_cron_tick_job(TASK, project, make_cronjob(), tick=CREATED),
        build_request_job(TASK, project, request_key="1", time=CREATED, requested_by="bob"),
    )
    for job in jobs:
        pod = job["spec"]["template"]
        assert (pod["spec"]["nodeSelector"], pod["spec"]["tolerations"]) == ({"disk": "ssd"}, [taint])
        assert pod["metadata"]["annotations"] == {"sidecar.istio.io/inject": "false"}
        assert "sidecar.istio.io/inject" not in job["metadata"]["annotations"]


def _outline_of(manifest: dict[str, Any]) -> CronJobOutline:
    spec = manifest["spec"]
    hash_ = manifest["metadata"]["annotations"][naming.SPEC_HASH_ANNOTATION]
    return CronJobOutline(hash_, spec["schedule"], spec["timeZone"], spec["suspend"], spec["concurrencyPolicy"])


@pytest.mark.parametrize("change", CHANGES)
def test_an_outline_is_that_of_the_cronjob_whatever_was_asked_before(change: str) -> None:
    task, project, line = CHANGES[change]
    before = outline_cronjob(TASK, PROJECT, **LINE)
    outline = outline_cronjob(task, project, **line)
    assert outline == _outline_of(build_cronjob(task, project, **line))
    assert (outline == before) is (change == "nothing")
    assert outline_cronjob(TASK, PROJECT, **LINE) == before


def test_what_was_outlined_is_not_built_again(monkeypatch: pytest.MonkeyPatch) -> None:
    outline = outline_cronjob(TASK, PROJECT, **LINE)
    monkeypatch.setattr(manifests, "_cronjob_spec", None)
    # As each event brings it: equal, and another object.
    assert outline_cronjob(make_task(), make_project(), **LINE) == outline


def test_only_so_many_outlines_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "_MAX_KNOWN", 2)
    monkeypatch.setattr(manifests, "_known_outlines", {})
    for uid in ("a", "b", "a", "c"):
        outline_cronjob(replace(TASK, uid=uid), PROJECT, **LINE)
    assert list(manifests._known_outlines) == ["a", "c"], "the one that was asked for longest ago has gone"
