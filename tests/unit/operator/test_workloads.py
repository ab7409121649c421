"""Which changes of Jobs, Pods and CronJobs wake whom, and which ticks are known as open."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from cronwright_core.domain import naming
from cronwright_operator.workloads import Workloads
from support.builders import at

TICK = at("10:01:00")
LATER = "2026-03-02T10:01:05Z"
LABELS = {naming.TASK_UID_LABEL: "task-1"}


class Hall:
    """`Workloads` without a cluster: what is seen is told by hand."""

    def __init__(self) -> None:
        self.tasks: list[str] = []
        self.jobs: list[str] = []
        client: Any = None
        self.workloads = Workloads(
            client,
            (None,),
            wake_task=self.tasks.append,
            wake_job=self.jobs.append,
            see_job=lambda _: None,
            forget_job=lambda _: None,
        )
        self._version = 0

    def see(self, reflector: str, body: dict[str, Any]) -> tuple[list[str], list[str]]:
        """The tasks and Jobs that are woken by it."""
        self._version += 1
        self.tasks.clear()
        self.jobs.clear()
        body = copy.deepcopy(body)
        body["metadata"]["resourceVersion"] = str(self._version)
        getattr(self.workloads, reflector).remember(body)
        return list(self.tasks), list(self.jobs)

    def open_ticks(self) -> list[Any]:
        return list(self.workloads.uncovered_ticks())


def metadata(name: str, uid: str, owner: tuple[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """`owner` is (kind, uid) of the controlling one."""
    owners = [{"kind": owner[0], "uid": owner[1], "name": "o", "controller": True}] if owner is not None else []
    common = {"namespace": "n", "labels": LABELS, "creationTimestamp": "2026-03-02T10:01:00Z"}
    return {"name": name, "uid": uid, "ownerReferences": owners, **common, **more}


def cronjob(**status: Any) -> dict[str, Any]:
    return {"metadata": metadata("c", "cronjob-1"), "spec": {"schedule": "* * * * *"}, "status": status}


def job(*, stepped_in: bool = True, **status: Any) -> dict[str, Any]:
    annotation = naming.SCHEDULED_TIME_ANNOTATION if stepped_in else naming.CRONJOB_TICK_ANNOTATION
    name = f"c-{int(TICK.timestamp()) // 60}"
    return {
        "metadata": metadata(name, "job-1", ("CronJob", "cronjob-1"), annotations={annotation: "2026-03-02T10:01:00Z"}),
        "spec": {"template": {"spec": {"containers": [{"name": "task"}]}}},
        "status": status,
    }


def pod(**status: Any) -> dict[str, Any]:
    return {
        "metadata": metadata("p", "pod-1", ("Job", "job-1")),
        "spec": {"containers": [{"name": "task"}]},
        "status": status,
    }


def test_what_changes_nothing_that_we_look_at_wakes_nobody() -> None:
    hall = Hall()
    assert hall.see("jobs", job()) == (["task-1"], ["job-1"])
    assert hall.see("jobs", job(active=1, ready=1)) == ([], []), "how many Pods are ready"
    assert hall.see("jobs", job(active=1, uncountedTerminatedPods={"succeeded": ["pod-1"]})) == ([], [])
    assert hall.see("jobs", job(startTime="2026-03-02T10:01:01Z")) == (["task-1"], ["job-1"])
    assert hall.see("pods", pod(phase="Pending")) == (["task-1"], ["job-1"])
    ready = {"type": "Ready", "status": "True"}
    assert hall.see("pods", pod(phase="Pending", conditions=[ready])) == ([], [])
    assert hall.see("pods", pod(phase="Running")) == (["task-1"], ["job-1"])
    assert hall.see("cronjobs", cronjob()) == (["task-1"], [])
    assert hall.see("cronjobs", cronjob(lastSuccessfulTime="2026-03-02T10:01:09Z")) == ([], [])
    assert hall.see("cronjobs", cronjob(lastScheduleTime="2026-03-02T10:01:00Z")) == (["task-1"], [])


def test_the_newest_version_is_kept_although_it_wakes_nobody() -> None:
    hall = Hall()
    hall.see("cronjobs", cronjob())
    hall.see("cronjobs", cronjob(lastSuccessfulTime="2026-03-02T10:01:09Z"))
    found = hall.workloads.cronjob_of("task-1")
    assert found is not None
    assert found.resource_version == "2", "a write that names the older one would be refused"


def test_a_tick_is_open_from_our_job_until_the_cronjobs_status_tells_of_it() -> None:
    hall = Hall()
    hall.see("cronjobs", cronjob(lastScheduleTime="2026-03-02T10:00:00Z"))
    assert hall.open_ticks() == []
    hall.see("jobs", job())
    assert hall.open_ticks() == [TICK]
    hall.see("jobs", job(startTime="2026-03-02T10:01:01Z"))
    assert hall.open_ticks() == [TICK]
    hall.see("cronjobs", cronjob(lastScheduleTime="2026-03-02T10:01:00Z"))
    assert hall.open_ticks() == []
    hall.see("jobs", job(startTime="2026-03-02T10:01:02Z"))
    assert hall.open_ticks() == []


@pytest.mark.parametrize("known", [True, False], ids=["the controller made it", "no CronJob is known"])
def test_no_other_tick_is(known: bool) -> None:
    hall = Hall()
    if known:
        hall.see("cronjobs", cronjob())
    hall.see("jobs", job(stepped_in=not known))
    assert hall.open_ticks() == []


def test_a_job_waits_for_its_first_pod_and_no_longer() -> None:
    hall = Hall()
    hall.see("jobs", job())
    assert len(hall.workloads.without_pod()) == 1
    hall.see("pods", pod())
    hall.see("jobs", job(active=1))
    assert not hall.workloads.without_pod()


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {"suspend": True}},
        {"status": {"conditions": [{"type": "Failed", "status": "True", "lastTransitionTime": LATER}]}},
        {"status": {"failed": 1}},
        {"deleted": True},
    ],
    ids=["suspended", "finished", "has had one", "being deleted"],
)
def test_a_job_that_gets_no_pod_now_does_not_wait_for_one(change: dict[str, Any]) -> None:
    hall = Hall()
    hall.see("jobs", job())
    changed = job(**change.get("status", {}))
    changed["spec"] |= change.get("spec", {})
    if change.get("deleted"):
        changed["metadata"]["deletionTimestamp"] = LATER
    hall.see("jobs", changed)
    assert not hall.workloads.without_pod()


def test_a_job_that_is_gone_waits_for_nothing() -> None:
    hall = Hall()
    hall.see("jobs", job())
    hall.workloads.jobs._remove("job-1")
    assert not hall.workloads.without_pod()
