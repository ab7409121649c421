"""Limits, order, policies and edits, on real Jobs and Pods."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from support.cluster import Rest, Space, eventually, kubectl, let_end

BUSY = "trap 'echo told to stop; exit 1' TERM; echo busy; sleep 300 & wait"
"""For longer than any test looks at it: its end is asked for."""
HELD = "while [ ! -e /tmp/go ]; do sleep 0.2; done; echo ran"


def change(space: Space, name: str, spec: str) -> None:
    """Patches a task's spec, as people do."""
    kubectl("patch", "-n", space.namespace, f"scheduledtask/{name}", "--type=merge", "-p", f'{{"spec":{spec}}}')


def running(alice: Rest, execution_id: str) -> bool:
    return bool(alice.data("GET", f"/executions/{execution_id}")["status"] == "RUNNING")


def overlap(runs: list[dict[str, Any]]) -> bool:
    """Whether two of the runs were there at the same time."""
    spans = sorted((run["start_time"], run["end_time"]) for run in runs if run["start_time"])
    return any(later[0] < earlier[1] for earlier, later in itertools.pairwise(spans))


def until_second(second: int, *, or_at_most: int) -> None:
    """Waits for a moment within the minute, so that no tick falls into what follows."""
    eventually(lambda: second <= datetime.now(UTC).second <= or_at_most, seconds=61, what=f"second {second}")


def test_two_triggers_at_once_run_one_after_the_other(space: Space, alice: Rest) -> None:
    space.apply_task("single", "echo ran; sleep 4", scheduleType="Cron", schedule="0 0 1 1 *")
    task_id = space.task_id("single")
    ids = [alice.trigger(task_id), alice.trigger(task_id)]
    waiting = eventually(
        lambda: [j for j in space.jobs() if j["spec"].get("suspend")], seconds=30, what="one of them to wait"
    )
    assert len(waiting) == 1
    assert not space.names("pods", f"batch.kubernetes.io/job-name={waiting[0]['metadata']['name']}")
    runs = alice.ended(task_id, count=2)
    assert {run["execution_id"] for run in runs} == set(ids)
    assert [run["status"] for run in runs] == ["SUCCESS"] * 2
    assert not overlap(runs)


@pytest.mark.takes(40)
def test_a_wait_for_its_turn_is_not_held_against_a_run(space: Space, alice: Rest) -> None:
    space.apply_task("patient", "sleep 25", scheduleType="Cron", schedule="0 0 1 1 *", pendingDeadlineSeconds=20)
    task_id = space.task_id("patient")
    for _ in range(2):
        alice.trigger(task_id)
    assert [run["status"] for run in alice.ended(task_id, count=2)] == ["SUCCESS"] * 2


@pytest.mark.takes(30)
def test_a_projects_limit_lets_the_more_urgent_go_first(space: Space, alice: Rest) -> None:
    space.apply_project("narrow", maxConcurrentExecutions=1, args=["echo ran; sleep 3"])
    tasks = {}
    for name, priority, script in (("first", 0, HELD), ("low", -5, None), ("high", 5, None)):
        space.apply_task(name, script, projectName="narrow", scheduleType="Once", suspend=True, priority=priority)
        tasks[name] = space.task_id(name)
    # The first takes the only place; the others come while it is taken, however long that takes.
    for name in tasks:
        change(space, name, '{"suspend":false}')
        eventually(lambda name=name: space.names("jobs", f"cronwright.dev/task={name}"), seconds=30, what="its Job")
    (first,) = eventually(lambda: alice.executions(tasks["first"]), seconds=30, what="the first in the record")
    eventually(lambda: running(alice, first["execution_id"]), seconds=60, what="the first to run")
    (pod,) = space.names("pods")
    let_end(space.namespace, pod, "/tmp/go")
    runs = {name: alice.ended(task_id)[0] for name, task_id in tasks.items()}
    assert not overlap(list(runs.values()))
    assert runs["first"]["start_time"] < runs["high"]["start_time"] < runs["low"]["start_time"]


