"""What trigger, cancel, pause and resume write, and how they end."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from cronwright_core.domain import naming
from cronwright_core.domain.parameters import parse_run_request, requested_time
from cronwright_core.domain.times import from_rfc3339
from cronwright_core.plugin import actions
from cronwright_core.plugin.errors import PluginError
from support.plugin_world import COMPLETE, FAILED, UID, FakeKubectl, job, pod, task

RUNNING_ID = naming.execution_id(UID, "Scheduled", from_rfc3339("2026-03-02T10:00:00Z"), "")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "POLL_SECONDS", 0)


def trigger(kubectl: FakeKubectl, *variables: tuple[str, str], wait: bool = False) -> int:
    return actions.trigger(kubectl, "nightly", variables, wait=wait, seconds=5)  # type: ignore[arg-type]


def request_of(kubectl: FakeKubectl) -> tuple[str, str]:
    """(key, value) of the only trigger annotation."""
    ((name, value),) = kubectl.annotations.items()
    return name.removeprefix(naming.TRIGGER_PREFIX), value


def test_a_trigger_is_what_the_operator_reads_and_its_id_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    kubectl = FakeKubectl(task())
    assert trigger(kubectl, ("DAY", "2024-01-01")) == 0
    key, value = request_of(kubectl)
    asked = parse_run_request(value, datetime.now(UTC))
    assert asked.time == requested_time(value)
    assert (asked.problem, asked.by, asked.parameters) == (None, "kubectl", (("DAY", "2024-01-01"),))
    assert capsys.readouterr().out.strip() == naming.execution_id(UID, "Adhoc", asked.time, key)


def test_two_triggers_are_two_runs() -> None:
    kubectl = FakeKubectl(task())
    trigger(kubectl)
    trigger(kubectl)
    assert len(kubectl.annotations) == 2


@pytest.mark.parametrize(
    ("texts", "words"), [(["A"], "NAME=VALUE"), (["=x"], "NAME=VALUE"), (["1A=x"], "not the name of a variable: 1A")]
)
def test_a_wrong_variable_is_refused_before_anything_is_asked(texts: list[str], words: str) -> None:
    kubectl = FakeKubectl(task())
    with pytest.raises(PluginError, match=words):
        trigger(kubectl, *actions.parse_variables(texts))
    assert kubectl.annotations == {}


def test_values_may_hold_equals_signs() -> None:
    assert actions.parse_variables(["A=b=c", "E="]) == (("A", "b=c"), ("E", ""))


def test_a_task_that_cannot_run_says_why() -> None:
    condition = {
        "type": "Ready",
        "status": "False",
        "reason": "ProjectNotFound",
        "message": "spec.projectName: there is no such project: data",
        "observedGeneration": 1,
    }
    kubectl = FakeKubectl(task(status={"conditions": [condition]}))
    with pytest.raises(PluginError, match="nightly cannot run: ProjectNotFound: "):
        trigger(kubectl)
    # Of an older spec it says nothing.
    kubectl.all_tasks[0]["metadata"]["generation"] = 2
    assert trigger(kubectl) == 0


@pytest.mark.parametrize(
    ("status", "phase", "code", "expected", "said"),
    [(COMPLETE, "Succeeded", 0, 0, "SUCCESS, exit code 0"), (FAILED, "Failed", 7, 3, "FAILED, exit code 7")],
)
def test_waiting_ends_with_the_runs_own_result(
    status: dict[str, Any], phase: str, code: int, expected: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kubectl = FakeKubectl(task())

    def operator() -> None:
        key, _ = request_of(kubectl)
        made = job("run", annotations={naming.REQUEST_KEY_ANNOTATION: key}, status=status)
        kubectl.all_jobs, kubectl.all_pods = [made], [pod("run-1", made, phase=phase, code=code)]

    kubectl.on_look = operator
    assert trigger(kubectl, wait=True) == expected
    assert said in capsys.readouterr().err


def test_a_request_that_went_without_a_job_is_an_error() -> None:
    kubectl = FakeKubectl(task())
    kubectl.on_look = lambda: kubectl.annotations.clear()
    with pytest.raises(PluginError, match="no Job is there"):
        trigger(kubectl, wait=True)


def test_waiting_in_vain_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    kubectl = FakeKubectl(task())
    assert actions.trigger(kubectl, "nightly", (), wait=True, seconds=0) == 4  # type: ignore[arg-type]
    assert "it goes on" in capsys.readouterr().err


def test_cancel_of_what_runs() -> None:
    active = {"executionId": RUNNING_ID, "jobName": "j", "status": "RUNNING"}
    kubectl = FakeKubectl(task(status={"active": [active]}))
    assert actions.cancel(kubectl, RUNNING_ID) == 0  # type: ignore[arg-type]
    value = kubectl.annotations[naming.CANCEL_PREFIX + RUNNING_ID]
    assert json.loads(value)["by"] == "kubectl"


def test_cancel_of_a_request_that_has_no_job_yet(capsys: pytest.CaptureFixture[str]) -> None:
    kubectl = FakeKubectl(task())
    trigger(kubectl)
    id_ = capsys.readouterr().out.strip()
    assert actions.cancel(kubectl, id_) == 0  # type: ignore[arg-type]
    assert naming.CANCEL_PREFIX + id_ in kubectl.annotations


def test_cancel_of_what_has_ended_or_never_was() -> None:
    ended = job("run", annotations={naming.EXECUTION_ANNOTATION: RUNNING_ID}, status=COMPLETE)
    kubectl = FakeKubectl(task(), jobs=[ended], pods=[pod("run-1", ended)])
    with pytest.raises(PluginError, match="has ended: SUCCESS"):
        actions.cancel(kubectl, RUNNING_ID)  # type: ignore[arg-type]
    with pytest.raises(PluginError, match="waits or runs in this namespace"):
        actions.cancel(FakeKubectl(task()), RUNNING_ID)  # type: ignore[arg-type]
    with pytest.raises(PluginError, match="is not an execution's id"):
        actions.cancel(kubectl, "nightly")  # type: ignore[arg-type]


def test_pause_and_resume(capsys: pytest.CaptureFixture[str]) -> None:
    kubectl = FakeKubectl(task())
    for suspend in (True, True, False, False):
        assert actions.set_suspend(kubectl, "nightly", suspend) == 0  # type: ignore[arg-type]
        assert kubectl.all_tasks[0]["spec"]["suspend"] is suspend
    said = capsys.readouterr().out.splitlines()
    assert said == ["nightly paused", "nightly is paused already", "nightly resumed", "nightly is not paused already"]


def test_a_task_that_had_its_run_is_not_resumed() -> None:
    done = task(spec={"suspend": True}, status={"completionTime": "2026-03-02T10:00:00Z"})
    with pytest.raises(PluginError, match="has had its run"):
        actions.set_suspend(FakeKubectl(done), "nightly", False)  # type: ignore[arg-type]
