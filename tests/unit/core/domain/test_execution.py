"""Job and Pods -> the state of an execution, for every way in which one can end."""

from __future__ import annotations

from typing import Any

import pytest

from cronwright_core.domain.cluster import JobFailure, PodFacts, StopIntent, StopReason
from cronwright_core.domain.execution import ExecutionStatus, execution_state, with_deletion
from support.builders import at, make_job, make_pod

T0, T1, T2 = at("10:00:01"), at("10:00:05"), at("10:00:20")


def ran(name: str = "pod-1", *, code: int = 0, created: str = "10:00:00", **changes: Any) -> PodFacts:
    """A Pod that ran from T0 to T1."""
    return make_pod(
        name,
        creation_time=at(created),
        phase="Succeeded" if code == 0 else "Failed",
        start_time=T0,
        end_time=T1,
        exit_code=code,
        terminated_reason=None if code == 0 else "Error",
        **changes,
    )


def failed(reason: str = "BackoffLimitExceeded") -> JobFailure:
    return JobFailure(reason, "Job has reached the specified backoff limit", T2)


def test_no_pod_yet() -> None:
    state = execution_state(make_job(), ())
    assert (state.status, state.reason) == (ExecutionStatus.PENDING, None)


def test_suspended_job_says_that_it_waits() -> None:
    state = execution_state(make_job(suspended=True), ())
    assert (state.status, state.reason, state.message) == (ExecutionStatus.PENDING, "Queued", "waits for its turn")


def test_pod_that_cannot_start_says_why() -> None:
    pod = make_pod(waiting_reason="ImagePullBackOff", waiting_message="Back-off pulling image")
    state = execution_state(make_job(), (pod,))
    assert (state.status, state.reason) == (ExecutionStatus.PENDING, "ImagePullBackOff")
    assert state.message == "Back-off pulling image"


def test_running() -> None:
    pod = make_pod(phase="Running", start_time=T1, node_name="node-a")
    state = execution_state(make_job(start_time=T0), (pod,))
    assert (state.status, state.start_time, state.end_time) == (ExecutionStatus.RUNNING, T1, None)
    assert state.admitted_time == T0
    (attempt,) = state.attempts
    assert (attempt.status, attempt.node_name) == (ExecutionStatus.RUNNING, "node-a")


def test_while_a_retry_runs_the_end_of_the_attempt_before_is_no_reason() -> None:
    state = execution_state(make_job(), (ran("a", code=1), make_pod("b", phase="Running", start_time=T2)))
    assert (state.status, state.reason, state.message) == (ExecutionStatus.RUNNING, None, None)


def test_without_a_pod_that_tells_the_jobs_own_words_are_the_reason() -> None:
    state = execution_state(make_job(failed=failed()), ())
    assert (state.status, state.reason) == (ExecutionStatus.FAILED, "BackoffLimitExceeded")
    assert state.message == "Job has reached the specified backoff limit"


def test_a_pod_that_ended_is_not_the_end_until_the_job_says_so() -> None:
    assert execution_state(make_job(), (ran(),)).status is ExecutionStatus.RUNNING


def test_success() -> None:
    state = execution_state(make_job(complete_time=T2, start_time=T0), (ran(),))
    assert (state.status, state.start_time, state.end_time, state.exit_code) == (ExecutionStatus.SUCCESS, T0, T1, 0)
    assert state.reason is None


def test_failure_tells_the_exit_code() -> None:
    state = execution_state(make_job(failed=failed()), (ran(code=3),))
    assert (state.status, state.exit_code, state.reason) == (ExecutionStatus.FAILED, 3, "Error")
    assert state.message == "ended with exit code 3"


def test_out_of_memory() -> None:
    pod = make_pod(phase="Failed", start_time=T0, end_time=T1, exit_code=137, terminated_reason="OOMKilled")
    state = execution_state(make_job(failed=failed()), (pod,))
    assert (state.status, state.reason) == (ExecutionStatus.FAILED, "OOMKilled")
    assert state.message is not None
    assert "memory" in state.message


