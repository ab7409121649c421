"""What the cluster refuses - a quota, a policy of its administrator, a full object - and what is told of it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from support.cluster import KubectlFailed, Rest, Space, eventually, kubectl

ANNOTATIONS_BYTES = 256 * 1024
"""All annotations of an object together (k8s.io/apimachinery/pkg/api/validation TotalAnnotationSizeLimitB)."""


def test_a_job_that_a_quota_refuses_is_made_once_there_is_room(space: Space, alice: Rest) -> None:
    space.project_id()
    space.apply_task("limited", "echo ran", scheduleType="Cron", schedule="0 0 1 1 *")
    task_id = space.task_id("limited")
    hard = {"count/jobs.batch": "0"}
    meta = {"name": "none", "namespace": space.namespace}
    space.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": {"hard": hard}})
    # Its controller counts first; before that the API server lets everything pass.
    eventually(
        lambda: space.get("resourcequota", "none").get("status", {}).get("hard") == hard, seconds=60, what="the quota"
    )
    execution = alice.trigger(task_id)
    refused = eventually(
        lambda: found if (found := space.ready("limited"))["status"] == "False" else None, seconds=30, what="a refusal"
    )
    assert refused["reason"] == "JobRefused"
    assert "exceeded quota: none" in refused["message"]
    assert alice.data("GET", f"/executions/{execution}")["status"] == "PENDING"
    assert not space.names("jobs")
    kubectl("delete", "resourcequota", "none", "-n", space.namespace)
    (run,) = alice.ended(task_id)
    assert (run["execution_id"], run["status"]) == (execution, "SUCCESS")
    assert alice.log(execution) == ["ran"]
    eventually(lambda: space.ready("limited")["status"] == "True", seconds=30, what="the refusal to be taken back")


@dataclass
class Policies:
    """Policies of the cluster's administrator for one namespace alone."""

    space: Space
    names: list[str] = field(default_factory=list)

    def forbid(self, resource: str, operation: str, unless: str, message: str) -> str:
        """Refuses what does not fit the CEL expression; returns the policy's name. `resource` is `group/plural`."""
        name = f"e2e-{uuid.uuid4().hex[:8]}"
        self.names.append(name)
        group, plural = resource.split("/")
        rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": [operation], "resources": [plural]}
        here = {"matchLabels": {"kubernetes.io/metadata.name": self.space.namespace}}
        self._apply(
            "ValidatingAdmissionPolicy",
            name,
            {
                "failurePolicy": "Fail",
                "matchConstraints": {"namespaceSelector": here, "resourceRules": [rule]},
                "validations": [{"expression": unless, "message": message}],
            },
        )
        spec = {"policyName": name, "validationActions": ["Deny"]}
        self._apply("ValidatingAdmissionPolicyBinding", name, spec)
        return name

    def allow(self) -> None:
        for name in self.names:
            kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", name)
        self.names.clear()

    def _apply(self, kind: str, name: str, spec: Mapping[str, Any]) -> None:
        body = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}}
        self.space.apply({**body, "spec": spec})


@pytest.fixture
def policies(space: Space) -> Iterator[Policies]:
    found = Policies(space)
    yield found
    found.allow()


def test_a_policy_of_the_clusters_own_refuses_rest_and_kubectl_alike(
    space: Space, alice: Rest, policies: Policies
) -> None:
    project_id = space.project_id()
    begin = "object.spec.displayName.startsWith('team-')"
    policy = policies.forbid("cronwright.dev/scheduledtasks", "CREATE", begin, "names begin with the team")

    def refused_by_kubectl() -> bool:
        try:
            space.apply_task("other", scheduleType="Cron", schedule="0 0 1 1 *")
        except KubectlFailed as error:
            return "names begin with the team" in str(error)
        kubectl("delete", "scheduledtask", "other", "-n", space.namespace)
        return False

    # The API server hears of a policy by a watch, a moment after it was made.
    eventually(refused_by_kubectl, seconds=60, what="the policy to be in force")
    body = {"project_id": project_id, "schedule_type": "ONCE", "is_active": False}
    name = f"other of {space.namespace}"
    answer = alice.call("POST", "/tasks", json={**body, "name": name}, headers={"Accept-Language": "en"})
    assert answer.status_code == 400, answer.text
    assert "names begin with the team" in answer.json()["message"]
    assert policy not in answer.text, "how the cluster is built is not told"
    # Nothing is left of it: not in the list, and the name is free.
    assert alice.call("GET", "/tasks", params={"search": name}).json()["total"] == 0
    made = alice.data("POST", "/tasks", json={**body, "name": f"team-{name}"})
    assert made["name"] == f"team-{name}"