@pytest.mark.takes(80)
def test_what_a_tick_does_while_the_task_is_busy(space: Space, alice: Rest) -> None:
    # Four tasks have to be made and three runs to begin within what is left of the minute.
    until_second(5, or_at_most=25)
    tasks = {}
    for policy in ("Forbid", "Queue", "Replace"):
        name = policy.lower()
        space.apply_task(name, BUSY, scheduleType="Cron", schedule="* * * * *", concurrencyPolicy=policy)
        tasks[policy] = space.task_id(name)
    space.apply_task("spread", "echo late", scheduleType="Cron", schedule="* * * * *", spreadSeconds=40)
    busy = {policy: alice.trigger(task_id) for policy, task_id in tasks.items()}
    for execution_id in busy.values():
        eventually(lambda id_=execution_id: running(alice, id_), seconds=40, what="the manual runs to run")
    for name in tasks:
        change(space, name.lower(), '{"overrides":{"args":["echo ran"]}}')

    def tick_of(policy: str) -> list[dict[str, Any]]:
        return [run for run in alice.executions(tasks[policy]) if run["execution_id"] != busy[policy]]

    (skipped, *_) = eventually(lambda: tick_of("Forbid"), seconds=80, what="the tick of Forbid")
    assert (skipped["status"], skipped["start_time"]) == ("CANCELLED", None)
    assert skipped["error_message"].startswith("AlreadyRunning: 1 executions run and 0 wait")
    (queued, *_) = eventually(lambda: tick_of("Queue"), seconds=20, what="the tick of Queue")
    assert (queued["status"], queued["start_time"]) == ("PENDING", None)
    replaced = eventually(
        lambda: (found := alice.data("GET", f"/executions/{busy['Replace']}"))["status"] == "CANCELLED" and found,
        seconds=30,
        what="the run that Replace ends",
    )
    assert replaced["error_message"].startswith("Replaced: ")
    assert alice.log(busy["Replace"]) == ["busy", "told to stop"], "its output is kept"
    (newer, *_) = eventually(
        lambda: [run for run in tick_of("Replace") if run["status"] == "SUCCESS"],
        seconds=40,
        what="the tick of Replace",
    )
    assert alice.log(newer["execution_id"]) == ["ran"]
    # Once the run that it waits for is over, it starts.
    assert alice.call("POST", f"/executions/{busy['Queue']}/cancel").status_code == 200
    eventually(
        lambda: alice.data("GET", f"/executions/{queued['execution_id']}")["status"] == "SUCCESS",
        seconds=60,
        what="the queued tick to run",
    )
    reasons = kubectl("get", "events", "-n", space.namespace, "-o", "jsonpath={.items[*].reason}").split()
    assert "AlreadyRunning" in reasons
    _check_step_in(space)


def _check_step_in(space: Space) -> None:
    """Cron runs are native Jobs under the controller's names, and its CronJob says what it would have said itself."""
    job = next(
        j for j in space.jobs("cronwright.dev/task=replace") if j["metadata"]["ownerReferences"][0]["kind"] == "CronJob"
    )
    annotations = job["metadata"]["annotations"]
    assert "cronwright.dev/scheduled-time" in annotations, "the operator stepped in"
    tick = datetime.fromisoformat(annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"])
    assert job["metadata"]["name"].endswith(f"-{int(tick.timestamp()) // 60}")
    cronjob = space.get("cronjob", job["metadata"]["ownerReferences"][0]["name"])
    assert datetime.fromisoformat(cronjob["status"]["lastScheduleTime"]) >= tick
    # A spread run keeps the name of its minute and starts by a share of the spread later.
    status = space.get("scheduledtask", "spread")["status"]
    offset = datetime.fromisoformat(status["nextScheduleTime"]).second
    late = eventually(lambda: space.jobs("cronwright.dev/task=spread"), seconds=60, what="the spread run")[0][
        "metadata"
    ]
    nominal = datetime.fromisoformat(late["annotations"]["cronwright.dev/scheduled-time"])
    started = (datetime.fromisoformat(late["creationTimestamp"]) - nominal).total_seconds()
    assert nominal.second == 0
    assert offset <= started <= offset + 20


@pytest.mark.takes(110)
def test_edit_and_resume_fire_nothing(space: Space, alice: Rest) -> None:
    space.apply_task("edited", "echo ran", scheduleType="Cron", schedule="0 0 1 1 *")
    space.apply_task("resumed", "echo ran", scheduleType="Cron", schedule="* * * * *", suspend=True)
    for name in ("edited", "resumed"):
        space.ready(name)
    eventually(lambda: len(space.names("cronjobs")) == 2, seconds=30, what="the CronJobs")
    made = time.time()
    # A minute begins in between: what was due then is not made up for.
    eventually(lambda: int(time.time()) // 60 > int(made) // 60, seconds=61, what="a new minute")
    until_second(3, or_at_most=27)
    now = datetime.now(UTC)
    line = f"{(now.minute - 1) % 60},{now.minute} * * * *"
    change(space, "edited", f'{{"schedule":"{line}"}}')
    change(space, "resumed", '{"suspend":false}')

    def settled() -> bool:
        jobs = {c["metadata"]["labels"]["cronwright.dev/task"]: c for c in space.items("cronjobs")}
        return jobs["edited"]["spec"]["schedule"] == line and not jobs["resumed"]["spec"]["suspend"]

    eventually(settled, seconds=30, what="both changes to be carried out")
    end = time.monotonic() + 8
    eventually(lambda: time.monotonic() > end, seconds=20, what="the time that the controller needs to fire")
    minutes = [int(job["metadata"]["name"].rpartition("-")[2]) for job in space.jobs()]
    assert all(minute * 60 > now.timestamp() for minute in minutes), "no Job of a tick before the change"
    (run, *_) = alice.ended(space.task_id("resumed"), seconds=120)
    assert run["execution_id"].split("-")[1] > now.strftime("%Y%m%d%H%M%S"), "the next tick runs"
