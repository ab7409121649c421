"""An attempt that was seen stays in the record when its Pod is gone."""

from __future__ import annotations

from dataclasses import replace

from cronwright_core.domain.cluster import JobFailure, StopIntent, StopReason
from cronwright_core.domain.execution import ExecutionStatus, execution_state
from cronwright_operator.recording.attempts import numbers_of, pods_agree, with_known_starts, with_vanished
from support.builders import at, make_job, make_pod

NOW = at("10:05:00")


def test_a_deleted_pod_is_a_failed_attempt() -> None:
    pod = make_pod(phase="Running", start_time=at("10:00:01"))
    before = execution_state(make_job(), (pod,))
    known = {a.pod_uid: a for a in before.attempts}
    after = with_vanished(execution_state(make_job(), (), numbers_of(known)), known, (), NOW)
    assert after.status is ExecutionStatus.RUNNING
    assert (after.attempts[0].status, after.attempts[0].reason) == (ExecutionStatus.FAILED, "PodDeleted")
    assert after.attempts[0].end_time == NOW


def test_the_next_pod_gets_the_next_number() -> None:
    known = {a.pod_uid: a for a in execution_state(make_job(), (make_pod("a"),)).attempts}
    pods = (make_pod("b", creation_time=at("10:01:00")),)
    after = with_vanished(execution_state(make_job(), pods, numbers_of(known)), known, pods, NOW)
    assert [(a.number, a.pod_name) for a in after.attempts] == [(1, "a"), (2, "b")]


def test_an_ended_attempt_keeps_its_end() -> None:
    (attempt,) = execution_state(make_job(), (make_pod(phase="Failed", exit_code=2, end_time=at("10:00:09")),)).attempts
    state = with_vanished(execution_state(make_job(), ()), {attempt.pod_uid: attempt}, (), NOW)
    assert state.attempts == (attempt,)


def test_nothing_vanished_nothing_changed() -> None:
    state = execution_state(make_job(), (make_pod(),))
    known = {a.pod_uid: replace(a) for a in state.attempts}
    assert with_vanished(state, known, (make_pod(),), NOW) is state


def test_an_end_is_believed_only_when_the_pods_agree() -> None:
    ended = make_pod("a", phase="Succeeded")
    complete = make_job(complete_time=NOW, succeeded_pods=1)
    assert pods_agree(complete, (ended,), {})
    assert not pods_agree(complete, (), {}), "its Pod has not been seen yet"
    assert not pods_agree(complete, (make_pod("a"),), {}), "its Pod is seen as it was before"
    known = {a.pod_uid: a for a in execution_state(make_job(), (ended,)).attempts}
    assert pods_agree(complete, (), known), "its Pod was seen, and is gone"
    retried = make_job(complete_time=NOW, succeeded_pods=1, failed_pods=1)
    assert not pods_agree(retried, (ended,), {})


def test_a_job_that_is_deleted_before_any_pod_was_seen() -> None:
    assert not pods_agree(make_job(deletion_time=NOW), (), {})
    assert not pods_agree(make_job(deletion_time=NOW), (make_pod(phase="Failed"),), {}), "a retry may run unseen"
    assert pods_agree(make_job(deletion_time=NOW), (make_pod(),), {})
    assert pods_agree(make_job(), (), {})


def test_the_last_attempt_says_why_it_failed_although_its_pod_is_gone() -> None:
    pod = make_pod(phase="Failed", start_time=at("10:00:01"), exit_code=143, deletion_time=at("10:00:05"))
    known = {a.pod_uid: a for a in execution_state(make_job(), (pod,)).attempts}
    job = make_job(failed=JobFailure("BackoffLimitExceeded", "Job has reached the specified backoff limit", NOW))
    state = with_vanished(execution_state(job, ()), known, (), NOW)
    assert (state.status, state.reason, state.exit_code) == (ExecutionStatus.FAILED, "PodDeleted", 143)


FIRST = make_pod("a", phase="Failed", start_time=at("10:00:01"), end_time=at("10:00:05"), exit_code=1)
SECOND = make_pod("b", creation_time=at("10:00:20"), phase="Running", start_time=at("10:00:21"))
FAILED = JobFailure("BackoffLimitExceeded", "Job has reached the specified backoff limit", at("10:04:00"))


def test_the_end_is_not_that_of_the_attempt_before_the_one_that_vanished() -> None:
    known = {a.pod_uid: a for a in execution_state(make_job(), (FIRST, SECOND)).attempts}
    state = execution_state(make_job(failed=FAILED, failed_pods=2), (FIRST,), numbers_of(known))
    for looked in (NOW, at("11:00:00")):
        after = with_vanished(state, known, (FIRST,), looked)
        assert after.end_time == after.attempts[-1].end_time == FAILED.time, "the Job's, however late we look"


def test_the_end_of_a_vanished_attempt_that_was_seen_to_end_is_the_executions() -> None:
    ended = replace(SECOND, phase="Failed", end_time=at("10:03:50"), exit_code=2)
    known = {a.pod_uid: a for a in execution_state(make_job(), (FIRST, ended)).attempts}
    state = execution_state(make_job(failed=FAILED, failed_pods=2), (FIRST,), numbers_of(known))
    assert with_vanished(state, known, (FIRST,), NOW).end_time == at("10:03:50")


def test_an_attempt_that_never_ran_ends_as_its_execution() -> None:
    known = {a.pod_uid: a for a in execution_state(make_job(), (make_pod(),)).attempts}
    stop = StopIntent(StopReason.CANCELLED, "alice", NOW, "cancelled by alice")
    job = make_job(failed=JobFailure("DeadlineExceeded", "m", NOW), stop=stop)
    state = with_vanished(execution_state(job, ()), known, (), NOW)
    assert [(a.status, a.reason) for a in state.attempts] == [(ExecutionStatus.CANCELLED, "Cancelled")]


def test_a_start_that_was_seen_stays_known() -> None:
    running = make_pod("a", phase="Running", start_time=at("10:00:01"))
    known = {a.pod_uid: a for a in execution_state(make_job(), (running,)).attempts}
    lost = replace(running, phase="Failed", start_time=None, terminated_reason="ContainerStatusUnknown")
    never, later = make_pod("b"), replace(running, start_time=at("10:00:02"))
    assert with_known_starts((lost, never, later), known) == [replace(lost, start_time=at("10:00:01")), never, later]