def test_a_cronjob_that_may_not_change_holds_up_the_edit_and_no_manual_run(
    space: Space, alice: Rest, policies: Policies
) -> None:
    space.project_id()
    space.apply_task("kept", "echo ran", scheduleType="Cron", schedule="0 0 1 1 *")
    task_id = space.task_id("kept")
    (cronjob,) = eventually(lambda: space.names("cronjobs"), seconds=30, what="its CronJob")
    policies.forbid("batch/cronjobs", "UPDATE", "object.spec == oldObject.spec", "CronJobs stay as they are")

    def in_force() -> bool:
        try:
            patch = '{"spec":{"failedJobsHistoryLimit":7}}'
            kubectl("patch", cronjob, "-n", space.namespace, "--type=merge", "-p", patch, "--dry-run=server")
        except KubectlFailed as error:
            return "CronJobs stay as they are" in str(error)
        return False

    eventually(in_force, seconds=60, what="the policy to be in force")
    assert alice.call("POST", f"/tasks/{task_id}/pause").status_code == 200
    stuck = eventually(
        lambda: found if (found := _ready_now(space, "kept"))["status"] == "False" else None,
        seconds=30,
        what="the refusal to be told",
    )
    assert stuck["reason"] == "CronJobRefused"
    assert "CronJobs stay as they are" in stuck["message"]
    kubectl("annotate", "scheduledtask/kept", "-n", space.namespace, "trigger.cronwright.dev/1=now")
    (run,) = alice.ended(task_id)
    assert (run["status"], alice.log(run["execution_id"])) == ("SUCCESS", ["ran"])
    policies.allow()
    eventually(lambda: space.ready("kept")["status"] == "True", seconds=90, what="the edit to be carried out")
    assert space.items("cronjobs")[0]["spec"]["suspend"] is True


def _ready_now(space: Space, name: str) -> dict[str, Any]:
    """The condition Ready as it stands, of whichever generation."""
    conditions = space.get("scheduledtask", name).get("status", {}).get("conditions", [])
    return next(condition for condition in conditions if condition["type"] == "Ready")


def test_a_task_that_is_full_takes_no_further_request_and_says_so(space: Space, alice: Rest) -> None:
    space.project_id()
    space.apply_task(
        "full", "trap 'exit 1' TERM; echo working; sleep 300 & wait", scheduleType="Cron", schedule="0 0 1 1 *"
    )
    task_id = space.task_id("full")
    running = alice.trigger(task_id)
    eventually(lambda: alice.log(running) == ["working"], seconds=60, what="its first line")
    # The request is taken off the task when its Job stands.
    eventually(lambda: not _requests(space), seconds=30, what="the trigger to be done")
    _fill(space)
    for path in (f"/tasks/{task_id}/trigger", f"/executions/{running}/cancel"):
        answer = alice.call("POST", path, headers={"Accept-Language": "en"})
        assert answer.status_code == 409, f"{path}: {answer.text}"
        assert "try" in answer.json()["message"]
    assert [run["execution_id"] for run in alice.executions(task_id)] == [running], (
        "what was refused was never asked for"
    )
    kubectl("annotate", "scheduledtask/full", "-n", space.namespace, "filler-")
    assert alice.call("POST", f"/executions/{running}/cancel").status_code == 200
    (run,) = alice.ended(task_id)
    assert run["status"] == "CANCELLED"


def _requests(space: Space) -> list[str]:
    annotations = space.get("scheduledtask", "full")["metadata"].get("annotations", {})
    return [name for name in annotations if name.startswith(("trigger.cronwright.dev/", "cancel.cronwright.dev/"))]


def _fill(space: Space) -> None:
    """Leaves room for ten bytes more."""
    annotations = space.get("scheduledtask", "full")["metadata"].get("annotations", {})
    used = sum(len(name) + len(value) for name, value in annotations.items())
    filler = "x" * (ANNOTATIONS_BYTES - used - len("filler") - 10)
    body = {"metadata": {"annotations": {"filler": filler}}}
    # By standard input: an argument may have half of that.
    kubectl(
        "patch", "scheduledtask/full", "-n", space.namespace, "--type=merge", "--patch-file=/dev/stdin", document=body
    )
