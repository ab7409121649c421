"""When and how a Job is ended: tables of what is seen -> what is done."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cronwright_core.domain.cluster import JobFacts, JobFailure, PodFacts, StopIntent, StopReason
from cronwright_operator.stopping.actions import DeletePod, FinishJob, LowerDeadline, StopDecision, WriteIntent
from cronwright_operator.stopping.decide import Seen, decide, failed_attempts, plan_stop, time_limit
from support.builders import at, make_job, make_pod

START = at("10:00:00")
LIMIT = 60
STOP = StopIntent(StopReason.CANCELLED, "alice", at("10:00:20"), "cancelled by alice")


def job(**changes: Any) -> JobFacts:
    """A running Job with a limit of 60 s and two retries."""
    defaults: dict[str, Any] = {
        "creation_time": START,
        "start_time": START,
        "pod_deadline_seconds": LIMIT,
        "deadline_seconds": LIMIT + 990,
        "backoff_limit": 2,
        "has_finalizer": True,
    }
    return make_job(**{**defaults, **changes})


def running(name: str = "pod-1", taken: str = "10:00:00", **changes: Any) -> PodFacts:
    """A Pod that runs with the template's deadline."""
    defaults: dict[str, Any] = {
        "phase": "Running",
        "creation_time": at(taken),
        "acknowledged_time": at(taken),
        "start_time": at(taken),
        "deadline_seconds": LIMIT,
    }
    return make_pod(name, **{**defaults, **changes})


def failed(name: str = "pod-1", taken: str = "10:00:00", **changes: Any) -> PodFacts:
    return running(name, taken, phase="Failed", end_time=at(taken) + timedelta(seconds=5), **changes)


def waiting(created: str = "10:00:00", **changes: Any) -> PodFacts:
    return make_pod(**{"creation_time": at(created), **changes})


def looked(now: str, job_: JobFacts, *pods: PodFacts, explanation: str | None = None) -> StopDecision:
    return decide(Seen(job_, pods, at(now), explanation))


class TestCancel:
    def test_a_running_pod_is_ended_after_the_intent_stands(self) -> None:
        pod = running()
        assert plan_stop(job(), (pod,), STOP) == (WriteIntent(job(), STOP, 0), LowerDeadline(pod, 1))

    def test_the_backoff_limit_is_never_below_the_attempts_that_failed(self) -> None:
        first, second = failed(), running("pod-2", "10:00:20")
        (intent, _) = plan_stop(job(failed_pods=1), (first, second), STOP)
        assert isinstance(intent, WriteIntent)
        assert intent.backoff_limit == 1, "0 would make the controller delete the running Pod with its log"

    def test_a_failed_pod_that_is_deleted_still_counts(self) -> None:
        (intent, _) = plan_stop(job(failed_pods=1), (running("pod-2", "10:00:20"),), STOP)
        assert isinstance(intent, WriteIntent)
        assert intent.backoff_limit == 1

    def test_a_failed_pod_that_is_not_counted_yet_counts(self) -> None:
        assert failed_attempts(job(failed_pods=0), (failed(),)) == 1

    @pytest.mark.parametrize("failed_pods", [0, 1])
    def test_the_backoff_limit_is_never_raised(self, failed_pods: int) -> None:
        only = job(backoff_limit=0, failed_pods=failed_pods)
        (intent, _) = plan_stop(only, (running(),), STOP)
        assert intent == WriteIntent(only, STOP, 0)

    @pytest.mark.parametrize(
        ("seen", "pods"),
        [
            (job(suspended=True, start_time=None), ()),
            (job(), ()),
            (job(failed_pods=1), (failed(),)),
            (job(), (waiting(waiting_reason="Unschedulable"),)),
        ],
        ids=["it waits for its turn", "no Pod yet", "between two attempts", "no node"],
    )
    def test_without_a_running_pod_the_job_is_finished_at_once(
        self, seen: JobFacts, pods: tuple[PodFacts, ...]
    ) -> None:
        assert plan_stop(seen, pods, STOP) == (FinishJob(seen, STOP),)

    def test_a_pod_that_pulls_its_image_is_ended_and_not_deleted(self) -> None:
        pod = waiting(acknowledged_time=START, deadline_seconds=LIMIT, waiting_reason="ImagePullBackOff")
        assert plan_stop(job(), (pod,), STOP)[1:] == (LowerDeadline(pod, 1),)

    def test_a_pod_that_ended_with_zero_meanwhile_is_left_alone(self) -> None:
        assert plan_stop(job(), (running(phase="Succeeded"),), STOP) == ()

    def test_a_pod_that_somebody_deletes_is_waited_for(self) -> None:
        pod = running(deletion_time=at("10:00:10"))
        assert plan_stop(job(), (pod,), STOP) == (WriteIntent(job(), STOP, 0),)


