"""Cancel annotations: which execution each one ends, and what is taken off the task."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import JobFacts, JobFailure, StopIntent, StopReason
from cronwright_core.domain.execution import ExecutionKind, execution_state
from cronwright_core.domain.task import Request, ScheduledTask
from cronwright_operator.reconciling.actions import (
    CreateJob,
    Decision,
    RecordCancelled,
    StopExecution,
    WithdrawRequest,
    WriteStatus,
)
from cronwright_operator.reconciling.observed import JobView, Observed, Registration
from cronwright_operator.reconciling.reconcile import reconcile
from support.builders import at, make_cronjob, make_job, make_project, make_task, settled

NOW = at("10:00:30")
TICK = at("10:00:00")
ID = naming.execution_id(make_task().uid, ExecutionKind.SCHEDULED, TICK, "")
ANNOTATION = f"cancel.cronwright.dev/{ID}"


def cancelled(
    id_: str = ID, value: str = '{"by": "alice", "at": "2026-03-02T10:00:29Z"}', **changes: Any
) -> ScheduledTask:
    task = make_task(**changes)
    return replace(task, status=settled(task, last_schedule_time=TICK), cancels=(Request(id_, value),))


def decided(task: ScheduledTask, *jobs: JobFacts, project: bool = True) -> Decision:
    views = tuple(JobView(job, execution_state(job, ()), ID) for job in jobs)
    seen = Observed(
        task, make_project() if project else None, make_cronjob(last_schedule_time=TICK), views, Registration(1), NOW
    )
    return reconcile(seen)


def running(**changes: Any) -> JobFacts:
    return make_job(**{"tick": TICK, "has_finalizer": True, "start_time": TICK, **changes})


def last(decision: Decision, count: int) -> tuple[object, ...]:
    return decision.actions[-count:]


def test_the_intent_first_then_the_annotation_goes() -> None:
    job = running()
    decision = decided(cancelled(), job)
    stop = StopIntent(StopReason.CANCELLED, "alice", NOW, "cancelled by alice")
    assert last(decision, 2) == (StopExecution(job.uid, stop), WithdrawRequest(ANNOTATION))
    assert [event.reason for event in decision.events] == ["ExecutionCancelled"]


def test_a_waiting_job_likewise() -> None:
    job = running(suspended=True, start_time=None)
    (stop, _) = last(decided(cancelled(), job), 2)
    assert isinstance(stop, StopExecution)


@pytest.mark.parametrize(
    ("changes", "events"),
    [
        ({"stop": StopIntent(StopReason.TIMEOUT, "operator", NOW, "m")}, []),
        ({"deletion_time": NOW}, ["CancelTooLate"]),
    ],
)
def test_one_that_is_being_ended_is_not_ended_again(changes: dict[str, Any], events: list[str]) -> None:
    decision = decided(cancelled(), running(**changes))
    assert [event.reason for event in decision.events] == events
    assert not [action for action in decision.actions if isinstance(action, StopExecution)]
    assert last(decision, 1) == (WithdrawRequest(ANNOTATION),)


@pytest.mark.parametrize("changes", [{"complete_time": NOW}, {"failed": JobFailure("BackoffLimitExceeded", "m", NOW)}])
def test_one_that_has_ended_gets_an_event(changes: dict[str, Any]) -> None:
    decision = decided(cancelled(), running(**changes))
    assert not [action for action in decision.actions if isinstance(action, StopExecution)]
    assert [event.reason for event in decision.events] == ["CancelTooLate"]
    assert last(decision, 1) == (WithdrawRequest(ANNOTATION),)


def test_an_unknown_one_gets_a_warning() -> None:
    decision = decided(cancelled("exec-of-nobody"))
    assert [(event.type, event.reason) for event in decision.events] == [("Warning", "UnknownExecution")]
    assert last(decision, 1) == (WithdrawRequest("cancel.cronwright.dev/exec-of-nobody"),)


@pytest.mark.parametrize("value", ["", "now", "[]", '{"by": ""}', "{}", "{", "null"])
def test_an_annotation_by_hand_says_anything(value: str) -> None:
    (stop, _) = last(decided(cancelled(value=value), running()), 2)
    assert isinstance(stop, StopExecution)
    assert stop.stop.by == "kubectl"


class TestARunWithoutAJob:
    REQUEST = Request("k1", json.dumps({"time": "2026-03-02T10:00:10Z", "by": "bob"}))
    EXECUTION = naming.execution_id(make_task().uid, ExecutionKind.ADHOC, at("10:00:10"), "k1")

    @pytest.mark.parametrize("project", [True, False], ids=["ready", "its project is missing"])
    def test_is_recorded_as_cancelled_and_never_made(self, project: bool) -> None:
        task = replace(cancelled(self.EXECUTION), triggers=(self.REQUEST,))
        decision = decided(task, project=project)
        assert not [action for action in decision.actions if isinstance(action, CreateJob)]
        (record,) = last(decision, 1)
        assert isinstance(record, RecordCancelled)
        assert (record.request, record.time, record.requested_by) == (self.REQUEST, at("10:00:10"), "bob")
        assert record.annotations == ("trigger.cronwright.dev/k1", f"cancel.cronwright.dev/{self.EXECUTION}")
        assert not [action for action in decision.actions if isinstance(action, WithdrawRequest)]
        (event,) = (event for event in decision.events if event.reason == "ExecutionCancelled")
        assert event.of_record, "told when its record is committed"

    def test_holds_up_nothing_else(self) -> None:
        other = Request("k2", "now")
        decision = decided(replace(cancelled(self.EXECUTION), triggers=(other, self.REQUEST)))
        (record,) = last(decision, 1)
        assert isinstance(record, RecordCancelled)
        assert record.request == self.REQUEST
        kinds = [type(action) for action in decision.actions]
        assert kinds.index(CreateJob) < kinds.index(WriteStatus) < kinds.index(RecordCancelled)

    @pytest.mark.parametrize("running_one", ["exec-0", "exec-9"], ids=["sorts before", "sorts after"])
    def test_what_runs_is_ended_before_anything_is_recorded(self, running_one: str) -> None:
        task = replace(cancelled(self.EXECUTION), triggers=(self.REQUEST, Request("x", '{"env": 1}')))
        task = replace(task, cancels=tuple(sorted((*task.cancels, Request(running_one, "")), key=lambda c: c.key)))
        view = JobView(running(), execution_state(running(), ()), running_one)
        seen = Observed(task, make_project(), make_cronjob(last_schedule_time=TICK), (view,), Registration(1), NOW)
        kinds = [type(action) for action in reconcile(seen).actions]
        assert kinds[-4:] == [StopExecution, WithdrawRequest, RecordCancelled, RecordCancelled]


def test_a_task_that_is_being_deleted_ends_its_runs_for_that_reason() -> None:
    decision = decided(replace(cancelled(), deleting=True), running())
    stops = [action.stop.reason for action in decision.actions if isinstance(action, StopExecution)]
    assert stops == [StopReason.TASK_DELETED]
