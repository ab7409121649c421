"""Pods to which a webhook added containers: what is told of them is told of the task's own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cronwright_core.domain.cluster import JobFailure, PodFacts
from cronwright_core.domain.execution import execution_state
from cronwright_core.kube.workloads import to_job, to_pod
from cronwright_operator.stopping.actions import WriteIntent
from cronwright_operator.stopping.decide import Seen, decide
from cronwright_operator.usage.samples import to_running_pod
from support.builders import at, make_job

State = dict[str, Any]
PROXY = "istio-proxy"
"""Comes before `task` in the alphabet, and so in the kubelet's list."""


def terminated(code: int, ended: str = "10:00:09", **more: Any) -> State:
    times = {"startedAt": "2026-03-02T10:00:05Z", "finishedAt": f"2026-03-02T{ended}Z"}
    return {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed", **times, **more}}


def waiting(reason: str, message: str | None = None) -> State:
    return {"waiting": {"reason": reason, "message": message}}


RUNNING: State = {"running": {"startedAt": "2026-03-02T10:00:01Z"}}


def body(phase: str, states: dict[str, State], init: dict[str, State] | None = None, **spec: Any) -> dict[str, Any]:
    """A Pod whose statuses stand in the kubelet's order, whatever that of the spec is."""
    containers = [{"name": name, "resources": {"limits": {"memory": f"{len(name)}Mi"}}} for name in reversed(states)]
    return {
        "metadata": {
            "name": "p",
            "namespace": "team-a",
            "uid": "p1",
            "creationTimestamp": "2026-03-02T10:00:00Z",
            "ownerReferences": [{"kind": "Job", "uid": "j1", "controller": True}],
        },
        "spec": {"containers": containers, **spec},
        "status": {
            "phase": phase,
            "startTime": "2026-03-02T10:00:00Z",
            "initContainerStatuses": [{"name": name, "state": state} for name, state in sorted((init or {}).items())],
            "containerStatuses": [{"name": name, "state": state} for name, state in sorted(states.items())],
        },
    }


def pod(phase: str, states: dict[str, State], init: dict[str, State] | None = None, **spec: Any) -> PodFacts:
    return to_pod(body(phase, states, init, **spec))


@pytest.mark.parametrize("sidecar", [PROXY, "vector"], ids=["before", "behind"])
def test_exit_code_times_and_message_are_the_tasks(sidecar: str) -> None:
    states = {"task": terminated(3, message="boom"), sidecar: terminated(0, "10:10:00")}
    facts = pod("Failed", states)
    assert (facts.exit_code, facts.terminated_reason, facts.terminated_message) == (3, "Error", "boom")
    assert (facts.start_time, facts.end_time) == (at("10:00:05"), at("10:00:09"))
    assert facts.memory_limit == "4Mi"


def test_a_container_before_the_tasks_in_the_spec_changes_nothing() -> None:
    states = {PROXY: RUNNING, "task": terminated(3)}
    seen = body("Running", states)
    seen["spec"]["containers"].sort(key=lambda container: container["name"])
    facts, sampled = to_pod(seen), to_running_pod(seen)
    assert (facts.exit_code, facts.memory_limit) == (3, "4Mi")
    assert sampled is not None
    assert sampled.container == "task"
    job = {
        "metadata": {**seen["metadata"], "ownerReferences": []},
        "spec": {"template": {"spec": {"containers": seen["spec"]["containers"]}}},
    }
    assert to_job(job).container == "task"


def test_without_a_container_of_our_name_the_first_one_counts() -> None:
    seen = body("Failed", {"sidecar": terminated(0), "work": terminated(2)})
    assert [container["name"] for container in seen["spec"]["containers"]] == ["work", "sidecar"]
    assert to_pod(seen).exit_code == 2


def test_a_task_that_cannot_start_beside_a_sidecar_that_runs_is_given_up() -> None:
    facts = pod("Pending", {PROXY: RUNNING, "task": waiting("ImagePullBackOff", "no such image")}, nodeName="n1")
    assert facts.start_time is None
    state = execution_state(make_job(), (facts,))
    assert (state.status, state.reason, state.message) == ("PENDING", "ImagePullBackOff", "no such image")
    job = make_job(start_time=facts.creation_time, has_finalizer=True)
    given_up = facts.creation_time + timedelta(seconds=job.pending_deadline_seconds)
    intents = [action for action in decide(Seen(job, (facts,), given_up)).actions if isinstance(action, WriteIntent)]
    assert [(intent.stop.reason, intent.stop.message) for intent in intents] == [
        ("CannotStart", "ImagePullBackOff: no such image (given up after 900 s)")
    ]


def test_a_task_that_waits_for_an_init_container_says_what_that_waits_for() -> None:
    states = {"task": waiting("PodInitializing")}
    facts = pod("Pending", states, {"istio-init": waiting("ErrImagePull", "no such image")})
    assert (facts.waiting_reason, facts.waiting_message) == ("ErrImagePull", "no such image")
    assert pod("Pending", states, {"istio-init": RUNNING}).waiting_reason is None


def why(facts: PodFacts) -> tuple[str | None, str | None, int | None]:
    state = execution_state(make_job(failed=JobFailure("BackoffLimitExceeded", "m", at("10:20:00"))), (facts,))
    return state.reason, state.message, state.exit_code


@pytest.mark.parametrize("policy", [{}, {"restartPolicy": "Never"}], ids=["of the Pod", "of its own"])
def test_an_init_container_that_failed_is_named(policy: dict[str, str]) -> None:
    init = {"a-lasting-one": terminated(137), "istio-init": terminated(1)}
    initial = [{"name": "a-lasting-one", "restartPolicy": "Always"}, {"name": "istio-init", **policy}]
    facts = pod("Failed", {"task": waiting("PodInitializing")}, init, initContainers=initial)
    assert why(facts) == (
        "InitContainerFailed",
        "an init container of its Pod (istio-init) ended with exit code 1",
        None,
    )


def test_a_sidecar_that_failed_beside_a_task_that_did_not_is_named() -> None:
    message = f"another container of its Pod ({PROXY}) ended with exit code 1"
    assert why(pod("Failed", {PROXY: terminated(1), "task": terminated(0)})) == ("SidecarFailed", message, 0)
    assert why(pod("Failed", {PROXY: terminated(1), "task": terminated(3)}))[0] == "Error"


def test_what_the_program_said_stays_its_own_beside_a_sidecar_that_failed() -> None:
    facts = pod("Failed", {PROXY: terminated(1), "task": terminated(0, message="42 rows")})
    assert (facts.terminated_reason, facts.terminated_message) == (None, "42 rows")
    silent = pod("Failed", {PROXY: terminated(1), "task": terminated(0)})
    assert silent.terminated_message is None, "a summary of the output would repeat it as the program's words"


def test_a_pod_that_was_deleted_failed_by_that() -> None:
    seen = body("Failed", {PROXY: terminated(143), "task": terminated(0)})
    seen["metadata"]["deletionTimestamp"] = "2026-03-02T10:00:08Z"
    said = f"its Pod was deleted; another container of its Pod ({PROXY}) ended with exit code 143"
    assert why(to_pod(seen))[:2] == ("PodDeleted", said)


def test_an_end_by_the_cluster_is_no_sidecars_fault() -> None:
    seen = body("Failed", {PROXY: terminated(137), "task": terminated(0)})
    seen["status"] |= {"reason": "Evicted", "message": "the node was low on disk"}
    assert why(to_pod(seen))[:2] == ("Evicted", "the node was low on disk")
