"""REST and kubectl are equal: the same task, the same run, the same record."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from support.cluster import Rest, Space, eventually, kubectl

SCRIPT = "echo 第一行; echo to-stderr >&2; sleep 1; echo processed 1000 records"


def test_a_task_from_rest_runs_and_its_log_outlives_job_and_pod(space: Space, alice: Rest, bob: Rest) -> None:
    name = f"copy {uuid.uuid4().hex[:8]}"
    # Due in half a day: a tick within the test would be a second run.
    far = (datetime.now(UTC) + timedelta(hours=12)).hour
    body = {
        "name": name,
        "project_id": space.project_id(),
        "schedule_type": "CRON",
        "schedule_config": f"0 {far} * * *",
        "args": [SCRIPT],
    }
    task = alice.data("POST", "/tasks", json=body)
    assert task["status"] == "PENDING"
    assert task["next_run_time"].endswith(f"T{far:02}:00:00Z")
    # It is a resource like any other.
    assert space.get("scheduledtask", f"task-{task['id']}")["spec"]["displayName"] == name
    cronjob = eventually(
        lambda: space.names("cronjobs", f"cronwright.dev/task=task-{task['id']}"), seconds=30, what="the CronJob"
    )
    assert len(cronjob) == 1

    answer = alice.call("POST", f"/tasks/{task['id']}/trigger")
    assert answer.json()["message"] == "任务已触发"
    (run,) = alice.ended(task["id"])
    assert (run["status"], run["exit_code"], run["output_summary"]) == ("SUCCESS", 0, "processed 1000 records")
    assert answer.headers["location"].endswith(run["execution_id"])
    assert alice.log(run["execution_id"]) == ["第一行", "processed 1000 records"]
    assert alice.log(run["execution_id"], "error") == ["to-stderr"]

    jobs = space.names("jobs", f"cronwright.dev/task=task-{task['id']}")
    kubectl("delete", "-n", space.namespace, *jobs)
    eventually(lambda: not space.names("pods"), seconds=60, what="the Pods to be gone")
    assert alice.log(run["execution_id"]) == ["第一行", "processed 1000 records"]
    detail = alice.data("GET", f"/tasks/{task['id']}")
    assert detail["execution_summary"]["success_count"] == 1
    # Another user sees nothing of it.
    assert bob.call("GET", f"/tasks/{task['id']}").status_code == 404
    assert bob.call("GET", f"/executions/{run['execution_id']}").status_code == 404


@pytest.mark.takes(30)
def test_a_minutely_task_from_kubectl(space: Space, alice: Rest) -> None:
    space.apply_task("minutely", SCRIPT, scheduleType="Cron", schedule="* * * * *")
    task_id = space.task_id("minutely")
    (run, *_) = alice.ended(task_id, seconds=120)
    assert run["status"] == "SUCCESS"
    assert alice.log(run["execution_id"]) == ["第一行", "processed 1000 records"]

    def row() -> str | None:
        # Both within one look: the next run moves with every minute.
        shown = kubectl("get", "scheduledtasks", "-n", space.namespace)
        next_run = space.get("scheduledtask", "minutely")["status"].get("nextScheduleTime") or "none yet"
        return shown if "SUCCESS" in shown and next_run in shown else None

    header, line = eventually(row, seconds=30, what="last status and next run in kubectl get").splitlines()
    assert header.split() == ["NAME", "TYPE", "SCHEDULE", "SUSPEND", "LAST", "STATUS", "NEXT", "RUN", "READY", "AGE"]
    assert "* * * * *" in line
    # The Job was made by the cluster's own controller, accepted and recorded by us.
    job = kubectl("get", "jobs", "-n", space.namespace, "-o", "jsonpath={.items[0].metadata.ownerReferences[0].kind}")
    assert job == "CronJob"


@pytest.mark.takes(70)
def test_once_date_and_interval(space: Space, alice: Rest) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=20)).strftime("%Y-%m-%dT%H:%M:%SZ")
    space.apply_task("interval", "echo tick", scheduleType="Interval", schedule="60")
    space.apply_task("at-date", "echo at", scheduleType="Date", schedule=soon)
    space.apply_task("at-once", "echo once", scheduleType="Once")
    (once,) = alice.ended(space.task_id("at-once"))
    (date,) = alice.ended(space.task_id("at-date"))
    (tick, *_) = alice.ended(space.task_id("interval"), seconds=120)
    assert [r["status"] for r in (once, date, tick)] == ["SUCCESS"] * 3
    assert date["start_time"] >= soon
    created = space.get("scheduledtask", "interval")["metadata"]["creationTimestamp"]
    first = datetime.fromisoformat(created) + timedelta(seconds=60)
    assert tick["execution_id"].startswith(f"exec-{first:%Y%m%d%H%M%S}-"), "on the grid from its creation"
    done = alice.data("GET", f"/tasks/{space.task_id('at-once')}")
    assert (done["next_run_time"], done["status"]) == (None, "SUCCESS")


def test_manual_runs_by_annotation_by_key_and_by_kubectl_create_job(space: Space, alice: Rest) -> None:
    space.apply_task("manual", "echo ran", scheduleType="Cron", schedule="0 0 1 1 *")
    task_id = space.task_id("manual")
    kubectl("annotate", "-n", space.namespace, "scheduledtask/manual", "trigger.cronwright.dev/1=now")
    key = {"Idempotency-Key": uuid.uuid4().hex}
    first = alice.call("POST", f"/tasks/{task_id}/trigger", headers=key)
    second = alice.call("POST", f"/tasks/{task_id}/trigger", headers=key)
    assert first.status_code == second.status_code == 200
    assert first.headers["location"] == second.headers["location"]
    (cronjob,) = space.names("cronjobs")
    kubectl("create", "job", "-n", space.namespace, "by-hand", f"--from={cronjob}")
    runs = alice.ended(task_id, count=3)
    assert [run["status"] for run in runs] == ["SUCCESS"] * 3
    assert all(alice.log(run["execution_id"]) == ["ran"] for run in runs)
    annotations = space.get("scheduledtask", "manual")["metadata"].get("annotations", {})
    assert not [name for name in annotations if name.startswith("trigger.")], "requests are taken off"
    # A repeat of the key, now that the run is over, is still the same run.
    assert alice.call("POST", f"/tasks/{task_id}/trigger", headers=key).headers["location"] == first.headers["location"]


def test_explain_reads_like_documentation() -> None:
    text = kubectl("explain", "scheduledtask.spec", "--api-version=cronwright.dev/v1")
    for words in (
        "minute hour day-of-month month",
        "IANA name",
        "retries included",
        "The Project in the same namespace",
    ):
        assert words in " ".join(text.split()), words
