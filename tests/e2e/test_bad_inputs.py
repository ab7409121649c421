"""REST and kubectl are equal in what they refuse: one table (`support.bad_inputs`), tried through both on real servers.

The table goes through kubectl in one call and is compared as a whole, so that a disagreement shows beside all others.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from support.bad_inputs import MISSING, PROJECTS, TASKS, Bad
from support.cluster import Rest, Space, eventually, kubectl

_FIRST_LINE = re.compile(r'^(?:The |Error from server|error).*?"(bad-\d{3})"')
ENGLISH = {"Accept-Language": "en"}


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**base, **change}.items() if value is not MISSING}


def manifest(space: Space, kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": space.namespace}
    return {"apiVersion": "cronwright.dev/v1", "kind": kind, "metadata": metadata, "spec": dict(spec)}


def task_spec(space: Space, number: int) -> dict[str, Any]:
    name = f"bad {number} of {space.namespace}"
    return {"displayName": name, "projectName": "demo", "scheduleType": "Cron", "schedule": "0 0 1 1 *"}


def apply_all(documents: Iterable[Mapping[str, Any]], *options: str) -> dict[str, str]:
    """Applies all of them in one call; what kubectl says of each that was refused, by name."""
    program = os.environ.get("CRONWRIGHT_KUBECTL") or shutil.which("kubectl") or "kubectl"
    done = subprocess.run(
        [program, "apply", *options, "-f", "-"],
        # One after the other and not a List, of which kubectl would judge the whole by itself.
        input="\n".join(json.dumps(document) for document in documents),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    refused: dict[str, str] = {}
    name = ""
    for line in done.stderr.splitlines():
        first = _FIRST_LINE.match(line)
        name = first[1] if first else name
        refused[name] = refused.get(name, "") + line + "\n"
    return refused


def refused_by_rest(rest: Rest, path: str, body: Mapping[str, Any], bad: Bad) -> str | None:
    """What REST says of the field; None if it does not refuse it as wrong."""
    answer = rest.call("POST", path, json=dict(body), headers=ENGLISH)
    if answer.status_code != 400:
        return None
    said = [error["message"] for error in answer.json()["errors"] if error["field"].split(".")[0] == bad.field]
    return said[0] if said else None


def disagreements(space: Space, rest: Rest, kind: str, table: list[Bad], bodies: Mapping[str, Any]) -> list[str]:
    """The rows of the table that are refused at admission, through both; what is not refused, or not by its field."""
    path, body, spec = bodies["path"], bodies["rest"], bodies["kube"]
    at_admission = {f"bad-{n:03}": bad for n, bad in enumerate(table) if bad.condition is None}
    documents = [manifest(space, kind, name, merged(spec, bad.kube)) for name, bad in at_admission.items()]
    by_kubectl = apply_all(documents, "--dry-run=server")
    wrong = []
    for name, bad in at_admission.items():
        by_rest = refused_by_rest(rest, path, merged(body, bad.rest), bad)
        said = by_kubectl.get(name, "")
        if by_rest is None or bad.kube_field not in said or (bad.words and bad.words not in by_rest + said):
            wrong.append(f"{str(bad.kube)[:80]}: REST says {by_rest!r} of {bad.field}; kubectl says {said[:300]!r}")
    return wrong


@pytest.mark.takes(30)
def test_what_a_task_must_not_be(space: Space, alice: Rest) -> None:
    body = {
        "name": f"a good name of {space.namespace}",
        "project_id": space.project_id(),
        "schedule_type": "CRON",
        "schedule_config": "0 0 1 1 *",
    }
    bodies = {"path": "/tasks", "rest": body, "kube": task_spec(space, 0)}
    assert disagreements(space, alice, "ScheduledTask", TASKS, bodies) == []
    assert space.names("scheduledtasks") == [], "nothing was stored"


def test_what_a_project_must_not_be(space: Space, admin: Rest) -> None:
    bodies = {
        "path": "/projects",
        "rest": {"name": f"good {space.namespace}", "image": "demo:1", "namespace": space.namespace},
        "kube": {"displayName": f"good {space.namespace}", "image": "demo:1"},
    }
    assert disagreements(space, admin, "Project", PROJECTS, bodies) == []
    assert space.names("projects.cronwright.dev") == ["project.cronwright.dev/demo"], "nothing was stored"


def test_what_a_schema_cannot_say_is_said_in_the_same_words(space: Space, alice: Rest) -> None:
    table = [bad for bad in TASKS if bad.condition is not None]
    names = {f"bad-{n:03}": bad for n, bad in enumerate(table)}
    documents = [
        manifest(space, "ScheduledTask", name, merged(task_spec(space, number), bad.kube))
        for number, (name, bad) in enumerate(names.items())
    ]
    assert apply_all(documents) == {}
    seen = eventually(lambda: conditions(space, len(names)), seconds=60, what="a condition of every wrong task")
    body = {"name": "never made", "project_id": space.project_id(), "schedule_type": "CRON"}
    body["schedule_config"] = "0 0 1 1 *"
    wrong = []
    for name, bad in names.items():
        by_rest = refused_by_rest(alice, "/tasks", merged(body, bad.rest), bad)
        ready = seen[name]
        words = bad.words or by_rest or "no words"
        if (
            (ready["status"], ready["reason"]) != ("False", bad.condition)
            or not ready["message"].startswith(f"{bad.kube_field}: ")
            or words not in ready["message"]
            or words not in (by_rest or "")
        ):
            wrong.append(f"{bad.kube}: REST says {by_rest!r}; the condition {ready['reason']}: {ready['message']}")
    assert wrong == []
    assert space.names("cronjobs") == space.names("jobs") == [], "nothing runs"


def conditions(space: Space, count: int) -> dict[str, dict[str, Any]] | None:
    """The Ready conditions of all tasks of the namespace, once there are so many."""
    listed = json.loads(kubectl("get", "scheduledtasks", "-n", space.namespace, "-o", "json"))["items"]
    ready = {
        item["metadata"]["name"]: condition
        for item in listed
        for condition in item.get("status", {}).get("conditions", [])
        if condition["type"] == "Ready" and condition["observedGeneration"] == item["metadata"]["generation"]
    }
    return ready if len(ready) == count else None


def test_a_name_that_is_taken(space: Space, alice: Rest) -> None:
    name = f"taken in {space.namespace}"
    space.apply_task("first", "true", displayName=name, scheduleType="Cron", schedule="0 0 1 1 *")
    space.task_id("first")
    space.apply_task("second", "true", displayName=name, scheduleType="Cron", schedule="0 0 1 1 *")
    taken = eventually(
        lambda: found if (found := space.ready("second"))["status"] == "False" else None, seconds=30, what="NameTaken"
    )
    assert (taken["reason"], taken["message"]) == (
        "NameTaken",
        f"spec.displayName: there is a task of this name already: {name}",
    )
    body = {"name": name, "project_id": space.project_id(), "schedule_type": "ONCE"}
    answer = alice.call("POST", "/tasks", json=body, headers=ENGLISH)
    assert answer.status_code == 409
    assert [error["message"] for error in answer.json()["errors"]] == [f"there is a task of this name already: {name}"]
    # Once the name is free, the second one takes it by itself.
    kubectl("delete", "-n", space.namespace, "scheduledtask", "first", "--wait=false")
    eventually(lambda: space.ready("second")["status"] == "True", seconds=90, what="the second to take the name")
