"""What a task's status tells of its runs and of itself, as `kubectl get scheduledtask` shows it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cronwright_core.domain.cluster import JobFacts, JobFailure, PodFacts, StopIntent, StopReason
from cronwright_core.domain.execution import ExecutionStatus, execution_state
from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.domain.task import Condition, TaskStatus
from cronwright_operator.reconciling.observed import JobView, Observed, Registration, execution_id_of
from cronwright_operator.reconciling.task_status import with_observed_runs
from support.builders import at, make_job, make_pod, make_project, make_task, settled
from support.decisions import decide, ready, status_of


def job(clock: str, **changes: Any) -> JobFacts:
    """The accepted Job of a tick."""
    fields = {"tick": at(clock), "creation_time": at(clock), "has_finalizer": True, **changes}
    return make_job(f"nightly-copy-{clock}", **fields)


def running(clock: str) -> PodFacts:
    return make_pod(phase="Running", creation_time=at(clock), start_time=at(clock))


def id_of(job_: JobFacts) -> str:
    return execution_id_of(job_) or ""


def told(*jobs: tuple[JobFacts, *tuple[PodFacts, ...]], status: TaskStatus | None = None, **seen: Any) -> TaskStatus:
    """The status after a look at these Jobs with their Pods."""
    views = tuple(JobView(job_, execution_state(job_, pods), id_of(job_)) for job_, *pods in jobs)
    task = make_task()
    snapshot = Observed(task, make_project(), None, views, Registration(1), at("10:10:00"), **seen)
    return with_observed_runs(snapshot, status or TaskStatus())


def test_the_last_run_is_the_newest_that_has_begun() -> None:
    ended, runs = job("10:00:00", complete_time=at("10:00:30")), job("10:01:00")
    waits = job("10:02:00", suspended=True)
    status = told((waits,), (runs, running("10:01:01")), (ended,))
    assert (status.last_execution_id, status.last_execution_status) == (id_of(runs), "RUNNING")
    active = [(run.execution_id, run.status, run.reason, run.message) for run in status.active]
    assert active == [
        (id_of(runs), "RUNNING", None, None),
        (id_of(waits), "PENDING", "Queued", "waits for its turn"),
    ]


def test_only_a_success_moves_the_last_success_and_never_back() -> None:
    good = job("10:00:00", complete_time=at("10:00:30"))
    bad = job("10:01:00", failed=JobFailure("BackoffLimitExceeded", "m", at("10:01:30")))
    status = told((bad,), (good,))
    assert (status.last_execution_status, status.last_successful_time) == ("FAILED", at("10:00:30"))
    assert told((good,), status=TaskStatus(last_successful_time=at("10:05:00"))).last_successful_time == at("10:05:00")
    assert told((bad,)).last_successful_time is None


def test_a_new_run_counts_although_the_last_one_is_gone() -> None:
    status = TaskStatus(last_execution_id=id_of(job("10:00:00")), last_execution_status="RUNNING")
    new = job("10:01:00")
    found = told((new, running("10:01:01")), status=status, last_outcome=ExecutionStatus.CANCELLED)
    assert (found.last_execution_id, found.last_execution_status) == (id_of(new), "RUNNING")


def test_a_job_that_was_deleted_before_it_was_accepted_is_no_run() -> None:
    going = job("10:00:00", deletion_time=at("10:00:05"), has_finalizer=False)
    pod = running("10:00:01")
    assert told((going, pod)) == TaskStatus()
    assert len(told((replace(going, has_finalizer=True), pod)).active) == 1, "one that was accepted is"
    assert len(told((replace(going, deletion_time=None), pod)).active) == 1, "and one that is about to be"


def test_only_one_that_waits_for_its_turn_says_for_what() -> None:
    stop = StopIntent(StopReason.CANCELLED, "alice", at("10:00:05"), "cancelled by alice")
    pulls = make_pod(waiting_reason="ImagePullBackOff", waiting_message="Back-off")
    for each in ((job("10:00:00", suspended=True, stop=stop),), (job("10:00:00"), pulls)):
        (active,) = told(each).active
        assert (active.status, active.reason, active.message) == ("PENDING", None, None)


@pytest.mark.parametrize(
    ("type_", "schedule", "message"),
    [
        (ScheduleType.CRON, "* * * * *", "runs as a native CronJob"),
        (ScheduleType.INTERVAL, "60", "runs are started at their times"),
    ],
)
def test_ready_says_how_it_runs(type_: ScheduleType, schedule: str, message: str) -> None:
    assert ready(decide(make_task(type_, schedule))) == (True, "Scheduled", message)
    paused = ready(decide(make_task(type_, schedule, suspend=True)))
    assert paused == (True, "Scheduled", "suspended: no new runs until spec.suspend is false")


def test_a_date_whose_run_still_waits_has_been_started() -> None:
    task = make_task(ScheduleType.DATE, "2026-03-02T10:30:00Z")
    waits = make_job("date", tick=at("10:30:00"), has_finalizer=True, suspended=True)
    decision = decide(replace(task, status=settled(task)), now="10:30:05", jobs=[waits])
    assert ready(decision)[2] == "its run was started; no further run will come"


def test_conditions_of_others_stay_and_ready_says_since_when() -> None:
    task = make_task()
    other = Condition("Reviewed", True, "ByHand", "m", at("09:00:00"), 1)
    was = Condition("Ready", False, "ProjectNotFound", "m", at("09:00:00"), 1)
    status = status_of(decide(replace(task, status=settled(task, conditions=(was, other)))))
    assert status.conditions[0] == other
    assert status.ready is not None
    assert (status.ready.status, status.ready.last_transition_time) == (True, at("10:00:10"))
