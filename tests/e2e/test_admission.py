"""Who may write an owner, and which tasks may change image and command: refused at admission, with real users."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from support.cluster import KubectlFailed, Rest, Space, eventually, kubectl

EDIT = ["get", "create", "update", "patch", "delete"]
TASK = {"scheduleType": "Cron", "schedule": "0 0 1 1 *"}


@dataclass(frozen=True)
class Person:
    """Somebody who may write tasks and projects of one namespace by kubectl."""

    name: str
    space: Space

    def apply(self, kind: str, name: str, spec: Mapping[str, Any], *options: str) -> str:
        metadata = {"name": name, "namespace": self.space.namespace}
        body = {"apiVersion": "cronwright.dev/v1", "kind": kind, "metadata": metadata, "spec": spec}
        return kubectl(f"--as={self.name}", "apply", "-f", "-", *options, document=body)

    def patch(self, kind: str, name: str, body: Mapping[str, Any]) -> str:
        return kubectl(
            *(f"--as={self.name}", "patch", kind, name, "-n", self.space.namespace),
            *("--type=merge", "-p", json.dumps(body)),
        )


@pytest.fixture(autouse=True)
def policies() -> None:
    version = json.loads(kubectl("version", "-o", "json"))["serverVersion"]
    assert (int(version["major"]), int(version["minor"].rstrip("+"))) >= (1, 30), "the policies need Kubernetes 1.30"
    found = kubectl("get", "validatingadmissionpolicies", "-o", "name")
    assert "cronwright-owner" in found, "the chart was installed without admissionPolicy.enabled"


def person(space: Space, name: str, verbs: list[str]) -> Person:
    name = f"{name}-{uuid.uuid4().hex[:6]}"
    resources = "scheduledtasks.cronwright.dev,projects.cronwright.dev"
    options = [f"--verb={','.join(verbs)}", f"--resource={resources}", "-n", space.namespace]
    if "setowner" in verbs:
        # `kubectl create role` knows no verbs of others.
        rule = {"apiGroups": ["cronwright.dev"], "resources": ["scheduledtasks", "projects"], "verbs": verbs}
        meta = {"name": name, "namespace": space.namespace}
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta, "rules": [rule]}
        kubectl("apply", "-f", "-", document=role)
    else:
        kubectl("create", "role", name, *options)
    kubectl("create", "rolebinding", name, f"--role={name}", f"--user={name}", "-n", space.namespace)
    return Person(name, space)


@pytest.fixture
def mallory(space: Space) -> Person:
    return person(space, "mallory", EDIT)


def refused(words: str) -> Any:
    return pytest.raises(KubectlFailed, match=words)


def test_nobody_gives_tasks_to_others_or_takes_them(space: Space, mallory: Person) -> None:
    container = {"image": space.cluster.image}
    # What she makes is hers, or the Project's owner's.
    mallory.apply("Project", "hers", {**container, "owner": mallory.name, "displayName": f"hers of {space.namespace}"})
    mallory.apply("ScheduledTask", "task-hers", {**TASK, "projectName": "hers", "owner": mallory.name})
    mallory.apply("ScheduledTask", "task-demo", {**TASK, "projectName": "demo"})
    for kind, spec in (("Project", container), ("ScheduledTask", {**TASK, "projectName": "hers"})):
        with refused(f"spec.owner: {mallory.name} may leave it out or set it to their own name"):
            mallory.apply(kind, "given", {**spec, "owner": "alice"})
    # Nobody's Project changes hands, in either direction.
    for project, owner in (("hers", "alice"), ("hers", None), ("demo", mallory.name)):
        with refused(f"spec.owner: {mallory.name} may not change it"):
            mallory.patch("project.cronwright.dev", project, {"spec": {"owner": owner}})
    # All else of them she may change, as her Role says.
    mallory.patch("project.cronwright.dev", "demo", {"spec": {"description": "by mallory"}})
    mallory.patch("scheduledtask", "task-demo", {"spec": {"suspend": True}})
    mallory.patch("scheduledtask", "task-demo", {"metadata": {"annotations": {"note": "x"}}})


def test_the_right_to_name_owners_can_be_granted(space: Space) -> None:
    grace = person(space, "grace", [*EDIT, "setowner"])
    container = {"image": space.cluster.image, "displayName": f"given of {space.namespace}"}
    grace.apply("Project", "given", {**container, "owner": "alice"})
    grace.patch("project.cronwright.dev", "given", {"spec": {"owner": "bob"}})
    grace.apply("ScheduledTask", "given", {**TASK, "projectName": "given", "owner": "bob"})
    asked = ["auth", "can-i", "setowner", "scheduledtasks.cronwright.dev", "-n", space.namespace]
    assert kubectl(f"--as={grace.name}", *asked).strip() == "yes"


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("view", {"list scheduledtasks", "list projects"}),
        ("edit", {"list scheduledtasks", "list projects", "create scheduledtasks"}),
        ("admin", {"list scheduledtasks", "list projects", "create scheduledtasks", "create projects"}),
    ],
)
def test_kubernetes_own_roles_hold_for_tasks_and_projects(space: Space, role: str, may: set[str]) -> None:
    user = f"{role}er-{uuid.uuid4().hex[:6]}"
    kubectl("create", "rolebinding", user, f"--clusterrole={role}", f"--user={user}", "-n", space.namespace)

    def allowed() -> set[str]:
        found = set()
        for verb in ("list", "create", "setowner"):
            for resource in ("scheduledtasks", "projects"):
                asked = ["auth", "can-i", verb, f"{resource}.cronwright.dev", "-n", space.namespace]
                try:
                    kubectl(f"--as={user}", *asked)
                except KubectlFailed:
                    continue  # it says no by its exit code
                found.add(f"{verb} {resource}")
        return found

    # The API server hears of the binding by a watch, a moment after it was made.
    eventually(lambda: allowed() == may, seconds=30, what=f"the rights of {role}")


def test_rest_gives_tasks_to_the_user_of_the_token(space: Space, alice: Rest) -> None:
    body = {"name": f"mine of {space.namespace}", "project_id": space.project_id(), "schedule_type": "ONCE"}
    made = alice.data("POST", "/tasks", json={**body, "is_active": False})
    assert space.get("scheduledtask", f"task-{made['id']}")["spec"]["owner"] == "alice"


@pytest.mark.parametrize(("field", "value"), [("image", "other:1"), ("command", ["sh"])])
def test_overrides_that_the_project_does_not_allow(space: Space, mallory: Person, field: str, value: Any) -> None:
    words = f"the project 'demo of {space.namespace}' does not allow tasks to change {field}"
    spec = {**TASK, "projectName": "demo", "overrides": {field: value}}

    def look() -> str | None:
        # The API server hears of the Project by a watch, a moment after it was made.
        try:
            mallory.apply("ScheduledTask", "wrong", spec, "--dry-run=server")
        except KubectlFailed as error:
            return str(error)
        return None

    said = eventually(look, seconds=30, what="the override to be refused")
    assert f"spec.overrides.{field}: {words}" in said
    # Its name counts among all tasks of its owner: the two tests may run at once.
    mallory.apply("ScheduledTask", f"right-{field}", {**spec, "overrides": {"args": ["true"]}})
    assert space.ready(f"right-{field}")["status"] == "True"


def test_what_the_policy_cannot_know_is_the_operators_to_judge(space: Space, mallory: Person) -> None:
    spec = {**TASK, "projectName": "open", "overrides": {"image": space.cluster.image}}
    # Before its Project there is nothing to ask.
    mallory.apply("ScheduledTask", "early", spec)
    assert space.ready("early")["reason"] == "ProjectNotFound"
    space.apply_project("open", allowOverrides=True)
    eventually(lambda: space.ready("early")["status"] == "True", seconds=30, what="the task to be accepted")
    # A Project that changes its mind later.
    space.apply_project("open", allowOverrides=False)
    taken = eventually(
        lambda: found if (found := space.ready("early"))["status"] == "False" else None, seconds=30, what="a refusal"
    )
    assert taken["reason"] == "OverrideNotAllowed"
    assert taken["message"].startswith("spec.overrides.image: the project 'open of ")
    # It can still be paused and deleted, and it cannot get worse.
    mallory.patch("scheduledtask", "early", {"spec": {"suspend": True}})

    def worse() -> bool:
        try:
            mallory.patch("scheduledtask", "early", {"spec": {"overrides": {"image": f"x:{uuid.uuid4().hex}"}}})
        except KubectlFailed as error:
            return "does not allow tasks to change image" in str(error)
        return False

    eventually(worse, seconds=30, what="another image to be refused")
