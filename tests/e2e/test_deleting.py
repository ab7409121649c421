"""What goes when something is deleted by kubectl, and what stays."""

from __future__ import annotations

import uuid

from support.cluster import Cluster, KubectlFailed, Rest, Space, eventually, kubectl

PATIENT = "echo working; sleep 8; echo done"


def start(space: Space, alice: Rest, name: str, script: str) -> str:
    """A task with one run that has begun; the execution's id."""
    space.project_id()  # else the task may be registered before its Project, and be nobody's for a moment
    space.apply_task(name, script, scheduleType="Cron", schedule="0 0 1 1 *")
    execution = alice.trigger(space.task_id(name))
    eventually(
        lambda: alice.data("GET", f"/executions/{execution}")["status"] == "RUNNING", seconds=60, what="it to run"
    )
    return execution


def test_a_project_that_is_in_use(space: Space, alice: Rest) -> None:
    execution = start(space, alice, "user", PATIENT)
    kubectl("delete", "project.cronwright.dev", "demo", "-n", space.namespace, "--timeout=30s")
    lost = eventually(
        lambda: found if (found := space.ready("user"))["status"] == "False" else None, seconds=30, what="a refusal"
    )
    assert (lost["reason"], lost["message"]) == (
        "ProjectNotFound",
        "spec.projectName: there is no such project: demo",
    )
    (cronjob,) = space.names("cronjobs")
    suspended = kubectl("get", cronjob, "-n", space.namespace, "-o", "jsonpath={.spec.suspend}")
    assert suspended == "true", "no further run begins"
    # What runs goes on to its end, and is recorded.
    task_id = space.task_id("user")
    (run,) = alice.ended(task_id)
    assert (run["execution_id"], run["status"]) == (execution, "SUCCESS")
    assert alice.log(execution) == ["working", "done"]
    # A Project of that name, and all is as before.
    space.apply_project()
    eventually(lambda: space.ready("user")["status"] == "True", seconds=60, what="the task to be accepted again")
    assert space.task_id("user") == task_id


def test_a_task_that_leaves_its_cronjob_and_job_behind(space: Space, alice: Rest) -> None:
    execution = start(space, alice, "leaver", "trap 'exit 1' TERM; echo working; sleep 300 & wait")
    eventually(lambda: alice.log(execution) == ["working"], seconds=30, what="its first line")
    kubectl("delete", "scheduledtask", "leaver", "-n", space.namespace, "--cascade=orphan")
    ended = eventually(
        lambda: found if (found := alice.data("GET", f"/executions/{execution}"))["end_time"] else None,
        seconds=90,
        what="its run to be ended",
    )
    assert (ended["status"], ended["reason"]) == ("CANCELLED", "TaskDeleted")
    assert alice.log(execution) == ["working"]
    (cronjob,) = space.items("cronjobs")
    assert "ownerReferences" not in cronjob["metadata"], "nobody's any more"
    assert cronjob["spec"]["suspend"] is True, "no further run begins"
    # Its Job is recorded and held by nobody: it goes after a while like any other one, and may be deleted at once.
    (job,) = space.names("jobs")
    kubectl("delete", job, "-n", space.namespace, "--timeout=30s")


def test_a_namespace_goes_with_what_runs_in_it_and_its_history_stays(cluster: Cluster, alice: Rest) -> None:
    space = Space(cluster, f"e2e-{uuid.uuid4().hex[:8]}")
    kubectl("create", "namespace", space.namespace)
    space.apply_project()
    execution = start(space, alice, "resident", "trap 'exit 1' TERM; echo working; sleep 300 & wait")
    eventually(lambda: alice.log(execution) == ["working"], seconds=30, what="its first line")
    kubectl("delete", "namespace", space.namespace, "--wait=false")

    def gone() -> bool:
        try:
            kubectl("get", "namespace", space.namespace)
        except KubectlFailed as error:
            return "NotFound" in str(error)
        return False

    eventually(gone, seconds=120, what="the namespace to be gone")
    ended = eventually(
        lambda: (
            found
            if (found := alice.data("GET", f"/executions/{execution}"))["status"] not in ("PENDING", "RUNNING")
            else None
        ),
        seconds=60,
        what="the execution to be recorded",
    )
    # Kubernetes deletes Pods, Jobs and tasks of a namespace in no order: what goes first is the reason.
    assert (ended["status"], ended["reason"]) in (
        ("CANCELLED", "TaskDeleted"),
        ("CANCELLED", "Deleted"),
        ("FAILED", "PodDeleted"),
    ), ended
    assert "working" in alice.log(execution)
