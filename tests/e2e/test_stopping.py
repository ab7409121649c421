"""Ending what runs: the output stays, the status says why, and no attempt follows."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.cluster import FINAL, Rest, Space, eventually, kubectl, let_end

PATIENT = "trap 'echo told to stop; exit 1' TERM; echo working; while [ ! -e /tmp/fail ]; do sleep 0.2; done; exit 3"
"""Runs until it is told to stop, or until a test makes it fail."""
LINGERING = PATIENT.replace("exit 1", "sleep 3; exit 1")
"""Takes so long to stop that one may ask again."""


def running(alice: Rest, task_id: int, *, attempts: int = 1) -> str:
    """Waits until the attempt of that number runs; returns the execution's id."""

    def look() -> str | None:
        for execution in alice.executions(task_id):
            detail = alice.data("GET", f"/executions/{execution['execution_id']}")
            tries = detail["attempts"]
            if len(tries) == attempts and tries[-1]["status"] == "RUNNING":
                return str(execution["execution_id"])
        return None

    return eventually(look, seconds=90, what=f"attempt {attempts} to run")


def wrote(alice: Rest, execution_id: str, count: int = 1) -> None:
    """Waits until its output is on its way: so the trap is set as well."""
    eventually(lambda: len(alice.log(execution_id)) >= count, seconds=45, what="its first output")


def ended(alice: Rest, execution_id: str, seconds: float = 90) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = alice.data("GET", f"/executions/{execution_id}")
        return found if found["status"] in FINAL else None

    return eventually(look, seconds=seconds, what=f"{execution_id} to end")


def fail_first_attempt(space: Space) -> None:
    (pod,) = space.names("pods")
    let_end(space.namespace, pod, "/tmp/fail")


def cancel(user: Rest, execution_id: str) -> int:
    return user.call("POST", f"/executions/{execution_id}/cancel").status_code


def test_a_cancel_keeps_the_output_and_no_retry_follows(space: Space, alice: Rest, bob: Rest) -> None:
    space.apply_task("long", LINGERING, scheduleType="Once", backoffLimit=2)
    execution = running(alice, space.task_id("long"))
    wrote(alice, execution)
    assert cancel(bob, execution) == 404
    assert cancel(alice, execution) == 200
    assert cancel(alice, execution) == 200, "asking again is no error"
    run = ended(alice, execution)
    assert (run["status"], run["error_message"]) == ("CANCELLED", "Cancelled: cancelled by alice")
    assert [attempt["status"] for attempt in run["attempts"]] == ["CANCELLED"]
    assert alice.log(execution) == ["working", "told to stop"]
    assert run["log_incomplete"] is False
    answer = alice.call("POST", f"/executions/{execution}/cancel")
    assert (answer.status_code, answer.json()["message"]) == (409, "执行已结束（CANCELLED），无法取消")
    annotations = space.get("scheduledtask", "long")["metadata"].get("annotations", {})
    assert not [name for name in annotations if name.startswith("cancel.")]
    (job,) = space.names("jobs")
    kubectl("wait", "-n", space.namespace, "--for=condition=Failed", job, "--timeout=30s")
    assert len(space.names("pods")) == 1


def test_a_cancel_of_the_second_attempt_keeps_both_logs(space: Space, alice: Rest) -> None:
    space.apply_task("retried", PATIENT, scheduleType="Once", backoffLimit=5)
    task_id = space.task_id("retried")
    execution = running(alice, task_id)
    wrote(alice, execution)
    fail_first_attempt(space)
    assert running(alice, task_id, attempts=2) == execution
    wrote(alice, execution, 2)
    kubectl("annotate", "-n", space.namespace, "scheduledtask/retried", f"cancel.cronwright.dev/{execution}=by hand")
    run = ended(alice, execution)
    assert (run["status"], run["error_message"]) == ("CANCELLED", "Cancelled: cancelled by kubectl")
    assert [(a["status"], a["exit_code"]) for a in run["attempts"]] == [("FAILED", 3), ("CANCELLED", 1)]
    assert alice.log(execution) == ["working", "working", "told to stop"]


@pytest.mark.takes(55)
def test_the_time_limit_holds_over_all_attempts(space: Space, alice: Rest) -> None:
    # Long enough for the first attempt to be seen and ended, the ten seconds before a retry, and the second's output.
    space.apply_task("slow", PATIENT, scheduleType="Once", activeDeadlineSeconds=45, backoffLimit=5)
    task_id = space.task_id("slow")
    execution = running(alice, task_id)
    wrote(alice, execution)
    fail_first_attempt(space)
    run = ended(alice, execution, seconds=120)
    assert (run["status"], run["error_message"]) == ("TIMEOUT", "DeadlineExceeded: ended at its time limit of 45 s")
    assert [a["status"] for a in run["attempts"]] == ["FAILED", "TIMEOUT"]
    assert alice.log(execution) == ["working", "working", "told to stop"]
    second = space.get("pod", run["attempts"][1]["pod_name"])
    assert second["spec"]["activeDeadlineSeconds"] < 45, "it got what was left"


