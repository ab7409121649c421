"""Edits of what waits and of what runs, on real Jobs and Pods: the rows of the table in docs/launching.md that need a
cluster. tests/unit/operator/reconciling/test_edits.py has the others."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.cluster import Rest, Space, eventually, kubectl

BUSY = "trap 'echo told to stop; exit 1' TERM; echo busy; sleep 300 & wait"
NEVER = {"scheduleType": "Cron", "schedule": "0 0 1 1 *"}


def execution(alice: Rest, id_: str) -> dict[str, Any]:
    found: dict[str, Any] = alice.data("GET", f"/executions/{id_}")
    return found


def wait_for(alice: Rest, id_: str, status: str, seconds: float = 60) -> dict[str, Any]:
    return eventually(
        lambda: (found := execution(alice, id_))["status"] == status and found,
        seconds=seconds,
        what=f"{id_} to be {status}",
    )


def cancel(alice: Rest, id_: str) -> dict[str, Any]:
    assert alice.call("POST", f"/executions/{id_}/cancel").status_code == 200
    return wait_for(alice, id_, "CANCELLED")


def patch(space: Space, name: str, **spec: Any) -> None:
    kubectl(
        "patch",
        "-n",
        space.namespace,
        f"scheduledtask/{name}",
        "--type=merge",
        "-p",
        json.dumps({"spec": spec}),
    )


@pytest.mark.takes(30)
def test_a_projects_limit_and_program_change_while_tasks_run(space: Space, alice: Rest) -> None:
    space.apply_project("shrinks", maxConcurrentExecutions=2, args=[BUSY])
    tasks = {}
    for name in ("one", "two", "three"):
        space.apply_task(name, projectName="shrinks", **NEVER)
        tasks[name] = space.task_id(name)
    one, two = alice.trigger(tasks["one"]), alice.trigger(tasks["two"])
    for id_ in (one, two):
        wait_for(alice, id_, "RUNNING")
    three = alice.trigger(tasks["three"])

    def says(words: str) -> Any:
        return (found := execution(alice, three))["message"] and words in found["message"] and found

    waits = eventually(lambda: says("no more than 2"), seconds=30, what="why it waits")
    assert (waits["status"], waits["reason"], waits["start_time"]) == ("PENDING", "ProjectLimit", None)
    # Lowered below what runs: that goes on, and nothing starts until there is room under the new limit.
    space.apply_project("shrinks", maxConcurrentExecutions=1, args=["echo new"])
    waits = eventually(lambda: says("no more than 1"), seconds=40, what="the new limit to be told")
    (active,) = eventually(
        lambda: (
            found
            if (found := space.get("scheduledtask", "three")["status"].get("active"))
            and found[0].get("message") == waits["message"]
            else None
        ),
        seconds=30,
        what="kubectl to tell the same",
    )
    assert (active["executionId"], active["reason"]) == (three, "ProjectLimit")
    cancel(alice, one)
    (job,) = space.jobs("cronwright.dev/task=three")
    assert job["spec"]["suspend"] is True, "one still runs, and one may"
    ended = cancel(alice, two)
    assert alice.log(two) == ["busy", "told to stop"], "what runs keeps the program that it began with"
    begun = wait_for(alice, three, "RUNNING")
    assert begun["start_time"] >= ended["end_time"]
    eventually(lambda: alice.log(three) == ["busy"], seconds=45, what="what waits to keep the program it was made with")
    cancel(alice, three)
    newer = alice.trigger(tasks["three"])
    wait_for(alice, newer, "SUCCESS")
    assert alice.log(newer) == ["new"]


def test_a_pause_and_a_deletion_of_what_waits_and_of_what_runs(space: Space, alice: Rest) -> None:
    space.apply_project("narrow", maxConcurrentExecutions=1, args=["echo ran"])
    space.apply_task("runs", BUSY, projectName="narrow", **NEVER)
    runs_id = space.task_id("runs")
    busy = alice.trigger(runs_id)
    wait_for(alice, busy, "RUNNING")
    ids = {}
    for name, schedule in (("waits", {"scheduleType": "Once"}), ("deleted", {"scheduleType": "Once"}), ("hand", NEVER)):
        space.apply_task(name, projectName="narrow", **schedule)
        ids[name] = space.task_id(name)
    by_hand = alice.trigger(ids["hand"])
    waiting = {
        name: eventually(lambda name=name: alice.executions(ids[name]), seconds=30, what="its run to wait")[0]
        for name in ids
    }
    assert {run["status"] for run in waiting.values()} == {"PENDING"}
    for task_id in (ids["waits"], ids["hand"], runs_id):
        alice.data("POST", f"/tasks/{task_id}/pause")
    kubectl("delete", "-n", space.namespace, "scheduledtask/deleted")
    withdrawn = wait_for(alice, waiting["waits"]["execution_id"], "CANCELLED")
    assert withdrawn["error_message"].startswith("Suspended: ")
    dropped = wait_for(alice, waiting["deleted"]["execution_id"], "CANCELLED")
    assert dropped["error_message"] == "TaskDeleted: its task was deleted"
    assert [run["start_time"] for run in (withdrawn, dropped)] == [None, None]
    assert execution(alice, busy)["status"] == "RUNNING", "a pause ends nothing that runs"
    assert execution(alice, by_hand)["status"] == "PENDING", "somebody asked for it"
    # A task that is deleted ends what runs of it, and what waited for that starts - of a paused task, too.
    alice.data("DELETE", f"/tasks/{runs_id}")
    assert wait_for(alice, busy, "CANCELLED")["error_message"] == "TaskDeleted: its task was deleted"
    assert alice.log(busy) == ["busy", "told to stop"]
    wait_for(alice, by_hand, "SUCCESS")
    # Its only run was the one that was withdrawn.
    assert alice.call("POST", f"/tasks/{ids['waits']}/resume").status_code == 409
    assert len(alice.executions(ids["waits"])) == 1


@pytest.mark.takes(70)
def test_another_type_and_back_and_another_name_fire_nothing(space: Space, alice: Rest) -> None:
    space.apply_task("changes", "echo ran", **NEVER)
    task_id = space.task_id("changes")
    first = alice.trigger(task_id)
    wait_for(alice, first, "SUCCESS")
    title = execution(alice, first)["task_name"]

    def cronjob() -> dict[str, Any]:
        (found,) = space.items("cronjobs")
        return found

    uid = cronjob()["metadata"]["uid"]
    alice.data("PUT", f"/tasks/{task_id}", json={"schedule_type": "INTERVAL", "schedule_config": "3600"})
    eventually(lambda: cronjob()["spec"]["suspend"], seconds=30, what="the CronJob to be put aside")
    back = {"schedule_type": "CRON", "schedule_config": "* * * * *", "name": f"renamed of {space.namespace}"}
    before = datetime.now(UTC)
    alice.data("PUT", f"/tasks/{task_id}", json=back)
    eventually(lambda: not cronjob()["spec"]["suspend"], seconds=30, what="the CronJob to be taken up again")
    assert cronjob()["metadata"]["uid"] == uid
    assert cronjob()["spec"]["schedule"] == "* * * * *"
    runs = eventually(
        lambda: len(found := alice.ended(task_id)) > 1 and found, seconds=90, what="the next minute's run"
    )
    scheduled = [run for run in runs if run["kind"] == "Scheduled"]
    due = datetime.fromisoformat(scheduled[0]["scheduled_time"])
    # A change in the last moment of a minute may be seen in the next one.
    assert 0 < (due - before).total_seconds() <= 90, "the first tick after the change, and none before"
    assert execution(alice, scheduled[0]["execution_id"])["task_name"] == back["name"]
    assert execution(alice, first)["task_name"] == title, "history keeps the name of its time"


@pytest.mark.takes(60)
def test_deleted_and_made_again_at_once_it_is_another_task(space: Space, alice: Rest) -> None:
    space.apply_task("again", BUSY, scheduleType="Cron", schedule="* * * * *", suspend=True)
    old_id = space.task_id("again")
    old = alice.trigger(old_id)
    wait_for(alice, old, "RUNNING")
    kubectl("delete", "-n", space.namespace, "scheduledtask/again")
    space.apply_task("again", "echo ran", scheduleType="Cron", schedule="* * * * *")
    made = datetime.fromisoformat(space.get("scheduledtask", "again")["metadata"]["creationTimestamp"])
    new_id = space.task_id("again")
    assert new_id != old_id
    assert space.ready("again")["status"] == "True", "the name was free at once"
    assert alice.call("GET", f"/tasks/{old_id}").status_code == 404
    assert wait_for(alice, old, "CANCELLED")["error_message"] == "TaskDeleted: its task was deleted"
    (run, *_) = alice.ended(new_id)
    due = datetime.fromisoformat(run["scheduled_time"])
    assert 0 < (due - made).total_seconds() <= 60, "its own first tick"
    assert alice.log(run["execution_id"]) == ["ran"]
    assert old not in {other["execution_id"] for other in alice.executions(new_id)}


def test_everybody_tells_the_same_start_of_a_spread_run(space: Space, alice: Rest) -> None:
    space.apply_task("spread", "echo ran", spreadSeconds=3000, **NEVER)
    task_id = space.task_id("spread")

    def told_by_the_operator() -> str:
        return str(space.get("scheduledtask", "spread")["status"]["nextScheduleTime"])

    def agreed() -> dict[str, Any] | None:
        runs: dict[str, Any] = alice.data("GET", f"/tasks/{task_id}/next-runs")
        times = (told_by_the_operator(), alice.data("GET", f"/tasks/{task_id}")["next_run_time"])
        return runs if set(times) == {runs["next_run_times"][0]} else None

    runs = eventually(agreed, seconds=30, what="operator, task and next-runs to agree")
    share = timedelta(seconds=runs["spread_offset_seconds"])
    assert timedelta() <= share < timedelta(seconds=3000)
    tick = datetime.fromisoformat(runs["next_run_times"][0]) - share
    assert (tick.month, tick.day, tick.hour, tick.minute, tick.second) == (1, 1, 0, 0, 0)
    # A new spread is known to the next read, before the operator has seen it.
    changed = alice.data("PUT", f"/tasks/{task_id}", json={"spread_seconds": 7000})
    runs = alice.data("GET", f"/tasks/{task_id}/next-runs")
    assert changed["next_run_time"] == runs["next_run_times"][0]
    share = timedelta(seconds=runs["spread_offset_seconds"])
    assert datetime.fromisoformat(changed["next_run_time"]) == tick + share
    eventually(lambda: told_by_the_operator() == changed["next_run_time"], seconds=30, what="the operator to agree")