def test_time_limit_of_the_pod() -> None:
    pod = make_pod(phase="Failed", reason="DeadlineExceeded", start_time=T0, end_time=T1, exit_code=143)
    state = execution_state(make_job(failed=failed()), (pod,))
    assert (state.status, state.reason, state.exit_code) == (ExecutionStatus.TIMEOUT, "DeadlineExceeded", 143)
    assert state.message == "ended at its time limit of 3600 s"


def test_back_stop_of_the_job() -> None:
    state = execution_state(make_job(failed=failed("DeadlineExceeded")), ())
    assert (state.status, state.end_time) == (ExecutionStatus.TIMEOUT, T2)


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (StopReason.CANCELLED, ExecutionStatus.CANCELLED),
        (StopReason.REPLACED, ExecutionStatus.CANCELLED),
        (StopReason.TASK_DELETED, ExecutionStatus.CANCELLED),
        (StopReason.TIMEOUT, ExecutionStatus.TIMEOUT),
        (StopReason.CANNOT_START, ExecutionStatus.FAILED),
    ],
)
def test_a_stop_intent_decides_what_the_end_is_called(reason: StopReason, status: ExecutionStatus) -> None:
    stop = StopIntent(reason, "alice", T1, "because")
    ended_by_us = make_pod(phase="Failed", reason="DeadlineExceeded", start_time=T0, end_time=T1, exit_code=143)
    told = ("DeadlineExceeded", "ended at its time limit of 3600 s")
    for pod in (ended_by_us, ran(code=3)):
        state = execution_state(make_job(failed=failed(), stop=stop), (pod,))
        assert state.status is status
        assert (state.reason, state.message) == (told if reason is StopReason.TIMEOUT else (reason.value, "because"))


def test_what_ended_with_zero_meanwhile_is_a_success() -> None:
    stop = StopIntent(StopReason.CANCELLED, "alice", T1, "because")
    state = execution_state(make_job(failed=failed(), stop=stop), (ran(),))
    assert state.status is ExecutionStatus.SUCCESS


class TestEnd:
    """An execution has ended when its last attempt has, and where nobody knows that, when its Job has."""

    FIRST = ran("pod-1", code=1)

    @pytest.mark.parametrize(
        "last",
        [
            {"phase": "Failed", "reason": "NodeLost", "start_time": at("10:00:10")},
            {"phase": "Failed", "reason": "Evicted"},
            {"phase": "Pending", "waiting_reason": "ImagePullBackOff"},
        ],
        ids=["its node was lost", "it never ran", "it cannot start"],
    )
    def test_is_not_that_of_an_earlier_attempt(self, last: dict[str, Any]) -> None:
        pods = (self.FIRST, make_pod("pod-2", creation_time=at("10:00:09"), **last))
        state = execution_state(make_job(failed=failed()), pods)
        assert (state.start_time, state.end_time) == (T0, T2)

    def test_of_a_job_that_is_deleted_is_its_deletion_where_the_pod_does_not_say(self) -> None:
        lost = make_pod("pod-2", creation_time=at("10:00:09"), phase="Failed", start_time=at("10:00:10"))
        assert execution_state(make_job(deletion_time=T2), (self.FIRST, lost)).end_time == T2

    @pytest.mark.parametrize("known", [{}, {"uid-pod-1": 1}, {"uid-pod-1": 1, "uid-pod-2": 2}])
    def test_is_the_last_attempts_where_that_is_known(self, known: dict[str, int]) -> None:
        second = make_pod("pod-2", creation_time=at("10:00:09"), phase="Failed", end_time=at("10:00:15"), exit_code=1)
        job = make_job(failed=failed(), failed_pods=2)
        assert execution_state(job, (self.FIRST, second), known).end_time == at("10:00:15")

    def test_of_a_success_is_the_jobs_where_its_pod_does_not_say(self) -> None:
        pod = make_pod(phase="Succeeded", start_time=T0)
        assert execution_state(make_job(complete_time=T2), (pod,)).end_time == T2

    def test_is_the_jobs_where_the_last_attempts_pod_is_gone(self) -> None:
        known = {self.FIRST.uid: 1, "uid-gone": 2}
        assert execution_state(make_job(failed=failed()), (self.FIRST,), known).end_time == T2

    def test_is_the_jobs_where_the_last_attempts_pod_was_never_seen(self) -> None:
        assert execution_state(make_job(failed=failed(), failed_pods=2), (self.FIRST,)).end_time == T2

    def test_of_a_success_is_the_programs_also_where_an_earlier_pod_was_never_seen(self) -> None:
        job = make_job(complete_time=T2, failed_pods=1, succeeded_pods=1)
        assert execution_state(job, (ran(),)).end_time == T1

    def test_is_never_before_the_start_whatever_the_clocks_say(self) -> None:
        lost = make_pod(phase="Failed", start_time=at("10:00:30"))
        assert execution_state(make_job(failed=failed()), (lost,)).end_time == at("10:00:30")