def test_cancels_of_what_does_not_run(space: Space, alice: Rest) -> None:
    space.apply_task("rare", PATIENT, scheduleType="Cron", schedule="0 0 1 1 *")
    task_id = space.task_id("rare")
    first, second = alice.trigger(task_id), alice.trigger(task_id)
    (waits,) = eventually(
        lambda: [job for job in space.jobs() if job["spec"].get("suspend")], seconds=30, what="one of two to wait"
    )
    waiting = waits["metadata"]["annotations"]["cronwright.dev/execution"]
    eventually(
        lambda: alice.data("GET", f"/executions/{first if waiting == second else second}")["status"] == "RUNNING",
        seconds=60,
        what="the other one to run",
    )
    assert cancel(alice, waiting) == 200
    run = ended(alice, waiting)
    assert (run["status"], run["start_time"], run["attempts"]) == ("CANCELLED", None, [])
    assert not space.names("pods", f"batch.kubernetes.io/job-name={waits['metadata']['name']}"), "no Pod ever"

    kubectl("annotate", "-n", space.namespace, "scheduledtask/rare", "cancel.cronwright.dev/nobody=now")
    eventually(
        lambda: "UnknownExecution" in kubectl("get", "events", "-n", space.namespace), seconds=30, what="the warning"
    )
    eventually(
        lambda: "cancel." not in str(space.get("scheduledtask", "rare")["metadata"].get("annotations")),
        seconds=30,
        what="the annotation to be taken off",
    )


def test_a_manual_run_is_cancelled_before_it_has_a_job(space: Space, alice: Rest) -> None:
    # Its Project goes: runs wait as annotations.
    space.apply_project("short-lived")
    space.apply_task(
        "manual", PATIENT, projectName="short-lived", owner="alice", scheduleType="Cron", schedule="0 0 1 1 *"
    )
    task_id = space.task_id("manual")
    kubectl("delete", "-n", space.namespace, "project.cronwright.dev/short-lived")
    eventually(lambda: space.ready("manual")["status"] == "False", seconds=30, what="the task not to be ready")
    time = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    value = json.dumps({"time": time.isoformat(), "by": "alice"})
    kubectl("annotate", "-n", space.namespace, "scheduledtask/manual", f"trigger.cronwright.dev/k={value}")
    uid = space.get("scheduledtask", "manual")["metadata"]["uid"]
    from cronwright_core.domain.naming import execution_id

    execution = execution_id(uid, "Adhoc", time, "k")
    kubectl("annotate", "-n", space.namespace, "scheduledtask/manual", f"cancel.cronwright.dev/{execution}=now")
    (run,) = alice.ended(task_id)
    assert (run["execution_id"], run["status"], run["requested_by"]) == (execution, "CANCELLED", "alice")
    # Its end is recorded before the request is taken away: a crash between the two repeats the record, and loses none.
    eventually(
        lambda: "trigger." not in str(space.get("scheduledtask", "manual")["metadata"].get("annotations")),
        seconds=30,
        what="the request to be taken away",
    )
    assert space.names("jobs") == []


@pytest.mark.parametrize("cascade", ["foreground", "orphan"])
def test_a_job_deleted_in_any_way_is_a_cancel(space: Space, alice: Rest, cascade: str) -> None:
    space.apply_task("victim", PATIENT, scheduleType="Once", backoffLimit=2)
    execution = running(alice, space.task_id("victim"))
    wrote(alice, execution)
    (job,) = space.names("jobs")
    kubectl("delete", "-n", space.namespace, job, f"--cascade={cascade}", "--wait=false")
    run = ended(alice, execution)
    assert (run["status"], run["error_message"]) == ("CANCELLED", "Deleted: its Job was deleted")
    assert alice.log(execution)[0] == "working"
    eventually(lambda: not space.names("jobs") + space.names("pods"), seconds=60, what="Job and Pods to be gone")


@pytest.mark.parametrize("way", ["delete", "evict"])
def test_a_pod_taken_away_without_retries_is_a_failure(space: Space, alice: Rest, way: str) -> None:
    space.apply_task("hit", PATIENT, scheduleType="Once")
    execution = running(alice, space.task_id("hit"))
    wrote(alice, execution)
    (pod,) = space.names("pods")
    if way == "delete":
        kubectl("delete", "-n", space.namespace, pod, "--wait=false")
    else:
        name = pod.removeprefix("pod/")
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
        path = f"/api/v1/namespaces/{space.namespace}/pods/{name}/eviction"
        kubectl("create", "--raw", path, "-f", "-", document=eviction)
    run = ended(alice, execution)
    assert run["status"] == "FAILED"
    word = "PodDeleted: its Pod was deleted" if way == "delete" else "Evicted: node "
    assert run["error_message"].startswith(word)
    assert alice.log(execution)[0] == "working"


@pytest.mark.parametrize(
    ("project", "task", "words"),
    [
        ({"image": "localhost/of-nobody:1", "imagePullPolicy": "IfNotPresent"}, {}, "of-nobody:1"),
        ({}, {"overrides": {"resources": {"requests": {"cpu": "900"}}}}, "Unschedulable: "),
        ({"nodeSelector": {"kubernetes.io/hostname": "nowhere"}}, {}, "Unschedulable: "),
        ({"serviceAccountName": "nobody"}, {}, "FailedCreate: Error creating: pods "),
    ],
    ids=["image", "no node", "no such node", "no Pod at all"],
)
def test_what_can_never_start_ends_with_the_reason(
    space: Space, alice: Rest, project: dict[str, Any], task: dict[str, Any], words: str
) -> None:
    space.apply_project("never", **project)
    space.apply_task(
        "never", projectName="never", scheduleType="Once", pendingDeadlineSeconds=10, backoffLimit=2, **task
    )
    (run,) = alice.ended(space.task_id("never"))
    assert (run["status"], run["start_time"], run["exit_code"]) == ("FAILED", None, None)
    assert run["error_message"].startswith("CannotStart: ")
    assert words in run["error_message"]
    assert run["error_message"].endswith("(given up after 10 s)")
