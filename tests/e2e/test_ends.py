"""Every way in which an execution can end keeps its output and says why."""

from __future__ import annotations

import pytest

from support.cluster import Rest, Space, eventually, kubectl


def test_failure_with_a_retry_keeps_both_attempts(space: Space, alice: Rest) -> None:
    script = "echo attempt on $HOSTNAME; echo KeyError: missing column >&2; exit 3"
    space.apply_task("fails", script, scheduleType="Once", backoffLimit=1)
    (run,) = alice.ended(space.task_id("fails"))
    assert (run["status"], run["exit_code"], run["error_message"]) == ("FAILED", 3, "KeyError: missing column")
    lines = alice.log(run["execution_id"])
    assert len(lines) == 2
    assert lines[0] != lines[1], "one line from each attempt's Pod"
    assert alice.log(run["execution_id"], "error") == ["KeyError: missing column"] * 2


def test_timeout_keeps_the_output(space: Space, alice: Rest) -> None:
    script = "trap 'echo stopping; exit 1' TERM; echo begun; sleep 300 & wait"
    space.apply_task("slow", script, scheduleType="Once", activeDeadlineSeconds=8)
    (run,) = alice.ended(space.task_id("slow"))
    assert run["status"] == "TIMEOUT"
    assert run["error_message"] == "DeadlineExceeded: ended at its time limit of 8 s"
    assert alice.log(run["execution_id"]) == ["begun", "stopping"]


def test_out_of_memory_is_named(space: Space, alice: Rest) -> None:
    space.apply_task(
        "greedy",
        scheduleType="Once",
        overrides={
            "args": ["python3 -c 'x = bytearray(512 * 1024 * 1024)'; exit $?"],
            "resources": {"limits": {"memory": "48Mi"}},
        },
    )
    (run,) = alice.ended(space.task_id("greedy"))
    assert (run["status"], run["exit_code"]) == ("FAILED", 137)
    # Whether the end of a child is reported as OOMKilled is the runtime's choice; the limit is named either way.
    assert run["error_message"].startswith(("OOMKilled: ", "Killed: "))
    assert "48Mi" in run["error_message"]


def test_a_job_deleted_by_kubectl_is_a_cancel_with_its_output(space: Space, alice: Rest) -> None:
    script = "trap 'echo told to stop; exit 1' TERM; echo working; sleep 300 & wait"
    space.apply_task("victim", script, scheduleType="Once")
    task_id = space.task_id("victim")
    eventually(lambda: [e for e in alice.executions(task_id) if e["status"] == "RUNNING"], seconds=60, what="it to run")
    (job,) = space.names("jobs")
    kubectl("delete", "-n", space.namespace, job, "--wait=false")
    (run,) = alice.ended(task_id)
    assert run["status"] == "CANCELLED"
    assert alice.log(run["execution_id"]) == ["working", "told to stop"]
    eventually(lambda: not space.names("jobs"), seconds=60, what="the Job to be released")
    eventually(
        lambda: space.get("scheduledtask", "victim")["status"]["lastExecutionStatus"] == "CANCELLED",
        seconds=30,
        what="the task's status to tell the end",
    )


@pytest.mark.takes(40)
def test_a_pod_deleted_by_kubectl_is_a_failed_attempt(space: Space, alice: Rest) -> None:
    script = "trap 'exit 1' TERM; echo working; sleep 20 & wait; echo done"
    space.apply_task("hit", script, scheduleType="Once", backoffLimit=1)
    task_id = space.task_id("hit")
    eventually(lambda: [e for e in alice.executions(task_id) if e["status"] == "RUNNING"], seconds=60, what="it to run")
    (pod,) = space.names("pods")
    kubectl("delete", "-n", space.namespace, pod, "--wait=false")
    (run,) = alice.ended(task_id, seconds=120)
    assert run["status"] == "SUCCESS"
    assert alice.log(run["execution_id"])[-1] == "done"


@pytest.mark.parametrize("way", ["kubectl", "rest"])
def test_a_task_deleted_while_it_runs(space: Space, alice: Rest, way: str) -> None:
    space.apply_task(
        "gone", "trap 'exit 1' TERM; echo working; sleep 300 & wait", scheduleType="Cron", schedule="0 0 1 1 *"
    )
    task_id = space.task_id("gone")
    location = alice.call("POST", f"/tasks/{task_id}/trigger").headers["location"]
    execution = location.rsplit("/", 1)[1]
    eventually(
        lambda: alice.data("GET", f"/executions/{execution}")["status"] == "RUNNING", seconds=60, what="it to run"
    )
    eventually(lambda: alice.log(execution), seconds=45, what="its first output")
    if way == "kubectl":
        kubectl("delete", "-n", space.namespace, "scheduledtask/gone")
    else:
        alice.data("DELETE", f"/tasks/{task_id}")
    eventually(
        lambda: alice.call("GET", f"/tasks/{task_id}").status_code == 404, seconds=30, what="the task to be gone"
    )
    ended = eventually(
        lambda: (
            found
            if (found := alice.data("GET", f"/executions/{execution}"))["status"] not in ("PENDING", "RUNNING")
            else None
        ),
        seconds=90,
        what="the execution to end",
    )
    assert (ended["status"], ended["error_message"]) == ("CANCELLED", "TaskDeleted: its task was deleted")
    assert alice.log(execution) == ["working"], "its output stays readable"
    eventually(lambda: not space.names("cronjobs"), seconds=60, what="the CronJob to be gone")


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({"schedule": "0 25 * * *"}, "InvalidSchedule", "spec.schedule: "),
        ({"schedule": "0 0 30 2 *"}, "InvalidSchedule", "never"),
        ({"schedule": "0 0 * * *", "timeZone": "Mars/Phobos"}, "InvalidSchedule", "spec.timeZone: "),
        ({"schedule": "0 0 * * *", "projectName": "nobody"}, "ProjectNotFound", "spec.projectName: "),
    ],
)
def test_what_the_schema_cannot_say_becomes_a_condition(
    space: Space, spec: dict[str, object], reason: str, words: str
) -> None:
    space.apply_task("wrong", scheduleType="Cron", **spec)
    condition = space.ready("wrong")
    assert (condition["status"], condition["reason"]) == ("False", reason)
    assert words in condition["message"]
    assert space.names("cronjobs") == []