class TestSuccessor:
    """Each state in which a stop may have been left, and what the next look does."""

    STOPPED = job(stop=STOP, backoff_limit=0)

    def test_after_the_intent(self) -> None:
        pod = running()
        assert looked("10:00:30", self.STOPPED, pod).actions == (LowerDeadline(pod, 1),)

    def test_after_the_deadline_was_lowered(self) -> None:
        assert looked("10:00:30", self.STOPPED, running(deadline_seconds=1)) == StopDecision()

    def test_an_attempt_that_slipped_through_is_ended_too(self) -> None:
        second = running("pod-2", "10:00:25")
        assert looked("10:00:30", replace(self.STOPPED, failed_pods=1), failed(), second).actions == (
            LowerDeadline(second, 1),
        )

    def test_an_intent_that_left_room_for_retries_is_completed(self) -> None:
        pod = running(deadline_seconds=1)
        stopped = job(stop=STOP, backoff_limit=2)
        assert looked("10:00:30", stopped, pod).actions == (WriteIntent(stopped, STOP, 0),)

    def test_after_the_pod_ended_the_controller_does_the_rest(self) -> None:
        assert looked("10:00:30", self.STOPPED, failed()) == StopDecision()

    @pytest.mark.parametrize("backoff_limit", [1, 2])
    def test_after_the_pod_ended_a_job_with_retries_left_gets_no_other_attempt(self, backoff_limit: int) -> None:
        stopped = job(stop=STOP, backoff_limit=backoff_limit, failed_pods=1)
        assert looked("10:00:30", stopped, failed()).actions == (FinishJob(stopped, STOP),)

    def test_after_the_job_was_told_to_finish(self) -> None:
        told = job(stop=STOP, parallelism=0, deadline_seconds=1)
        assert looked("10:00:30", told) == StopDecision()
        resuspended = replace(told, suspended=True)
        assert looked("10:00:30", resuspended).actions == (FinishJob(resuspended, STOP),)

    def test_a_finished_job_is_left_alone(self) -> None:
        ended = job(stop=STOP, failed=JobFailure("BackoffLimitExceeded", "m", at("10:00:40")))
        assert looked("10:00:50", ended, failed()) == StopDecision()


