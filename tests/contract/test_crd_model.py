"""The CRDs and the domain model say the same: every field is read and written, defaults and bounds agree."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from cronwright_api.schemas.placement import Toleration
from cronwright_core.domain import placement
from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.domain.project import ContainerTemplate, ProjectSpec, Workspace
from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.domain.skips import (
    MAX_GROUPS,
    MAX_TICKS,
    MESSAGE_LENGTH,
    OlderSkips,
    SkippedGroup,
    UnrecordedSkips,
)
from cronwright_core.domain.task import ActiveExecution, ConcurrencyPolicy, Condition, Overrides, TaskSpec, TaskStatus
from cronwright_core.domain.validation import BOUNDS, DESCRIPTION_LENGTH, NAME_LENGTH
from cronwright_core.kube.codec import (
    from_project_spec,
    from_task_spec,
    from_task_status,
    to_project_spec,
    to_task_spec,
    to_task_status,
)
from support.builders import make_task, settled

CRDS = Path(__file__).parents[2] / "crds"


def schema(name: str) -> dict[str, Any]:
    crd = yaml.safe_load((CRDS / f"{name}.yaml").read_text())
    found: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    return found


TASK_SPEC = schema("scheduledtasks")["spec"]["properties"]
TASK_STATUS = schema("scheduledtasks")["status"]["properties"]
PROJECT_SPEC = schema("projects")["spec"]["properties"]

FULL_TASK = TaskSpec(
    display_name="nightly copy",
    project_name="data",
    schedule_type=ScheduleType.INTERVAL,
    schedule="3600",
    description="copies",
    owner="alice",
    time_zone="Asia/Shanghai",
    suspend=True,
    timeout_seconds=60,
    max_instances=2,
    retry_count=3,
    priority=-5,
    concurrency_policy=ConcurrencyPolicy.QUEUE,
    max_queued=4,
    starting_deadline_seconds=120,
    pending_deadline_seconds=300,
    spread_seconds=30,
    overrides=Overrides("img:2", ("sh",), ("-c", "x"), ({"name": "A", "value": "1"},), {"limits": {"cpu": "1"}}),
)

FULL_PROJECT = ProjectSpec(
    display_name="data",
    container=ContainerTemplate("img:1", ("sh",), ("-c", "y"), ({"name": "B", "value": "2"},), {"limits": {"cpu": 1}}),
    description="all of it",
    owner="alice",
    members=("bob",),
    service_account_name="runner",
    image_pull_policy="Always",
    image_pull_secrets=("registry",),
    security_context={"runAsUser": 1000},
    workspace=Workspace("claim", "/data"),
    max_concurrent_executions=7,
    retention_days=30,
    allow_overrides=True,
    node_selector={"disk": "ssd"},
    tolerations=({"key": "dedicated", "operator": "Exists"},),
    pod_annotations={"team": "data"},
)


def test_every_field_of_a_task_is_written_and_read_back() -> None:
    written = from_task_spec(FULL_TASK)
    assert set(written) == set(TASK_SPEC)
    assert set(written["overrides"]) == set(TASK_SPEC["overrides"]["properties"])
    assert to_task_spec(written, "ignored") == FULL_TASK


def test_every_field_of_a_project_is_written_and_read_back() -> None:
    written = from_project_spec(FULL_PROJECT)
    assert set(written) == set(PROJECT_SPEC)
    assert to_project_spec(written, "ignored") == FULL_PROJECT


def test_every_field_of_the_status_is_written_and_read_back() -> None:
    task = make_task()
    time = task.creation_time
    status = TaskStatus(
        task_id=5,
        observed_generation=2,
        schedule_hash="x-active",
        anchor_time=time,
        last_schedule_time=time,
        next_schedule_time=time,
        completion_time=time,
        last_execution_id="exec-1",
        last_execution_status="SUCCESS",
        last_successful_time=time,
        active=(
            ActiveExecution("exec-2", "job", "RUNNING"),
            ActiveExecution("exec-3", "job-3", "PENDING", "MaxInstances", "waits"),
        ),
        conditions=(Condition("Ready", True, "Scheduled", "fine", time, 2),),
        unrecorded_skips=UnrecordedSkips((SkippedGroup("R", "m", (time,)),), OlderSkips(3, time, time)),
    )
    written = from_task_status(status)
    assert set(written) == set(TASK_STATUS)
    assert to_task_status(written) == status
    assert to_task_status(from_task_status(settled(task))) == settled(task)


def test_defaults_agree() -> None:
    sparse = to_task_spec({"projectName": "data"}, "a-task")
    with_defaults = {key: field["default"] for key, field in TASK_SPEC.items() if "default" in field}
    assert to_task_spec({"projectName": "data", **with_defaults}, "a-task") == sparse
    assert sparse.display_name == "a-task"
    without = {"displayName", "description", "projectName", "owner", "startingDeadlineSeconds", "overrides"}
    assert set(TASK_SPEC) - set(with_defaults) == without, "every other field has a default"


@pytest.mark.parametrize(("low", "high", "field"), BOUNDS.values())
def test_bounds_agree(low: int, high: int, field: str) -> None:
    assert (TASK_SPEC[field]["minimum"], TASK_SPEC[field]["maximum"]) == (low, high)


def test_lengths_and_words_agree() -> None:
    name = TASK_SPEC["displayName"]
    assert (name["minLength"], name["maxLength"]) == NAME_LENGTH
    assert TASK_SPEC["description"]["maxLength"] == DESCRIPTION_LENGTH
    assert TASK_SPEC["concurrencyPolicy"]["enum"] == [policy.value for policy in ConcurrencyPolicy]
    assert TASK_STATUS["lastExecutionStatus"]["enum"] == [status.value for status in ExecutionStatus]
    groups = TASK_STATUS["unrecordedSkips"]["properties"]["groups"]
    group = groups["items"]["properties"]
    assert (groups["maxItems"], group["ticks"]["maxItems"]) == (MAX_GROUPS, MAX_TICKS)
    assert group["message"]["maxLength"] == MESSAGE_LENGTH
    types = {from_task_spec(make_task(kind).spec)["scheduleType"] for kind in ScheduleType}
    assert set(TASK_SPEC["scheduleType"]["enum"]) == types


def test_no_field_of_the_model_is_forgotten() -> None:
    # A new field without a place in FULL_TASK would pass the round trip by its default.
    for full in (FULL_TASK, FULL_PROJECT):
        for field in fields(full):
            assert getattr(full, field.name) not in (field.default, None, (), {}), field.name


def test_bounds_of_placement_agree() -> None:
    selector, tolerations, annotations = (
        PROJECT_SPEC[name] for name in ("nodeSelector", "tolerations", "podAnnotations")
    )
    assert selector["maxProperties"] == placement.MAX_NODE_LABELS
    assert tolerations["maxItems"] == placement.MAX_TOLERATIONS
    assert annotations["maxProperties"] == placement.MAX_ANNOTATIONS
    assert annotations["additionalProperties"]["maxLength"] == placement.ANNOTATION_LENGTH
    toleration = tolerations["items"]["properties"]
    for value in (selector["additionalProperties"], toleration["value"]):
        assert value["maxLength"] == placement.LABEL_VALUE_LENGTH
    assert toleration["tolerationSeconds"]["maximum"] == placement.MAX_TOLERATION_SECONDS
    body = Toleration.model_json_schema()["properties"]
    assert set(body) == set(toleration)
    assert all(toleration[name]["enum"] == body[name]["anyOf"][0]["enum"] for name in ("operator", "effect"))
