"""What the API server itself refuses, and what it says: the rules of the CRDs, tried on a real one.

Each bad object differs from a good one in one place, so that a refusal can only come from the rule that is meant.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

# Of its own for each run: the one of an earlier run may still be terminating.
NAMESPACE = f"cronwright-crd-rules-{uuid.uuid4().hex[:8]}"
OURS = {"cronwright-dev", "kind-cronwright"}


def kubectl(*arguments: str, document: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    program = os.environ.get("CRONWRIGHT_KUBECTL") or shutil.which("kubectl")
    assert program, "no kubectl: put one on PATH or name it in CRONWRIGHT_KUBECTL"
    return subprocess.run(
        [program, *arguments],
        input=json.dumps(document) if document else None,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    context = kubectl("config", "current-context").stdout.strip()
    allowed = OURS | {os.environ.get("CRONWRIGHT_ALLOW_CONTEXT", "")} - {""}
    assert context in allowed, f"KUBECONFIG points to {context!r}, which is not a cluster of ours; run `make up`"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    made = kubectl("apply", "-f", "-", document=body)
    assert made.returncode == 0, made.stderr
    yield NAMESPACE
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def task(spec: dict[str, Any] | None = None, name: str = "good-task") -> dict[str, Any]:
    base = {"projectName": "demo", "scheduleType": "Cron", "schedule": "*/5 * * * *"}
    return {
        "apiVersion": "cronwright.dev/v1",
        "kind": "ScheduledTask",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {key: value for key, value in (base | (spec or {})).items() if value is not None},
    }


def project(spec: dict[str, Any] | None = None) -> dict[str, Any]:
    base: dict[str, Any] = {"image": "demo:1", "owner": "alice"}
    return {
        "apiVersion": "cronwright.dev/v1",
        "kind": "Project",
        "metadata": {"name": "good-project", "namespace": NAMESPACE},
        "spec": {key: value for key, value in (base | (spec or {})).items() if value is not None},
    }


def create(document: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    return kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", document=document)


GOOD_TASKS: list[dict[str, Any]] = [
    {},
    *(
        {"schedule": line}
        for line in ("0 9 * * 1-5", "  0\t9 * *   MON ", "@daily", " @hourly ", "0 0 1,15 * 5-7", "? * * * *")
    ),
    *({"scheduleType": "Interval", "schedule": text} for text in ("60", "3600", "31536000")),
    *(
        {"scheduleType": kind, "schedule": text}
        for kind in ("Date", "Once")
        for text in (
            "2099-01-01T15:30:00Z",
            "2099-01-01T15:30:00+08:00",
            "2099-01-01 15:30",
            "2099-01-01",
            "2099-01-01T15:30:00.123456789Z",
        )
    ),
    {"scheduleType": "Once", "schedule": ""},
    {"scheduleType": "Once", "schedule": None},
    {"displayName": "数据同步任务"},
    {"displayName": "a b"},
    {"displayName": "x" * 50},
    {"displayName": "任" * 50},
    {"timeZone": "America/Argentina/Buenos_Aires"},
    {"backoffLimit": 0, "maxInstances": 1000, "priority": -1000, "activeDeadlineSeconds": 2592000},
    {
        "overrides": {
            "env": [
                {"name": "A", "value": "1"},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            ]
        }
    },
    {"overrides": {"resources": {"limits": {"cpu": 1, "memory": "128Mi"}}}},
]

BAD_TASKS: list[tuple[dict[str, Any], str]] = [
    ({"projectName": None}, "spec.projectName"),
    ({"projectName": ""}, "spec.projectName"),
    ({"scheduleType": "cron"}, "spec.scheduleType"),
    ({"schedule": None}, "a Cron schedule has five fields"),
    ({"schedule": ""}, "a Cron schedule has five fields"),
    ({"schedule": "* * * *"}, "a Cron schedule has five fields"),
    ({"schedule": "0 0 * * * *"}, "a Cron schedule has five fields"),
    ({"schedule": "@every 1h"}, "a Cron schedule has five fields"),
    ({"schedule": "@reboot"}, "a Cron schedule has five fields"),
    ({"schedule": "TZ=UTC * * * *"}, "set spec.timeZone"),
    ({"schedule": "CRON_TZ=UTC 0 * * * *"}, "set spec.timeZone"),
    ({"scheduleType": "Interval", "schedule": "59"}, "between 60 and 31536000"),
    ({"scheduleType": "Interval", "schedule": "31536001"}, "between 60 and 31536000"),
    ({"scheduleType": "Interval", "schedule": "1h"}, "between 60 and 31536000"),
    ({"scheduleType": "Interval", "schedule": "-60"}, "between 60 and 31536000"),
    ({"scheduleType": "Interval", "schedule": "9" * 30}, "between 60 and 31536000"),
    ({"scheduleType": "Interval", "schedule": ""}, "between 60 and 31536000"),
    ({"scheduleType": "Date", "schedule": ""}, "a Date schedule is an ISO 8601 time"),
    ({"scheduleType": "Date", "schedule": "tomorrow"}, "a Date schedule is an ISO 8601 time"),
    ({"scheduleType": "Date", "schedule": "01.02.2099"}, "a Date schedule is an ISO 8601 time"),
    ({"scheduleType": "Once", "schedule": "now"}, "a Once schedule is empty"),
    ({"displayName": "ab"}, "spec.displayName"),
    ({"displayName": "x" * 51}, "spec.displayName"),
    ({"displayName": " abc"}, "must not begin or end with white space"),
    ({"displayName": "任务一\u3000"}, "must not begin or end with white space"),
    ({"displayName": "abc\n"}, "must not begin or end with white space"),
    ({"displayName": "a\u0007bc"}, "control characters"),
    ({"activeDeadlineSeconds": 0}, "spec.activeDeadlineSeconds"),
    ({"activeDeadlineSeconds": 2592001}, "spec.activeDeadlineSeconds"),
    ({"maxInstances": 0}, "spec.maxInstances"),
    ({"maxInstances": 1001}, "spec.maxInstances"),
    ({"backoffLimit": -1}, "spec.backoffLimit"),
    ({"backoffLimit": 101}, "spec.backoffLimit"),
    ({"priority": 1001}, "spec.priority"),
    ({"priority": "high"}, "spec.priority"),
    ({"concurrencyPolicy": "Allow"}, "spec.concurrencyPolicy"),
    ({"suspend": "yes"}, "spec.suspend"),
    ({"pendingDeadlineSeconds": 9}, "spec.pendingDeadlineSeconds"),
    ({"startingDeadlineSeconds": 0}, "spec.startingDeadlineSeconds"),
    ({"overrides": {"env": [{"value": "1"}]}}, "spec.overrides.env[0].name"),
    ({"overrides": {"env": [{"name": "1A"}]}}, "spec.overrides.env[0].name"),
    ({"overrides": {"env": [{"name": "A"}, {"name": "A"}]}}, "Duplicate value"),
    (
        {"overrides": {"env": [{"name": "A", "value": "1", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}},
        "exclude each other",
    ),
    ({"overrides": {"env": [{"name": "A", "valueFrom": {}}]}}, "exactly one of"),
    ({"overrides": {"resources": {"limits": {"cpu": "much"}}}}, "spec.overrides.resources.limits.cpu"),
    ({"overrides": {"image": ""}}, "spec.overrides.image"),
]

BAD_PROJECTS: list[tuple[dict[str, Any], str]] = [
    ({"image": None}, "spec.image"),
    ({"image": ""}, "spec.image"),
    ({"image": "a b"}, "white space"),
    ({"imagePullPolicy": "Sometimes"}, "spec.imagePullPolicy"),
    ({"members": ["a", "a"]}, "Duplicate value"),
    ({"members": [""]}, "spec.members[0]"),
    ({"owner": ""}, "spec.owner"),
    ({"workspace": {}}, "spec.workspace.claimName"),
    ({"workspace": {"claimName": "c", "mountPath": "data"}}, "spec.workspace.mountPath"),
    ({"maxConcurrentExecutions": 0}, "spec.maxConcurrentExecutions"),
    ({"retentionDays": -1}, "spec.retentionDays"),
    ({"securityContext": {"runAsUser": -1}}, "spec.securityContext.runAsUser"),
    ({"displayName": " x"}, "must not begin or end with white space"),
    ({"nodeSelector": {"a b": "v"}}, "a key must be a label's"),
    ({"nodeSelector": {"x" * 254 + "/a": "v"}}, "a key must be a label's"),
    ({"nodeSelector": {"disk": "-"}}, "spec.nodeSelector.disk"),
    ({"tolerations": [{}]}, "without a key the operator must be Exists"),
    ({"tolerations": [{"key": "x" * 254 + "/a"}]}, "the part before the slash"),
    ({"tolerations": [{"operator": "Exists", "value": "v"}]}, "the operator Exists has no value"),
    ({"tolerations": [{"key": "a", "tolerationSeconds": 1}]}, "tolerationSeconds needs the effect NoExecute"),
    ({"podAnnotations": {"a b": "v"}}, "a key must be an annotation's"),
    ({"podAnnotations": {"seccomp.security.alpha.kubernetes.io/pod": "v"}}, "annotations of cronwright.dev"),
]

GOOD_PLACEMENTS: list[dict[str, Any]] = [
    {"nodeSelector": {f"{'x' * 253}/{'k' * 60}{number:03}": "v" * 63 for number in range(16)}},
    {"podAnnotations": {f"{'x' * 253}/{'k' * 60}{number:03}": "日" * 1024 for number in range(32)}},
    {"podAnnotations": {"kueue.x-k8s.io/a": "", "kubernetes.io": ""}},
    {"tolerations": [{"operator": "Exists"}, {"key": "gpu", "effect": "NoExecute", "tolerationSeconds": 0}]},
    {"tolerations": [{"key": f"{'x' * 253}/{'k' * 63}", "value": "v" * 63, "effect": "NoSchedule"}] * 16},
]


@pytest.mark.parametrize("spec", GOOD_TASKS, ids=lambda spec: json.dumps(spec, ensure_ascii=True)[:60])
def test_good_tasks_are_accepted(namespace: str, spec: dict[str, Any]) -> None:
    answer = create(task(spec))
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize(("spec", "reason"), BAD_TASKS, ids=lambda item: json.dumps(item, ensure_ascii=True)[:60])
def test_bad_tasks_are_refused_with_their_reason(namespace: str, spec: dict[str, Any], reason: str) -> None:
    answer = create(task(spec))
    assert answer.returncode != 0, answer.stdout
    assert reason in answer.stderr


@pytest.mark.parametrize(("spec", "reason"), BAD_PROJECTS, ids=lambda item: json.dumps(item, ensure_ascii=True)[:60])
def test_bad_projects_are_refused_with_their_reason(namespace: str, spec: dict[str, Any], reason: str) -> None:
    assert create(project()).returncode == 0
    answer = create(project(spec))
    assert answer.returncode != 0, answer.stdout
    assert reason in answer.stderr


@pytest.mark.parametrize("spec", GOOD_PLACEMENTS, ids=range(len(GOOD_PLACEMENTS)))
def test_the_largest_placement_is_accepted(namespace: str, spec: dict[str, Any]) -> None:
    answer = create(project(spec))
    assert answer.returncode == 0, answer.stderr


def test_defaults_are_filled_in(namespace: str) -> None:
    spec = json.loads(create(task({"scheduleType": None, "overrides": {}})).stdout)["spec"]
    expected = {
        "scheduleType": "Cron",
        "timeZone": "UTC",
        "suspend": False,
        "activeDeadlineSeconds": 3600,
        "maxInstances": 1,
        "backoffLimit": 0,
        "priority": 0,
        "concurrencyPolicy": "Forbid",
        "maxQueued": 10,
        "pendingDeadlineSeconds": 900,
        "spreadSeconds": 0,
    }
    assert expected.items() <= spec.items()


@pytest.mark.parametrize("name", ["ab", "x" * 51])
def test_a_name_that_cannot_be_shown_needs_another(namespace: str, name: str) -> None:
    assert "spec.displayName is required" in create(task(name=name)).stderr
    assert create(task({"displayName": "a good name"}, name=name)).returncode == 0


def test_an_unknown_field_is_named(namespace: str) -> None:
    answer = create(task({"shedule": "x"}))
    assert 'unknown field "spec.shedule"' in answer.stderr


@pytest.fixture
def stored(namespace: str) -> Iterator[dict[str, Any]]:
    """A task that stands in the cluster; suspended, so that nothing would run."""
    document = task({"owner": "alice", "suspend": True}, name="stored-task")
    made = kubectl("create", "-f", "-", document=document)
    assert made.returncode == 0, made.stderr
    yield document
    kubectl("delete", "-n", namespace, "scheduledtask", "stored-task", "--wait=false")


@pytest.mark.parametrize("owner", ["bob", None])
def test_the_owner_cannot_be_changed(stored: dict[str, Any], owner: str | None) -> None:
    patch = json.dumps({"spec": {"owner": owner}})
    answer = kubectl("patch", "-n", NAMESPACE, "scheduledtask", "stored-task", "--type=merge", "-p", patch)
    assert "spec.owner cannot be changed" in answer.stderr


def test_everything_else_can_be_changed(stored: dict[str, Any]) -> None:
    patch = json.dumps({"spec": {"scheduleType": "Interval", "schedule": "600", "projectName": "other", "priority": 5}})
    answer = kubectl("patch", "-n", NAMESPACE, "scheduledtask", "stored-task", "--type=merge", "-p", patch)
    assert answer.returncode == 0, answer.stderr


def patch_status(status: dict[str, Any], *, spec: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    """Tried, not stored: where an operator runs, it owns the status and would answer with its own."""
    patch = json.dumps({"status": status} | ({"spec": spec} if spec else {}))
    return kubectl(
        *("patch", "-n", NAMESPACE, "scheduledtask", "stored-task", "--type=merge", "--subresource=status"),
        *("--dry-run=server", "-o", "json", "-p", patch),
    )


def test_status_is_written_apart_from_the_spec(stored: dict[str, Any]) -> None:
    answer = patch_status({"lastExecutionStatus": "SUCCESS", "taskId": 2**40}, spec={"priority": 7})
    assert answer.returncode == 0, answer.stderr
    after = json.loads(answer.stdout)
    assert after["status"]["taskId"] == 2**40
    assert (after["spec"]["priority"], after["metadata"]["generation"]) == (0, 1)


def test_a_status_that_cannot_be_is_refused(stored: dict[str, Any]) -> None:
    assert "status.lastExecutionStatus" in patch_status({"lastExecutionStatus": "DONE"}).stderr


def test_get_shows_what_people_ask_for(stored: dict[str, Any]) -> None:
    columns = kubectl("get", "-n", NAMESPACE, "stask").stdout.splitlines()[0]
    for heading in ("TYPE", "SCHEDULE", "SUSPEND", "LAST STATUS", "NEXT RUN", "READY", "AGE"):
        assert heading in columns


@pytest.mark.parametrize(
    "path", ["scheduledtask.spec", "scheduledtask.spec.schedule", "scheduledtask.status", "project.spec"]
)
def test_explain_reads_like_documentation(namespace: str, path: str) -> None:
    text = kubectl("explain", path).stdout
    assert "<no description>" not in text
    assert "DESCRIPTION" in text