class TestTimeLimit:
    def test_counts_from_when_a_node_took_the_first_pod(self) -> None:
        assert time_limit(job(), (running(taken="10:00:07"),)) == at("10:01:07")

    def test_does_not_run_while_the_first_pod_waits_for_a_node(self) -> None:
        assert time_limit(job(), (waiting(),)) is None
        assert time_limit(job(), ()) is None
        assert time_limit(job(start_time=None, suspended=True), ()) is None

    def test_spans_all_attempts(self) -> None:
        assert time_limit(job(failed_pods=1), (failed(), running("pod-2", "10:00:30"))) == at("10:01:00")

    def test_counts_from_admission_if_the_first_pod_is_gone(self) -> None:
        assert time_limit(job(failed_pods=1), (running("pod-2", "10:00:30"),)) == at("10:01:00")

        assert time_limit(job(failed_pods=2), (failed("pod-2", "10:00:20"), running("pod-3", "10:00:40"))) == at(
            "10:01:00"
        )

    def test_counts_from_the_first_pod_in_whatever_order_they_are_told(self) -> None:
        pods = (running("a", "10:00:30"), failed("z", "10:00:07"))
        assert time_limit(job(failed_pods=1), pods) == at("10:01:07")

    def test_counts_from_admission_if_the_first_pod_ended_without_a_node(self) -> None:
        evicted = make_pod(phase="Failed", reason="Evicted", creation_time=at("10:00:01"))
        assert time_limit(job(failed_pods=1), (evicted, running("pod-2", "10:00:30"))) == at("10:01:00")

    @pytest.mark.parametrize("changes", [{"pod_deadline_seconds": None}, {"start_time": None}])
    def test_without_a_limit_or_before_its_controller_has_told_of_it_nothing_ends(
        self, changes: dict[str, Any]
    ) -> None:
        assert looked("12:00:00", job(**changes), running()) == StopDecision()

    def test_the_first_attempt_keeps_the_templates_deadline(self) -> None:
        assert looked("10:00:10", job(), running()) == StopDecision((), at("10:01:00"))

    def test_a_later_attempt_gets_what_is_left(self) -> None:
        second = running("pod-2", "10:00:35")
        decision = looked("10:00:36", job(failed_pods=1), failed(), second)
        assert decision == StopDecision((LowerDeadline(second, 25),), at("10:01:00"))
        limited = replace(second, deadline_seconds=25)
        assert looked("10:00:37", job(failed_pods=1), failed(), limited).actions == ()

    @pytest.mark.parametrize(
        "last",
        [
            waiting("10:00:20", name="pod-2"),
            failed("pod-2", "10:00:20"),
            running("pod-2", "10:00:20", deletion_time=at("10:00:25")),
        ],
        ids=["it has no node yet", "it has ended", "it is being deleted"],
    )
    def test_only_an_attempt_that_runs_gets_what_is_left(self, last: PodFacts) -> None:
        assert looked("10:00:26", job(failed_pods=1), failed(), last).actions == ()

    def test_a_last_attempt_without_a_node_is_ended_at_the_limit(self) -> None:
        last = job(backoff_limit=1, failed_pods=1)
        (action,) = looked("10:01:00", last, failed(), waiting("10:00:50", name="pod-2")).actions
        assert isinstance(action, FinishJob)
        assert action.stop.reason is StopReason.TIMEOUT

    def test_at_the_limit_no_retry_follows(self) -> None:
        pod = running()
        (intent, lowered) = looked("10:01:00", job(), pod).actions
        assert isinstance(intent, WriteIntent)
        assert (intent.stop.reason, intent.backoff_limit) == (StopReason.TIMEOUT, 0)
        assert intent.stop.message == "ended at its time limit of 60 s"
        assert lowered == LowerDeadline(pod, 1)

    def test_between_two_attempts_the_next_one_never_starts(self) -> None:
        (action,) = looked("10:01:00", job(failed_pods=1), failed()).actions
        assert isinstance(action, FinishJob)
        assert action.stop.reason is StopReason.TIMEOUT

    def test_without_retries_the_pods_own_deadline_is_enough(self) -> None:
        assert looked("10:01:00", job(backoff_limit=0), running()) == StopDecision()

    def test_a_deadline_that_is_too_late_is_not_enough(self) -> None:
        late = running(deadline_seconds=LIMIT + 1)
        assert looked("10:01:00", job(backoff_limit=0), late).actions

    def test_what_succeeded_is_not_timed_out(self) -> None:
        assert looked("10:05:00", job(), running(phase="Succeeded")) == StopDecision()

    def test_an_earlier_cancel_stays_the_reason(self) -> None:
        stopped = job(stop=STOP, backoff_limit=2)
        (intent, _) = looked("10:05:00", stopped, running()).actions
        assert isinstance(intent, WriteIntent)
        assert intent.stop is STOP