class TestDeletedJob:
    """The controller never finishes a Job with a deletionTimestamp: the Pods alone tell."""

    def test_runs_on_while_a_pod_runs(self) -> None:
        state = execution_state(make_job(deletion_time=T1), (make_pod(phase="Running", start_time=T0),))
        assert state.status is ExecutionStatus.RUNNING

    def test_is_a_cancel_when_its_pods_have_ended(self) -> None:
        pod = make_pod(phase="Failed", reason="DeadlineExceeded", start_time=T0, end_time=T1, exit_code=143)
        state = execution_state(make_job(deletion_time=T0), (pod,))
        assert (state.status, state.reason, state.end_time) == (ExecutionStatus.CANCELLED, "Deleted", T1)
        assert state.message == "the Job was deleted"

    def test_is_a_success_if_a_pod_ended_with_zero(self) -> None:
        assert execution_state(make_job(deletion_time=T0), (ran(),)).status is ExecutionStatus.SUCCESS

    def test_without_pods_is_a_cancel(self) -> None:
        state = execution_state(make_job(deletion_time=T0), ())
        assert (state.status, state.end_time) == (ExecutionStatus.CANCELLED, T0)

    def test_that_was_finished_before_keeps_its_result(self) -> None:
        state = execution_state(make_job(deletion_time=T2, failed=failed()), (ran(code=1),))
        assert state.status is ExecutionStatus.FAILED


class TestAttempts:
    def test_are_numbered_in_the_order_of_creation(self) -> None:
        pods = (ran("b", created="10:00:30"), ran("a", code=1, created="10:00:00"))
        state = execution_state(make_job(complete_time=T2), pods)
        assert [(a.number, a.pod_name, a.exit_code) for a in state.attempts] == [(1, "a", 1), (2, "b", 0)]
        assert state.exit_code == 0, "the last attempt's"

    def test_keep_the_numbers_that_were_recorded(self) -> None:
        state = execution_state(make_job(), (ran("c", created="10:01:00"),), {"uid-a": 1, "uid-b": 2})
        assert [a.number for a in state.attempts] == [3]

    def test_between_attempts_it_runs(self) -> None:
        assert execution_state(make_job(), (ran(code=1),)).status is ExecutionStatus.RUNNING


