"""What the running installation tells of itself: metrics, events on tasks, log lines."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from support.cluster import SYSTEM, Cluster, Rest, Space, eventually, kubectl
from support.monitoring import Exported, panels, rules

PORTS = {"operator": 8081, "api": 8001}


def pods_of(component: str) -> list[str]:
    """The Pods of a part, as `pod/...`."""
    selector = f"app.kubernetes.io/instance=cronwright,app.kubernetes.io/component={component}"
    return kubectl("-n", SYSTEM, "get", "pods", "-l", selector, "-o", "name").split()


def scrape() -> dict[str, str]:
    """What each Pod of operator and API answers to Prometheus, asked through the API server."""
    texts = {}
    for component, port in PORTS.items():
        for pod in pods_of(component):
            path = f"/api/v1/namespaces/{SYSTEM}/pods/{pod.removeprefix('pod/')}:{port}/proxy/metrics"
            texts[pod] = kubectl("get", "--raw", path)
    return texts


def events(space: Space, name: str, reason: str) -> list[dict[str, Any]]:
    fields = f"involvedObject.name={name},reason={reason}"
    listed = kubectl("get", "events", "-n", space.namespace, "--field-selector", fields, "-o", "json")
    items: list[dict[str, Any]] = json.loads(listed)["items"]
    return items


def test_the_pods_export_what_dashboard_and_alerts_use(cluster: Cluster, space: Space, alice: Rest) -> None:
    space.apply_task("measured", "echo measured", scheduleType="Cron", schedule="0 0 1 1 *")
    task_id = space.task_id("measured")
    alice.data("POST", f"/tasks/{task_id}/trigger")
    assert httpx.get(f"{cluster.url}/api/v1/scheduler/tasks", timeout=30).status_code == 401
    cancel = ("annotate", "-n", space.namespace, "scheduledtask/measured", "cancel.cronwright.dev/exec-none=now")
    kubectl(*cancel)
    eventually(lambda: events(space, "measured", "UnknownExecution"), seconds=30, what="an event")
    alice.ended(task_id)
    kubectl(*cancel)
    expressions = [*panels(), *((rule["alert"], rule["expr"]) for rule in rules())]

    def missing() -> set[str]:
        exported = Exported.parse(scrape().values())
        return {f"{title}: {problem}" for title, expr in expressions for problem in exported.problems(expr)}

    eventually(lambda: not missing() or None, seconds=60, what=f"no problem like {sorted(missing())[:3]}")
    texts = scrape()
    everything = "".join(texts.values())
    # Whatever users make - names, ids, namespaces - stands in no label.
    uid = space.get("scheduledtask", "measured")["metadata"]["uid"]
    for made in (space.namespace, uid, "measured", "exec-2", "alice", f"/tasks/{task_id}"):
        assert made not in everything
    leaders = [
        value for text in texts.values() for value in text.splitlines() if value == "cronwright_operator_leader 1.0"
    ]
    assert len(leaders) == 1

    def counted() -> bool:
        found = events(space, "measured", "UnknownExecution")
        return [event.get("count") for event in found] == [2]

    eventually(counted, seconds=40, what="the same event again to be counted on the first one")


@pytest.mark.takes(80)
def test_a_tick_that_was_skipped_is_told_in_all_three_places(space: Space, alice: Rest) -> None:
    def skipped() -> float:
        exported = [line for text in scrape().values() for line in text.splitlines()]
        lines = [
            line for line in exported if line.startswith('cronwright_ticks_skipped_total{reason="AlreadyRunning"}')
        ]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    before = skipped()
    space.apply_task("busy", "sleep 600", scheduleType="Cron", schedule="* * * * *")
    task_id = space.task_id("busy")
    alice.data("POST", f"/tasks/{task_id}/trigger")
    (event,) = eventually(
        lambda: events(space, "busy", "AlreadyRunning"), seconds=90, what="the event of a skipped tick"
    )
    assert event["type"] == "Normal"
    assert event["reportingComponent"] == "cronwright-operator"
    (row,) = alice.ended(task_id)
    assert (row["status"], row["error_message"].split(":")[0]) == ("CANCELLED", "AlreadyRunning")
    assert skipped() > before


def test_each_line_of_the_logs_is_one_object_without_secrets(cluster: Cluster) -> None:
    for component in PORTS:
        text = "".join(kubectl("-n", SYSTEM, "logs", pod, "--tail=2000") for pod in pods_of(component))
        entries = [json.loads(line) for line in text.splitlines()]
        assert entries
        assert all({"time", "level", "logger", "message"} <= entry.keys() for entry in entries)
        for secret in cluster.tokens.values():
            assert secret not in text
        assert "postgresql://" not in text or ":***@" in text
    assert any("request_id" in entry for entry in entries), "the API's lines name their request"