class TestCannotStart:
    PATIENT = job(pending_deadline_seconds=30)

    def test_is_waited_for_until_its_patience_ends(self) -> None:
        decision = looked("10:00:10", self.PATIENT, waiting(waiting_reason="Unschedulable"))
        assert decision == StopDecision((), at("10:00:30"))

    @pytest.mark.parametrize(("patience", "end"), [(30, "10:00:30"), (90, "10:01:00")])
    def test_of_its_patience_and_its_time_limit_the_first_counts(self, patience: int, end: str) -> None:
        pulls = waiting(acknowledged_time=START, deadline_seconds=LIMIT, waiting_reason="ContainerCreating")
        decision = looked("10:00:10", replace(self.PATIENT, pending_deadline_seconds=patience), pulls)
        assert decision == StopDecision((), at(end))

    def test_no_node(self) -> None:
        pod = waiting(waiting_reason="Unschedulable", waiting_message="0/1 nodes are available")
        (action,) = looked("10:00:30", self.PATIENT, pod).actions
        assert isinstance(action, FinishJob)
        assert action.stop.reason is StopReason.CANNOT_START
        assert action.stop.message == "Unschedulable: 0/1 nodes are available (given up after 30 s)"

    def test_an_image_that_cannot_be_pulled(self) -> None:
        pod = waiting(acknowledged_time=START, waiting_reason="ImagePullBackOff", waiting_message="Back-off")
        (intent, lowered) = looked("10:00:30", self.PATIENT, pod).actions
        assert isinstance(intent, WriteIntent)
        assert intent.stop.message == "ImagePullBackOff: Back-off (given up after 30 s)"
        assert lowered == LowerDeadline(pod, 1)

    def test_without_a_reason_the_events_are_asked(self) -> None:
        pod = waiting(acknowledged_time=START)
        assert looked("10:00:30", self.PATIENT, pod) == StopDecision(explain=pod.uid)
        (intent, _) = looked("10:00:30", self.PATIENT, pod, explanation="FailedMount: no volume").actions
        assert isinstance(intent, WriteIntent)
        assert intent.stop.message == "FailedMount: no volume (given up after 30 s)"

    def test_no_pod_at_all(self) -> None:
        assert looked("10:00:29", self.PATIENT) == StopDecision((), at("10:00:30"))
        assert looked("10:00:30", self.PATIENT) == StopDecision(explain=self.PATIENT.uid)
        (action,) = looked("10:00:30", self.PATIENT, explanation="FailedCreate: exceeded quota").actions
        assert isinstance(action, FinishJob)
        assert action.stop.message == "FailedCreate: exceeded quota (given up after 30 s)"

    def test_events_that_say_nothing(self) -> None:
        (action,) = looked("10:00:30", self.PATIENT, explanation="").actions
        assert isinstance(action, FinishJob)
        assert action.stop.message == "no Pod could be made (given up after 30 s)"
        (action,) = looked("10:00:30", self.PATIENT, waiting(), explanation="").actions
        assert isinstance(action, FinishJob)
        assert action.stop.message == "its Pod did not start (given up after 30 s)"

    def test_an_attempt_that_ended_without_a_node_is_not_meant(self) -> None:
        evicted = make_pod(phase="Failed", reason="Evicted", creation_time=START)
        between = replace(self.PATIENT, failed_pods=1)
        assert looked("10:00:45", between, evicted) == StopDecision((), at("10:01:00"))
        # Nor is one that somebody deletes: another one follows.
        assert looked("10:00:45", self.PATIENT, waiting(deletion_time=at("10:00:10"))) == StopDecision()

    def test_a_pod_that_started_is_not_meant(self) -> None:
        assert looked("10:00:45", self.PATIENT, running()) == StopDecision((), at("10:01:00"))

    @pytest.mark.parametrize(
        "changes",
        [
            {"start_time": None},
            {"start_time": None, "held_back": True},
            {"start_time": START, "held_back": True},
        ],
        ids=["never looked at", "let go after a wait", "let go once more"],
    )
    def test_what_the_job_controller_has_not_begun_with_is_waited_for(self, changes: dict[str, Any]) -> None:
        assert looked("12:00:00", replace(self.PATIENT, **changes)) == StopDecision()

    def test_patience_begins_when_the_job_controller_has_begun_with_it_as_it_was_let_go(self) -> None:
        let_go = replace(self.PATIENT, start_time=at("12:00:00"))
        assert looked("12:00:29", let_go) == StopDecision((), at("12:00:30"))
        assert looked("12:00:30", let_go) == StopDecision(explain=let_go.uid)

    def test_a_job_that_waits_for_its_turn_is_not_meant(self) -> None:
        assert looked("12:00:00", replace(self.PATIENT, suspended=True, start_time=None)) == StopDecision()


class TestDeletedJob:
    """The controller never finishes it, so its Pods are ended one by one; the Job itself is not written to."""

    DELETED = job(deletion_time=at("10:00:20"))

    def test_a_running_pod_is_ended_with_its_output(self) -> None:
        pod = running()
        assert looked("10:00:21", self.DELETED, pod).actions == (LowerDeadline(pod, 1),)
        assert looked("10:00:22", self.DELETED, replace(pod, deadline_seconds=1)) == StopDecision()
        assert looked("10:00:22", self.DELETED, failed()) == StopDecision()

    def test_a_pod_without_a_node_is_deleted(self) -> None:
        assert looked("10:00:21", self.DELETED, waiting()).actions == (DeletePod(waiting()),)

    def test_a_pod_that_is_being_deleted_is_waited_for(self) -> None:
        assert looked("10:00:21", self.DELETED, running(deletion_time=at("10:00:20"))) == StopDecision()
