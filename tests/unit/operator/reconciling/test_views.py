"""The views of a task's Jobs: right at each look, and computed once for each state of a Job."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cronwright_core.domain.cluster import JobFacts, PodFacts
from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.domain.waits import Wait
from cronwright_operator.reconciling import views as views_module
from cronwright_operator.reconciling.views import JobViews
from support.builders import CREATED, at, make_job, make_pod

UID = "7f1c2c8e-0001"


class _Cluster:
    def __init__(self) -> None:
        self.jobs = [make_job("a", tick=at("10:00:00")), make_job("b", tick=at("10:01:00"))]
        self.pods: dict[str, list[PodFacts]] = {}
        self.waits: dict[str, Wait] = {}
        self.views = JobViews(
            jobs_of=lambda uid: self.jobs if uid == UID else (),
            pods_of=lambda uid: self.pods.get(uid, ()),
            wait_of=lambda job: self.waits.get(job.name),
        )

    def statuses(self) -> list[ExecutionStatus]:
        return [view.state.status for view in self.views.of(UID)]


def test_an_unchanged_jobs_view_is_the_same_object() -> None:
    cluster = _Cluster()
    first = cluster.views.of(UID)
    second = cluster.views.of(UID)
    assert [view.job.name for view in first] == ["a", "b"]
    assert all(old is new for old, new in zip(first, second, strict=True))


def test_only_what_changed_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = _Cluster()
    cluster.views.of(UID)
    computed: list[str] = []
    state_of = views_module.execution_state

    def noting(job: JobFacts, pods: tuple[PodFacts, ...]) -> object:
        computed.append(job.name)
        return state_of(job, pods)

    monkeypatch.setattr(views_module, "execution_state", noting)
    cluster.jobs[1] = replace(cluster.jobs[1], complete_time=CREATED + timedelta(seconds=9), succeeded_pods=1)
    assert cluster.statuses() == [ExecutionStatus.PENDING, ExecutionStatus.SUCCESS]
    assert computed == ["b"]


def test_a_pod_that_comes_changes_and_goes_is_seen() -> None:
    cluster = _Cluster()
    job = cluster.jobs[0]
    assert cluster.statuses()[0] is ExecutionStatus.PENDING
    pod = make_pod(job_uid=job.uid, phase="Running", start_time=CREATED)
    cluster.pods[job.uid] = [pod]
    assert cluster.statuses()[0] is ExecutionStatus.RUNNING
    cluster.pods[job.uid] = [replace(pod, phase="Failed", end_time=CREATED, exit_code=3)]
    (view, _) = cluster.views.of(UID)
    assert view.state.attempts[0].exit_code == 3
    cluster.pods[job.uid] = []
    assert not cluster.views.of(UID)[0].state.attempts


def test_what_a_run_waits_for_is_seen_when_it_changes() -> None:
    cluster = _Cluster()
    cluster.jobs = [replace(cluster.jobs[0], suspended=True)]
    cluster.waits["a"] = Wait("TaskLimit", "waits for another execution of its task")
    assert cluster.views.of(UID)[0].state.reason == "TaskLimit"
    cluster.waits["a"] = Wait("ProjectLimit", "waits for an execution of its project")
    assert cluster.views.of(UID)[0].state.reason == "ProjectLimit"


def test_a_job_that_is_neither_tick_nor_request_has_no_view() -> None:
    cluster = _Cluster()
    cluster.jobs.append(make_job("somebody-elses"))
    assert [view.job.name for view in cluster.views.of(UID)] == ["a", "b"]
    assert [view.job.name for view in cluster.views.of(UID)] == ["a", "b"]


def test_what_is_gone_is_not_kept() -> None:
    cluster = _Cluster()
    first, second = cluster.views.of(UID)
    gone = cluster.jobs.pop(0)
    assert cluster.views.of(UID) == (second,)
    cluster.jobs.append(gone)
    kept, anew = cluster.views.of(UID)
    assert kept is second
    assert anew == first
    assert anew is not first


@pytest.mark.parametrize("end", ["all Jobs are gone", "the task is gone"])
def test_nothing_is_kept_of_a_task_without_jobs_and_of_one_that_is_gone(end: str) -> None:
    cluster = _Cluster()
    before = cluster.views.of(UID)
    if end == "the task is gone":
        cluster.views.forget(UID)
    else:
        jobs, cluster.jobs = cluster.jobs, []
        assert cluster.views.of(UID) == ()
        cluster.jobs = jobs
    after = cluster.views.of(UID)
    assert after == before
    assert all(new is not old for new, old in zip(after, before, strict=True))