class TestStopping:
    STOP = StopIntent(StopReason.CANCELLED, "alice", T1, "cancelled by alice")

    def test_between_the_intent_and_the_end_it_says_so(self) -> None:
        state = execution_state(make_job(stop=self.STOP), (make_pod(phase="Running", start_time=T0),))
        assert (state.status, state.reason, state.message) == (
            ExecutionStatus.RUNNING,
            "Stopping",
            "cancelled by alice",
        )
        assert execution_state(make_job(stop=self.STOP), ()).status is ExecutionStatus.PENDING

    @pytest.mark.parametrize(
        ("reason", "status"),
        [
            (StopReason.CANCELLED, ExecutionStatus.CANCELLED),
            (StopReason.CANNOT_START, ExecutionStatus.FAILED),
            (StopReason.TIMEOUT, ExecutionStatus.TIMEOUT),
        ],
    )
    def test_an_attempt_is_called_what_ended_it(self, reason: StopReason, status: ExecutionStatus) -> None:
        pod = make_pod(phase="Failed", reason="DeadlineExceeded", deadline_seconds=1, start_time=T0, end_time=T1)
        job = make_job(failed=failed(), stop=StopIntent(reason, "operator", T1, "because"))
        (attempt,) = execution_state(job, (pod,)).attempts
        assert attempt.status is status
        assert attempt.reason == ("DeadlineExceeded" if reason is StopReason.TIMEOUT else reason.value)

    def test_an_attempt_that_passed_its_own_limit_is_not_called_what_was_asked_for_later(self) -> None:
        pod = make_pod(phase="Failed", reason="DeadlineExceeded", deadline_seconds=3600, start_time=T0, end_time=T1)
        job = make_job(failed=failed(), stop=self.STOP)
        assert execution_state(job, (pod,)).attempts[0].status is ExecutionStatus.TIMEOUT

    def test_an_attempt_that_failed_before_keeps_its_own_end(self) -> None:
        job = make_job(failed=failed(), stop=self.STOP)
        pods = (ran("a", code=3), make_pod("b", creation_time=T2, phase="Failed", reason="DeadlineExceeded"))
        assert execution_state(job, pods).attempts[0].status is ExecutionStatus.FAILED

    def test_a_deletion_is_told_apart(self) -> None:
        job = make_job(deletion_time=T1)
        for gone, reason in ((False, "Deleted"), (True, "TaskDeleted")):
            state = execution_state(with_deletion(job, task_gone=gone), ())
            assert (state.status, state.reason) == (ExecutionStatus.CANCELLED, reason)
            assert state.message == ("its task was deleted" if gone else "its Job was deleted")

    def test_a_deletion_does_not_change_an_earlier_reason(self) -> None:
        job = make_job(deletion_time=T1, stop=self.STOP)
        assert with_deletion(job, task_gone=True) is job
        assert with_deletion(make_job(), task_gone=True).stop is None
        ended = make_job(deletion_time=T2, complete_time=T1)
        assert with_deletion(ended, task_gone=True) is ended, "nor the end that it had before"


class TestReasonsToActOn:
    @pytest.mark.parametrize(
        ("changes", "reason", "words"),
        [
            ({"terminated_reason": "OOMKilled", "memory_limit": "48Mi"}, "OOMKilled", "its limit of 48Mi"),
            ({"terminated_reason": "OOMKilled", "terminated_message": "at row 7"}, "OOMKilled", "at row 7"),
            ({"exit_code": 137, "memory_limit": "48Mi"}, "Killed", "Its limit is 48Mi"),
            ({"exit_code": 137, "memory_limit": "48Mi", "terminated_reason": "Error"}, "Killed", "Its limit is 48Mi"),
            ({"exit_code": 137, "memory_limit": "48Mi", "terminated_reason": "Lost"}, "Lost", "exit code 137"),
            ({"exit_code": 1, "memory_limit": "48Mi"}, "Error", "exit code 1"),
            ({"exit_code": 137}, "Error", "exit code 137"),
            ({"failed_by_another": ("InitError", "init: exit code 2")}, "InitError", "init: exit code 2"),
            ({"reason": "Evicted", "message": "low on memory"}, "Evicted", "low on memory"),
            ({"reason": "NodeLost", "message": "node a: gone"}, "NodeLost", "node a"),
            ({"exit_code": 143, "deletion_time": T1}, "PodDeleted", "exit code 143"),
            ({"deletion_time": T1}, "PodDeleted", "its Pod was deleted"),
            ({"terminated_reason": "StartError", "terminated_message": "no such file"}, "StartError", "no such file"),
        ],
    )
    def test_of_a_failed_pod(self, changes: dict[str, Any], reason: str, words: str) -> None:
        pod = make_pod(phase="Failed", start_time=T0, end_time=T1, **changes)
        state = execution_state(make_job(failed=failed()), (pod,))
        assert (state.status, state.reason) == (ExecutionStatus.FAILED, reason)
        assert words in (state.message or "")
