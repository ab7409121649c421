"""Jobs and Pods as the API server sends them (shortened from real ones) -> facts."""

from __future__ import annotations

from typing import Any

import pytest

from cronwright_core.domain.cluster import StopIntent, StopReason
from cronwright_core.kube.workloads import from_stop, to_job, to_pod, to_stop
from support.builders import at


def job(**metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "minutely-3e919aff-29540760",
            "namespace": "team-a",
            "uid": "j1",
            "creationTimestamp": "2026-03-02T10:00:00Z",
            "labels": {"cronwright.dev/task-uid": "t1"},
            "ownerReferences": [{"kind": "CronJob", "uid": "c1", "controller": True}],
            **metadata,
        },
        "spec": {
            "backoffLimit": 2,
            "template": {"spec": {"activeDeadlineSeconds": 60, "containers": [{"name": "task"}]}},
        },
    }


def pod(status: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "p",
            "namespace": "team-a",
            "uid": "p1",
            "creationTimestamp": "2026-03-02T10:00:00Z",
            "ownerReferences": [{"kind": "Job", "uid": "j1", "controller": True}],
        },
        "spec": spec,
        "status": status,
    }


def test_tick_of_the_controllers_job_comes_from_its_name() -> None:
    annotations = {"batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-03-02T18:00:00+08:00"}
    facts = to_job(job(annotations=annotations))
    assert facts.tick == at("10:00:00")
    assert (facts.owner_kind, facts.request_key, facts.accepted) == ("CronJob", None, False)


def test_kubectl_create_job_is_a_request() -> None:
    facts = to_job(job(name="by-hand", annotations={"cronjob.kubernetes.io/instantiate": "manual"}))
    assert (facts.tick, facts.request_key) == (None, "j1")


def test_accepted_by_finalizer_or_by_record() -> None:
    assert to_job(job(finalizers=["cronwright.dev/record"])).accepted
    assert to_job(job(annotations={"cronwright.dev/recorded": "2026-03-02T10:01:00Z"})).accepted


def test_conditions_count_only_when_true() -> None:
    body = job()
    body["status"] = {
        "conditions": [
            {"type": "Complete", "status": "False", "lastTransitionTime": "2026-03-02T10:00:30Z"},
            {
                "type": "Failed",
                "status": "True",
                "reason": "BackoffLimitExceeded",
                "message": "m",
                "lastTransitionTime": "2026-03-02T10:00:40Z",
            },
        ]
    }
    facts = to_job(body)
    assert facts.complete_time is None
    assert facts.failed is not None
    assert facts.failed.time == at("10:00:40")


def test_stop_intent_round_trip_and_a_mangled_one_still_stops() -> None:
    stop = StopIntent(StopReason.REPLACED, "operator", at("10:00:00"), "a newer run took its place")
    assert to_stop(from_stop(stop)) == stop
    for text in ("", "{", "[]", '{"reason": "Whim"}'):
        mangled = to_stop(text)
        assert mangled is not None
        assert mangled.reason is StopReason.CANCELLED
    assert to_stop(None) is None


def test_pod_that_runs() -> None:
    facts = to_pod(
        pod(
            {
                "phase": "Running",
                "containerStatuses": [{"name": "task", "state": {"running": {"startedAt": "2026-03-02T10:00:02Z"}}}],
            },
            nodeName="n1",
        )
    )
    assert (facts.start_time, facts.job_uid, facts.node_name) == (at("10:00:02"), "j1", "n1")


def test_pod_that_never_started_has_no_start() -> None:
    terminated = {"exitCode": 128, "reason": "StartError", "startedAt": "1970-01-01T00:00:00Z", "finishedAt": None}
    facts = to_pod(
        pod({"phase": "Failed", "containerStatuses": [{"name": "task", "state": {"terminated": terminated}}]})
    )
    assert (facts.start_time, facts.exit_code, facts.terminated_reason) == (None, 128, "StartError")


def test_waiting_tells_only_what_is_unusual() -> None:
    creating = pod(
        {
            "phase": "Pending",
            "containerStatuses": [{"name": "task", "state": {"waiting": {"reason": "ContainerCreating"}}}],
        }
    )
    assert to_pod(creating).waiting_reason is None
    unscheduled = pod(
        {
            "phase": "Pending",
            "conditions": [
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
            ],
        }
    )
    assert to_pod(unscheduled).waiting_reason == "Unschedulable"


def test_what_stopping_needs_of_a_job() -> None:
    body = job(resourceVersion="7", annotations={"cronwright.dev/pending-deadline-seconds": "30"})
    body["spec"] |= {"parallelism": 0, "activeDeadlineSeconds": 1}
    facts = to_job(body)
    assert (facts.resource_version, facts.parallelism, facts.deadline_seconds) == ("7", 0, 1)
    assert facts.pending_deadline_seconds == 30


@pytest.mark.parametrize("text", [None, "", "soon", "-5", "0", "9" * 20])
def test_a_pending_deadline_that_makes_no_sense_is_the_default(text: str | None) -> None:
    annotations = {} if text is None else {"cronwright.dev/pending-deadline-seconds": text}
    assert to_job(job(annotations=annotations)).pending_deadline_seconds == 900


def test_a_pod_without_owner_is_known_by_its_label() -> None:
    body = pod({"phase": "Running"})
    del body["metadata"]["ownerReferences"]
    body["metadata"]["labels"] = {"batch.kubernetes.io/controller-uid": "j1"}
    assert (to_pod(body).job_uid, to_pod(body).orphaned) == ("j1", True)


def test_a_lost_node_is_named() -> None:
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC", "message": "node is gone"}
    facts = to_pod(pod({"phase": "Failed", "conditions": [condition]}, nodeName="node-1"))
    assert (facts.reason, facts.message) == ("NodeLost", "node node-1: node is gone")


def test_a_container_that_was_never_made_has_no_exit_code() -> None:
    terminated = {"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": None, "finishedAt": None}
    status = {
        "phase": "Failed",
        "reason": "DeadlineExceeded",
        "containerStatuses": [{"name": "task", "state": {"terminated": terminated}}],
    }
    assert (to_pod(pod(status)).exit_code, to_pod(pod(status)).start_time) == (None, None)


def test_the_memory_limit() -> None:
    containers = [{"name": "task", "resources": {"limits": {"memory": "48Mi"}}}]
    assert to_pod(pod({}, containers=containers)).memory_limit == "48Mi"
