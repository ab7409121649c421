"""While the operator is away Kubernetes carries on by itself, and the record catches up."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from support.cluster import SYSTEM, Cluster, Rest, Space, eventually, kubectl
from support.doc_commands import blocks, run
from support.old_executions import add_old_execution

MINUTELY = "cronwright.dev/task=minutely"
SUSPENDED = "Suspended: its task was suspended before it could start"
AWAY_SECONDS = 180
"""Three ticks of a minutely task, whatever second it begins at."""


def test_runs_of_an_absence_are_all_in_the_history(cluster: Cluster, space: Space, alice: Rest) -> None:
    space.apply_task("minutely", "echo tick at $(date +%s)", scheduleType="Cron", schedule="* * * * *")
    slow = "trap 'echo stopping; exit 1' TERM; echo begun; sleep 300 & wait"
    space.apply_task("slow", slow, scheduleType="Cron", schedule="* * * * *", activeDeadlineSeconds=10)
    space.apply_task(
        "cancelled", "trap 'exit 1' TERM; echo working; sleep 600 & wait", scheduleType="Cron", schedule="0 0 1 1 *"
    )
    space.apply_project("leaving")
    space.apply_task("leaving", projectName="leaving", scheduleType="Date", schedule="2099-01-01T00:00:00Z")
    left = f"/tasks/{space.task_id('leaving')}", f"/projects/{space.project_id('leaving')}"
    assert [alice.call("GET", path).status_code for path in left] == [200, 200]
    task_id, slow_id, cancelled_id = (space.task_id(name) for name in ("minutely", "slow", "cancelled"))
    space.apply_task("paused", "echo ran", scheduleType="Cron", schedule="* * * * *")
    space.apply_task("deleted", "trap 'exit 1' TERM; echo working; sleep 600 & wait", scheduleType="Once")
    paused_id, deleted_id = space.task_id("paused"), space.task_id("deleted")
    eventually(lambda: len(space.names("cronjobs")) == 4, seconds=30, what="the CronJobs")
    running = alice.trigger(cancelled_id)
    eventually(lambda: alice.data("GET", f"/executions/{running}")["status"] == "RUNNING", seconds=60, what="it to run")
    (orphan,) = eventually(lambda: alice.executions(deleted_id), seconds=60, what="the run of what will be deleted")
    eventually(lambda: alice.log(orphan["execution_id"]), seconds=60, what="its output")
    operators = cluster.replicas("deployment", "cronwright-operator")
    cluster.scale("deployment", "cronwright-operator", 0)
    try:
        end = time.monotonic() + AWAY_SECONDS
        # A task may be created, triggered and read while the operator is away; what it asks for waits.
        answer = alice.call("POST", f"/tasks/{task_id}/trigger")
        assert answer.status_code == 200
        manual = answer.headers["location"].rsplit("/", 1)[1]
        waiting = alice.data("GET", f"/executions/{manual}")
        assert (waiting["status"], waiting["start_time"]) == ("PENDING", None)
        kubectl("delete", "-n", space.namespace, "scheduledtask/leaving", "project.cronwright.dev/leaving")
        # Edits are seen when the operator is back; until then Kubernetes goes on with what stands.
        assert alice.call("POST", f"/tasks/{paused_id}/pause").status_code == 200
        kubectl("delete", "-n", space.namespace, "scheduledtask/deleted")
        # A cancel waits as well, of what runs and of what was never begun.
        unbegun = alice.trigger(cancelled_id)
        for execution in (running, unbegun):
            assert alice.call("POST", f"/executions/{execution}/cancel").status_code == 200
        eventually(
            lambda: time.monotonic() > end and len(space.names("jobs", MINUTELY)) >= 3,
            seconds=AWAY_SECONDS + 60,
            what="three Jobs made by the cluster alone",
        )
        made = {name.removeprefix("job.batch/") for name in space.names("jobs", MINUTELY)}
        while_paused = len(space.names("jobs", "cronwright.dev/task=paused"))
    finally:
        cluster.scale("deployment", "cronwright-operator", operators)

    def caught_up() -> list[dict[str, Any]] | None:
        runs = alice.ended(task_id, count=len(made) + 1, seconds=120)
        # A tick that came after the look at the Jobs may be counted in its place.
        return runs if manual in [run["execution_id"] for run in runs] else None

    runs = eventually(caught_up, seconds=120, what="the run that was triggered meanwhile")
    assert all(run["status"] == "SUCCESS" for run in runs)
    eventually(
        lambda: [alice.call("GET", path).status_code for path in left] == [404, 404],
        seconds=60,
        what="REST to know what was deleted meanwhile",
    )
    assert all(re.fullmatch(r"tick at \d+", "\n".join(alice.log(run["execution_id"]))) for run in runs), "run once"
    assert [run["scheduled_time"] for run in runs if run["execution_id"] == manual] == [None]
    ticks = [run["scheduled_time"] for run in runs if run["execution_id"] != manual]
    assert len(ticks) == len(runs) - 1 == len(set(ticks)), "no tick twice"
    both = {run["execution_id"]: run for run in alice.ended(cancelled_id, count=2)}
    assert {run["error_message"] for run in both.values()} == {"Cancelled: cancelled by alice"}
    assert both[running]["start_time"] is not None
    assert both[unbegun]["start_time"] is None
    assert alice.log(running) == ["working"]
    assert len(space.names("jobs", "cronwright.dev/task=cancelled")) == 1, "what was never begun got no Job"
    # What ran before the pause was seen is a run like any other, and from then on nothing is. Where the operator came
    # back in the very moment of a tick, before the controller made its Job, the history says why that one did not run.
    eventually(
        lambda: [run["status"] for run in alice.executions(paused_id)].count("SUCCESS") >= while_paused,
        seconds=90,
        what="the runs of the paused task",
    )
    others = [run["error_message"] for run in alice.ended(paused_id) if run["status"] != "SUCCESS"]
    assert others in ([], [SUSPENDED])
    (cronjob,) = space.items("cronjobs", "cronwright.dev/task=paused")
    assert cronjob["spec"]["suspend"] is True
    gone = alice.data("GET", f"/executions/{orphan['execution_id']}")
    assert (gone["status"], gone["error_message"]) == ("CANCELLED", "TaskDeleted: its task was deleted")
    assert alice.log(orphan["execution_id"]) == ["working"]
    # The time limit stands on the Pod: the kubelet kept it, and the output stayed.
    first, *_ = alice.ended(slow_id)
    assert (first["status"], first["error_message"]) == ("TIMEOUT", "DeadlineExceeded: ended at its time limit of 10 s")
    assert alice.log(first["execution_id"]) == ["begun", "stopping"]


def test_an_operator_that_is_killed_loses_and_repeats_no_line(space: Space, alice: Rest) -> None:
    script = "i=0; while [ $i -lt 150 ]; do i=$((i+1)); echo line $i; sleep 0.1; done"
    space.apply_task("talker", script, scheduleType="Once")
    task_id = space.task_id("talker")
    for _ in range(2):
        eventually(
            lambda: [e for e in alice.executions(task_id) if e["status"] == "RUNNING"], seconds=60, what="it to run"
        )
        kubectl(
            "delete", "pod", "-n", SYSTEM, "-l", "app.kubernetes.io/component=operator", "--grace-period=0", "--force"
        )
        time.sleep(1)
    (run,) = alice.ended(task_id, seconds=120)
    assert alice.log(run["execution_id"]) == [f"line {n}" for n in range(1, 151)]


def test_without_postgresql_tasks_run_and_the_record_follows(cluster: Cluster, space: Space, alice: Rest) -> None:
    space.apply_task("manual", "echo ran without a database", scheduleType="Cron", schedule="0 0 1 1 *")
    task_id = space.task_id("manual")
    space.apply_task(
        "long", "trap 'echo told to stop; exit 1' TERM; echo working; sleep 600 & wait", scheduleType="Once"
    )
    (long,) = eventually(lambda: alice.executions(space.task_id("long")), seconds=60, what="a run to be cancelled")
    eventually(lambda: alice.log(long["execution_id"]), seconds=60, what="its output")
    cluster.scale("statefulset", "cronwright-postgresql", 0)
    try:
        answer = alice.call("GET", f"/tasks/{task_id}")
        assert (answer.status_code, answer.json()["code"]) == (503, 503)
        kubectl("annotate", "-n", space.namespace, "scheduledtask/manual", "trigger.cronwright.dev/1=now")
        manual = "cronwright.dev/task=manual"
        (job,) = eventually(
            lambda: space.names("jobs", manual), seconds=60, what="the Job, although nothing can be recorded"
        )
        kubectl("wait", "-n", space.namespace, "--for=condition=Complete", job, "--timeout=60s")
        # A stop needs the API server only.
        cancel = f"cancel.cronwright.dev/{long['execution_id']}=now"
        kubectl("annotate", "-n", space.namespace, "scheduledtask/long", cancel)
        (stopped,) = space.names("jobs", "cronwright.dev/task=long")
        kubectl("wait", "-n", space.namespace, "--for=condition=Failed", stopped, "--timeout=60s")
        # One that comes and goes before anything of it could be written.
        space.apply_task("brief", "echo a short life", scheduleType="Once")
        (brief,) = eventually(
            lambda: space.names("jobs", "cronwright.dev/task=brief"), seconds=60, what="the Job of a task without an id"
        )
        kubectl("wait", "-n", space.namespace, "--for=condition=Complete", brief, "--timeout=60s")
        execution = "jsonpath={.metadata.annotations.cronwright\\.dev/execution}"
        of_brief = kubectl("get", "-n", space.namespace, brief, "-o", execution)
        kubectl("delete", "-n", space.namespace, "scheduledtask/brief", "--timeout=30s")
    finally:
        cluster.scale("statefulset", "cronwright-postgresql", 1)
    eventually(lambda: alice.call("GET", f"/tasks/{task_id}").status_code == 200, seconds=90, what="the API to be back")
    (run,) = alice.ended(task_id, seconds=120)
    assert run["status"] == "SUCCESS"
    assert alice.log(run["execution_id"]) == ["ran without a database"]
    (ended,) = alice.ended(space.task_id("long"))
    assert (ended["status"], ended["error_message"]) == ("CANCELLED", "Cancelled: cancelled by kubectl")
    assert alice.log(ended["execution_id"]) == ["working", "told to stop"]
    eventually(
        lambda: alice.call("GET", f"/executions/{of_brief}").status_code == 200, seconds=60, what="a dead task's record"
    )
    record = alice.call("GET", f"/executions/{of_brief}").json()["data"]
    assert (record["task_name"], record["status"]) == (f"brief of {space.namespace}", "SUCCESS")
    assert alice.log(of_brief) == ["a short life"]
    eventually(lambda: not space.names("jobs", "cronwright.dev/task=brief"), seconds=60, what="its Job to be let go")


def test_a_release_stops_the_operator_and_is_taken_back_by_it(space: Space, alice: Rest) -> None:
    space.project_id()
    space.apply_task("nightly", "echo working; sleep 20; echo done", scheduleType="Cron", schedule="0 0 1 1 *")
    task_id = space.task_id("nightly")
    execution = alice.trigger(task_id)
    eventually(
        lambda: alice.data("GET", f"/executions/{execution}")["status"] == "RUNNING", seconds=60, what="it to run"
    )
    (cronjob,), (job,) = space.names("cronjobs"), space.names("jobs")
    lease = "cronwright-operator"
    command = [sys.executable, "-m", "cronwright_core.cli", "release", f"--namespace={space.namespace}"]
    command += ["--suspend-cronjobs", f"--lease={SYSTEM}/{lease}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def field(name: str, path: str) -> str:
        return kubectl("get", name, "-n", space.namespace, "-o", f"jsonpath={{{path}}}")

    try:
        assert done.returncode == 0, done.stderr
        assert "has been stopped for 60 s" in done.stdout
        assert f"{job.removeprefix('job.batch/')}  task nightly  {execution}  running" in done.stdout
        # Whoever led has noticed by now, and nobody else has begun: nothing undoes it.
        assert field(cronjob, ".spec.suspend") == "true"
        assert "cronwright.dev/record" not in field(job, ".metadata.finalizers")
    finally:
        # Given back before its time, so that other tests need not wait for the rest of the minute.
        kubectl("-n", SYSTEM, "patch", "lease", lease, "--type=merge", "-p", '{"spec": {"holderIdentity": ""}}')
    eventually(lambda: field(cronjob, ".spec.suspend") == "false", seconds=60, what="the CronJob to be resumed")
    (ended,) = alice.ended(task_id)
    assert (ended["execution_id"], ended["status"]) == (execution, "SUCCESS"), "the Job was taken again, and recorded"
    assert alice.log(execution) == ["working", "done"]
    assert len(space.names("jobs")) == 1, "nothing ran twice"


def test_the_projection_is_rebuilt_from_the_cluster(space: Space, alice: Rest, tmp_path: Path) -> None:
    space.project_id()
    space.apply_task("once", "echo once", scheduleType="Once")
    space.apply_task("hourly", "echo hourly", scheduleType="Cron", schedule="0 0 1 1 *", suspend=True)
    ids = {name: space.task_id(name) for name in ("once", "hourly")}
    alice.ended(ids["once"])

    def answers() -> list[dict[str, Any]]:
        own = [alice.data("GET", f"/tasks/{id_}") for id_ in ids.values()]
        shown = ("id", "name", "project_id", "status", "is_active", "next_run_time", "created_at", "execution_summary")
        return [{key: task[key] for key in shown} for task in own]

    before = eventually(
        lambda: found if (found := answers())[0]["status"] == "SUCCESS" else None, seconds=30, what="the run's status"
    )
    run(blocks("docs/operations.md", "## Rebuilding", "## Sizing")[:1], tmp_path)

    def rebuilt() -> bool:
        found = [alice.call("GET", f"/tasks/{id_}").status_code for id_ in ids.values()]
        return found == [200, 200] and answers() == before

    eventually(rebuilt, seconds=90, what=f"the answers to be as before: {before}")
    assert len(alice.executions(ids["once"])) == 1, "what has run does not run again"
    assert {name: space.task_id(name) for name in ids} == ids


def test_what_is_older_than_its_project_keeps_goes_and_stays_counted(space: Space, alice: Rest) -> None:
    """An operator looks when it begins, and every ten minutes."""
    space.apply_project(retentionDays=30)
    space.apply_task("kept", "echo kept", scheduleType="Once")
    task_id, project_id = space.task_id("kept"), space.project_id()
    (new,) = alice.ended(task_id)
    old, recent = (add_old_execution(task_id, project_id, days) for days in (31, 29))
    of_all = f"/executions/{old}", f"/executions/{recent}", f"/executions/{new['execution_id']}"
    assert [alice.call("GET", path).status_code for path in of_all] == [200, 200, 200]
    assert alice.log(old) == ["from long ago"]
    counted = alice.data("GET", f"/tasks/{task_id}")["execution_summary"]
    kubectl("-n", SYSTEM, "rollout", "restart", "deploy/cronwright-operator")
    kubectl("-n", SYSTEM, "rollout", "status", "deploy/cronwright-operator", "--timeout=100s")
    eventually(lambda: alice.call("GET", of_all[0]).status_code == 404, seconds=90, what="the old one to go")
    assert [alice.call("GET", path).status_code for path in of_all[1:]] == [200, 200]
    assert alice.data("GET", f"/tasks/{task_id}")["execution_summary"] == counted
    assert {run["execution_id"] for run in alice.executions(task_id)} == {recent, new["execution_id"]}
