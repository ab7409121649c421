"""Tools that apply the same manifests again and again find nothing to do: the operator leaves every spec alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.cluster import Rest, Space, eventually, kubectl

MANAGER = "gitops"
READY = ("wait", "--for=condition=Ready", "--timeout=60s", "project.cronwright.dev/reports", "scheduledtask/nightly")


def manifests(space: Space) -> dict[str, Any]:
    """A Project and a task as people write them: with few fields, so that defaults fill in the rest."""
    project = {
        "owner": "alice",
        "displayName": f"reports of {space.namespace}",
        "image": space.cluster.image,
        "command": ["sh", "-c"],
        "args": ["echo hello"],
        "env": [{"name": "REGION", "value": "eu"}],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000},
        "members": ["bob"],
    }
    task = {
        "projectName": "reports",
        "displayName": f"nightly of {space.namespace}",
        "schedule": "0 0 1 1 *",  # not while the test looks for its one run
        "overrides": {"env": [{"name": "DAY", "value": "1"}], "resources": {"limits": {"cpu": 1, "memory": "0.1Gi"}}},
    }
    items = [
        {
            "apiVersion": "cronwright.dev/v1",
            "kind": kind,
            "metadata": {"name": name, "namespace": space.namespace},
            "spec": spec,
        }
        for kind, name, spec in (("Project", "reports", project), ("ScheduledTask", "nightly", task))
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def work_on(space: Space, alice: Rest) -> None:
    """Lets the operator do what it does to a task: accept it, run it, record the run, write the status."""
    kubectl("-n", space.namespace, *READY)
    kubectl("annotate", "-n", space.namespace, "scheduledtask/nightly", "trigger.cronwright.dev/1=now")
    (run,) = alice.ended(space.task_id("nightly"))
    assert run["status"] == "SUCCESS"
    eventually(
        lambda: space.get("scheduledtask", "nightly")["status"].get("lastExecutionStatus") == "SUCCESS",
        seconds=30,
        what="the run in the status",
    )


@pytest.mark.parametrize("options", [["--server-side", f"--field-manager={MANAGER}"], []], ids=["server", "client"])
def test_applying_the_same_again_changes_nothing(space: Space, alice: Rest, options: list[str]) -> None:
    wanted = manifests(space)
    kubectl("apply", *options, "-f", "-", document=wanted)
    work_on(space, alice)
    # Ends with 1, which fails here, if there is a difference.
    assert kubectl("diff", *options, "-f", "-", document=wanted) == ""
    said = kubectl("apply", *options, "-f", "-", document=wanted)
    assert options or said.count("unchanged") == 2, said
    for kind, name in (("project.cronwright.dev", "reports"), ("scheduledtask", "nightly")):
        metadata = space.get(kind, name)["metadata"]
        assert metadata["generation"] == 1, f"the spec of {name} has changed"
        assert not [key for key in metadata.get("annotations", {}) if "cronwright.dev" in key or "kopf" in key]
        assert metadata.get("finalizers") is None, "a user's object is never held"


def test_the_spec_belongs_to_who_applied_it(space: Space, alice: Rest) -> None:
    kubectl("apply", "--server-side", f"--field-manager={MANAGER}", "-f", "-", document=manifests(space))
    work_on(space, alice)
    for kind, name in (("project.cronwright.dev", "reports"), ("scheduledtask", "nightly")):
        shown = kubectl("get", kind, name, "-n", space.namespace, "--show-managed-fields", "-o", "json")
        entries = json.loads(shown)["metadata"]["managedFields"]
        assert {entry["manager"] for entry in entries if "f:spec" in entry["fieldsV1"]} == {MANAGER}
        operators = [entry for entry in entries if entry.get("subresource") == "status"]
        assert operators, "the operator wrote the status"
        assert all(set(entry["fieldsV1"]) == {"f:status"} for entry in operators)
