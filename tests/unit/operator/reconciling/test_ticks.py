"""Which tick runs, is claimed, has a slot reserved, or is skipped: each branch of the decision, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cronwright_core.domain.cluster import CronJobFacts, JobFacts, StopIntent, StopReason
from cronwright_core.domain.execution import execution_state
from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.domain.task import ConcurrencyPolicy, Condition, ScheduledTask
from cronwright_core.domain.ticks import spread_offset
from cronwright_core.domain.validation import check_task
from cronwright_operator.reconciling import actions
from cronwright_operator.reconciling.observed import JobView, Observed, Registration, execution_id_of
from cronwright_operator.reconciling.ticks import HANDS_OFF, LEAD, TickDecision, decide_ticks
from support.builders import CREATED, MINUTE, at, make_cronjob, make_job, make_project, make_task, settled

TICK = at("10:05:00")
BEFORE = at("10:04:00")
STOP = StopIntent(StopReason.CANCELLED, "alice", CREATED, "cancelled by alice")


def seen_task(type_: ScheduleType = ScheduleType.CRON, schedule: str = "* * * * *", **spec: Any) -> ScheduledTask:
    """A task whose ticks up to 10:04 are decided."""
    status = spec.pop("status", {})
    task = make_task(type_, schedule, **spec)
    return replace(task, status=replace(settled(task), **{"last_schedule_time": BEFORE, **status}))


def decide(
    task: ScheduledTask,
    now: datetime,
    *,
    jobs: Sequence[JobFacts] = (),
    fired: datetime | None = BEFORE,
    cronjob: CronJobFacts | None = None,
    **seen: Any,
) -> TickDecision:
    schedule, errors = check_task(task.spec)
    assert schedule is not None, errors
    views = tuple(JobView(job, execution_state(job, ()), execution_id_of(job) or "") for job in jobs)
    if cronjob is None and task.spec.schedule_type is ScheduleType.CRON:
        cronjob = make_cronjob(last_schedule_time=fired)
    snapshot = Observed(
        task=task, project=make_project(), cronjob=cronjob, jobs=views, registration=Registration(1), now=now, **seen
    )
    return decide_ticks(snapshot, make_project(), schedule, task.status)


def of(decision: TickDecision, kind: type) -> list[Any]:
    return [action for action in decision.actions if isinstance(action, kind)]


def made(tick: datetime, **changes: Any) -> JobFacts:
    """A Job of ours in the controller's place."""
    fields = {"tick": tick, "stepped_in": True, "has_finalizer": True, "creation_time": tick, **changes}
    return make_job(f"nightly-copy-{tick:%H%M}", **fields)


def skipped(decision: TickDecision) -> list[tuple[datetime, str]]:
    return [(action.tick, action.reason) for action in of(decision, actions.RecordSkipped)]


class TestBeforeTheTick:
    def test_long_before_nothing_is_settled(self) -> None:
        found = decide(seen_task(), TICK - LEAD - timedelta(seconds=1))
        assert (found.actions, found.reserve, found.claim, found.wake_at) == ((), None, None, TICK - LEAD)

    def test_with_room_a_slot_is_reserved_and_kept(self) -> None:
        assert decide(seen_task(), TICK - LEAD).reserve == TICK
        kept = decide(seen_task(), TICK - timedelta(seconds=1), room=False, reserved=TICK)
        assert (kept.reserve, kept.claim, kept.wake_at) == (TICK, None, TICK)

    def test_where_the_next_tick_comes_before_a_claimed_one_starts_it_is_looked_at_in_time(self) -> None:
        task = seen_task(spread_seconds=3000, status={"claimed_time": TICK})
        assert spread_offset(task.uid, 3000) > 2 * MINUTE
        assert decide(task, TICK - LEAD, fired=TICK).wake_at == TICK
        assert decide(task, TICK, fired=TICK).wake_at == TICK + MINUTE - LEAD

    def test_without_room_it_is_noted_and_then_claimed(self) -> None:
        noted = decide(seen_task(), TICK - LEAD, room=False)
        assert (noted.status.claimed_time, noted.claim, noted.actions, noted.reserve) == (TICK, None, (), None)
        claimed = decide(seen_task(status={"claimed_time": TICK}), TICK - LEAD, room=False)
        (cover,) = of(claimed, actions.CoverTick)
        assert (cover.time, cover.resource_version) == (TICK, "50")
        done = decide(seen_task(status={"claimed_time": TICK}), TICK - LEAD, room=False, fired=TICK)
        assert (done.actions, done.reserve, done.wake_at) == ((), None, TICK)

    @pytest.mark.parametrize("step_in", [True, False])
    def test_what_starts_later_is_claimed_although_there_is_room(self, step_in: bool) -> None:
        task = seen_task(spread_seconds=30)
        noted = decide(task, TICK - LEAD, step_in=step_in)
        assert (noted.status.claimed_time, noted.reserve) == (TICK, None)
        offset = spread_offset(task.uid, 30)
        assert noted.next_start == TICK + offset

    @pytest.mark.parametrize("changes", [{"suspend": True}, {"deleting": True}])
    def test_of_a_cronjob_that_makes_nothing_none_is_taken(self, changes: dict[str, Any]) -> None:
        found = decide(seen_task(), TICK - LEAD, cronjob=make_cronjob(**changes), room=False)
        assert (found.actions, found.reserve, found.wake_at) == ((), None, TICK)
        assert found.status.claimed_time is None, "nor is it noted"

    def test_a_claim_is_never_lowered(self) -> None:
        later = at("10:09:00")
        found = decide(seen_task(), TICK - LEAD, room=False, fired=later, jobs=[made(BEFORE)])
        assert all(cover.time >= later for cover in of(found, actions.CoverTick))


class TestAtTheTick:
    def test_it_runs_in_its_slot_whatever_else_waits(self) -> None:
        others = [make_job("manual", request_key="k", suspended=True)]
        found = decide(seen_task(), TICK, reserved=TICK, room=False, jobs=others)
        (create,) = of(found, actions.CreateJob)
        assert (create.tick, found.reserve) == (TICK, TICK)
        assert create.owner_uids == {"7f1c2c8e-0001", "cronjob-uid"}
        assert create.manifest["metadata"]["name"].startswith("nightly-copy-1234-")
        assert found.status.last_schedule_time == BEFORE, "decided when the Job stands"

    def test_a_job_that_stands_decides_it(self) -> None:
        found = decide(seen_task(), TICK, jobs=[made(TICK)])
        assert (of(found, actions.CreateJob), found.status.last_schedule_time) == ([], TICK)
        (cover,) = of(found, actions.CoverTick)
        assert (cover.time, cover.active) == (TICK, (("nightly-copy-1005", "uid-nightly-copy-1005"),))

    def test_a_refusal_leaves_a_note_and_the_next_attempt_claims(self) -> None:
        first = decide(seen_task(), TICK, reserved=TICK)
        assert (first.status.claimed_time, of(first, actions.CoverTick)) == (TICK, [])
        second = decide(seen_task(status={"claimed_time": TICK}), TICK)
        assert [type(action) for action in second.actions] == [actions.CoverTick, actions.CreateJob]

    def test_while_its_job_is_refused_the_next_tick_is_claimed(self) -> None:
        # A slot would be of no use: which of the two runs is decided when the next one is due.
        found = decide(seen_task(status={"claimed_time": TICK}), TICK + MINUTE - LEAD, fired=TICK)
        assert [create.tick for create in of(found, actions.CreateJob)] == [TICK]
        assert (found.reserve, found.status.claimed_time) == (None, TICK + MINUTE)

    def test_without_a_cronjob_it_waits_for_one(self) -> None:
        found = decide(seen_task(), TICK, cronjob=make_cronjob(deleting=True))
        assert (found.actions, found.status.last_schedule_time) == ((), BEFORE)

    @pytest.mark.parametrize(
        ("policy", "waiting", "reason"),
        [
            (ConcurrencyPolicy.FORBID, 0, "AlreadyRunning"),
            (ConcurrencyPolicy.QUEUE, 2, "QueueFull"),
        ],
    )
    def test_a_claimed_tick_that_its_policy_skips(self, policy: ConcurrencyPolicy, waiting: int, reason: str) -> None:
        task = seen_task(concurrency_policy=policy, max_queued=2, status={"claimed_time": TICK})
        jobs = [made(BEFORE), *(made(BEFORE - n * MINUTE, suspended=True) for n in range(1, waiting + 1))]
        found = decide(task, TICK, jobs=jobs, fired=TICK)
        assert skipped(found) == [(TICK, reason)]
        assert found.status.last_schedule_time == TICK

    def test_below_max_queued_it_is_made_and_waits(self) -> None:
        task = seen_task(concurrency_policy=ConcurrencyPolicy.QUEUE, status={"claimed_time": TICK})
        found = decide(task, TICK, jobs=[made(BEFORE)], fired=TICK)
        assert len(of(found, actions.CreateJob)) == 1, "whether it waits is asked of the gate"
        assert found.reserve is None, "it has no slot"

    def test_one_that_is_not_claimed_yet_is_noted_and_claimed_before_it_is_skipped(self) -> None:
        jobs = [made(BEFORE)]
        noted = decide(seen_task(), TICK, jobs=jobs)
        assert (skipped(noted), noted.status.claimed_time, noted.status.last_schedule_time) == ([], TICK, BEFORE)
        claimed = decide(seen_task(status={"claimed_time": TICK}), TICK, jobs=jobs)
        assert (skipped(claimed), [c.time for c in of(claimed, actions.CoverTick)]) == ([], [TICK])
        last = decide(seen_task(status={"claimed_time": TICK}), TICK, jobs=jobs, fired=TICK)
        assert skipped(last) == [(TICK, "AlreadyRunning")]

    def test_replace_ends_the_oldest_first(self) -> None:
        task = seen_task(concurrency_policy=ConcurrencyPolicy.REPLACE, max_instances=2)
        jobs = [made(at("10:03:00")), made(BEFORE)]
        found = decide(task, TICK, jobs=jobs)
        kinds = [type(a) for a in found.actions if not isinstance(a, actions.CoverTick)]
        assert kinds == [actions.StopExecution, actions.CreateJob], "the intent first"
        (stop,) = of(found, actions.StopExecution)
        assert (stop.job_uid, stop.stop.reason) == (jobs[0].uid, StopReason.REPLACED)

    def test_replace_ends_a_manual_run_that_is_the_oldest(self) -> None:
        task = seen_task(concurrency_policy=ConcurrencyPolicy.REPLACE, max_instances=2)
        by_hand = make_job("by-hand", request_key="k", creation_time=at("10:03:30"), has_finalizer=True)
        found = decide(task, TICK, jobs=[made(BEFORE), by_hand])
        assert [stop.job_uid for stop in of(found, actions.StopExecution)] == [by_hand.uid]

    def test_replace_ends_none_more_once_one_is_ending(self) -> None:
        task = seen_task(concurrency_policy=ConcurrencyPolicy.REPLACE)
        found = decide(task, TICK, jobs=[made(BEFORE, stop=STOP)])
        assert (of(found, actions.StopExecution), len(of(found, actions.CreateJob))) == ([], 1)

    @pytest.mark.parametrize("fired", [None, TICK])
    def test_a_cronjob_of_an_earlier_type_says_nothing_of_an_interval(self, fired: datetime | None) -> None:
        task = seen_task(ScheduleType.INTERVAL, "60", status={"anchor_time": BEFORE})
        found = decide(task, TICK, cronjob=make_cronjob(suspend=True, last_schedule_time=fired))
        assert [type(action) for action in found.actions] == [actions.CreateJob]
        assert found.status.claimed_time is None


class TestAfterAnAbsence:
    def test_the_newest_runs_and_what_the_controller_made_is_no_miss(self) -> None:
        task = seen_task(status={"last_schedule_time": at("10:00:00")})
        controllers = [make_job("c1", tick=at("10:01:00")), make_job("c3", tick=at("10:03:00"), complete_time=TICK)]
        found = decide(replace(task, spec=replace(task.spec, max_instances=2)), at("10:05:30"), jobs=controllers)
        assert [create.tick for create in of(found, actions.CreateJob)] == [TICK]
        later = decide(task, at("10:05:30"), jobs=[*controllers, make_job("c5", tick=TICK)], fired=TICK)
        assert skipped(later) == [(at("10:02:00"), "MissedSchedule"), (BEFORE, "MissedSchedule")]
        assert later.status.last_schedule_time == TICK

    def test_a_tick_of_the_controllers_whose_job_is_not_seen_is_asked_for(self) -> None:
        found = decide(seen_task(), at("10:05:30"), fired=TICK)
        (check,) = found.actions
        assert isinstance(check, actions.CheckTick), "it may have run: no second Job before the API server has answered"
        assert (check.tick, found.status.last_schedule_time) == (TICK, BEFORE)
        reserved = decide(seen_task(), at("10:05:55"), fired=TICK, reserved=TICK + MINUTE)
        assert reserved.reserve == TICK + MINUTE, "meanwhile the next one keeps its slot"
        gone = decide(seen_task(), at("10:05:31"), fired=TICK, gone_ticks=frozenset({TICK}))
        assert skipped(gone) == [(TICK, "Deleted")]
        assert gone.status.last_schedule_time == TICK

    def test_a_tick_that_we_claimed_and_did_not_run_is_run(self) -> None:
        found = decide(seen_task(status={"claimed_time": TICK}), at("10:05:30"), fired=TICK)
        assert [create.tick for create in of(found, actions.CreateJob)] == [TICK]

    def test_a_time_that_is_no_tick_of_the_controllers_does_not_count_as_its_run(self) -> None:
        found = decide(seen_task(), at("10:05:30"), fired=at("10:05:20"))
        assert [create.tick for create in of(found, actions.CreateJob)] == [TICK]

    def test_too_late_is_not_run(self) -> None:
        task = seen_task(starting_deadline_seconds=20)
        found = decide(task, at("10:05:30"), fired=TICK, jobs=[])
        assert skipped(found) == [(TICK, "StartingDeadlineExceeded")]


class TestWhileJobsAreRefused:
    @staticmethod
    def refused(**changes: Any) -> ScheduledTask:
        """Its Jobs are refused since 10:05:00, when 10:02 to 10:04 had been missed."""
        since = Condition("Ready", False, "JobRefused", "exceeded quota: jobs", at("10:05:00"), 1)
        status = {"last_schedule_time": at("10:01:00"), "conditions": (since,), **changes}
        return seen_task(ScheduleType.INTERVAL, "60", status={"anchor_time": at("10:00:00"), **status})

    def test_what_fell_due_meanwhile_was_refused_and_not_missed(self) -> None:
        found = decide(self.refused(), at("10:07:30"), jobs=[made(at("10:07:00"))])
        assert skipped(found) == [
            (at("10:02:00"), "MissedSchedule"),
            (at("10:03:00"), "MissedSchedule"),
            (BEFORE, "MissedSchedule"),
            (TICK, "JobRefused"),
            (at("10:06:00"), "JobRefused"),
        ]
        messages = [skip.message for skip in of(found, actions.RecordSkipped)]
        assert all(("nobody was there" in text) is (at_ < 3) for at_, text in enumerate(messages))

    def test_one_that_starts_later_is_refused_at_its_start(self) -> None:
        spread = next(n for n in range(100, 4000) if spread_offset(make_task().uid, n) == timedelta(seconds=90))
        since = Condition("Ready", False, "JobRefused", "exceeded quota: jobs", at("10:06:30"), 1)
        task = self.refused(last_schedule_time=at("10:03:00"), conditions=(since,))
        task = replace(task, spec=replace(task.spec, spread_seconds=spread))
        found = decide(task, at("10:08:30"), jobs=[made(at("10:07:00"))])
        assert skipped(found) == [(BEFORE, "MissedSchedule"), (TICK, "JobRefused"), (at("10:06:00"), "JobRefused")]

    def test_of_many_one_row_says_how_many(self) -> None:
        task = self.refused(last_schedule_time=BEFORE)
        summary, *rows = of(decide(task, at("12:00:30"), jobs=[made(at("12:00:00"))]), actions.RecordSkipped)
        assert (summary.count, summary.reason, len(rows)) == (15, "JobRefused", 100)
        assert summary.message.startswith("15 runs from 2026-03-02T10:05:00Z to 2026-03-02T10:19:00Z: the API server")

    def test_one_that_is_too_late_by_its_own_deadline_is_too_late(self) -> None:
        task = self.refused(last_schedule_time=BEFORE)
        task = replace(task, spec=replace(task.spec, starting_deadline_seconds=20))
        found = decide(task, at("10:06:30"))
        assert skipped(found) == [(TICK, "JobRefused"), (at("10:06:00"), "StartingDeadlineExceeded")]


class TestLeftToTheController:
    def test_up_to_what_it_has_made_all_is_settled(self) -> None:
        task = seen_task(status={"last_schedule_time": at("10:02:00")})
        found = decide(task, at("10:05:01"), jobs=[make_job("c", tick=BEFORE)], step_in=False)
        assert skipped(found) == [(at("10:03:00"), "MissedSchedule")]
        assert found.status.last_schedule_time == BEFORE, "the tick of this minute is still its own"

    def test_it_has_its_time_and_then_the_tick_is_ours(self) -> None:
        task = seen_task(schedule="5 10 * * *", status={"last_schedule_time": at("10:02:00")})
        waits = decide(task, TICK + HANDS_OFF - timedelta(seconds=1), step_in=False)
        assert (waits.actions, waits.wake_at) == ((), TICK + HANDS_OFF)
        found = decide(task, TICK + HANDS_OFF, step_in=False)
        assert [create.tick for create in of(found, actions.CreateJob)] == [TICK]
        assert found.wake_at == TICK + timedelta(days=1), "its time is over: no more a time to look again"

    @pytest.mark.parametrize("late", [timedelta(), timedelta(milliseconds=1), timedelta(seconds=100)])
    def test_its_slot_is_held_until_its_job_comes(self, late: timedelta) -> None:
        found = decide(seen_task(), TICK + late, reserved=TICK, room=False, step_in=False)
        assert (found.actions, found.reserve, found.status.claimed_time) == ((), TICK, None)

    def test_its_slot_goes_back_with_its_job_also_before_that_is_written_down(self) -> None:
        job = make_job("c", tick=TICK)
        found = decide(seen_task(), TICK + timedelta(seconds=4), jobs=[job], reserved=TICK, step_in=False)
        assert (found.actions, found.reserve, found.status.last_schedule_time) == ((), None, TICK)

    def test_a_late_tick_without_a_slot_gets_one_or_is_claimed(self) -> None:
        now = TICK + timedelta(seconds=5)
        found = decide(seen_task(), now, step_in=False)
        assert (found.reserve, found.next_start) == (TICK, TICK + MINUTE)
        noted = decide(seen_task(), now, step_in=False, room=False)
        assert (noted.reserve, noted.actions, noted.status.claimed_time) == (None, (), TICK)
        claimed = decide(seen_task(status={"claimed_time": TICK}), now, step_in=False, room=False)
        assert [cover.time for cover in of(claimed, actions.CoverTick)] == [TICK]

    def test_of_several_late_ticks_the_newest_is_claimed(self) -> None:
        task = seen_task(status={"last_schedule_time": at("10:02:00")})
        noted = decide(task, TICK + timedelta(seconds=5), fired=at("10:02:00"), step_in=False, room=False)
        assert noted.status.claimed_time == TICK

    def test_a_tick_that_it_has_fired_needs_nothing(self) -> None:
        found = decide(seen_task(), TICK + timedelta(seconds=1), fired=TICK, step_in=False, room=False)
        assert (found.actions, found.reserve, found.status.claimed_time) == ((), None, None)

    def test_a_claimed_tick_that_waits_for_its_share_keeps_no_other_from_being_claimed(self) -> None:
        task = seen_task(spread_seconds=1200, status={"claimed_time": TICK})
        assert spread_offset(task.uid, 1200) > MINUTE
        noted = decide(task, at("10:05:55"), fired=TICK, step_in=False)
        assert noted.status.claimed_time == at("10:06:00")

    def test_a_tick_that_was_claimed_is_ours_at_once(self) -> None:
        found = decide(seen_task(status={"claimed_time": TICK}), TICK, fired=TICK, step_in=False)
        assert [create.tick for create in of(found, actions.CreateJob)] == [TICK]

    def test_with_room_nothing_is_written_before_the_tick(self) -> None:
        found = decide(seen_task(), TICK - LEAD, step_in=False)
        assert (found.actions, found.reserve, found.status.claimed_time) == ((), TICK, None)

    def test_it_has_no_more_than_its_time_also_after_earlier_ticks_were_settled(self) -> None:
        task = seen_task(schedule="4,5 10 * * *", status={"claimed_time": BEFORE})
        found = decide(task, TICK + HANDS_OFF, jobs=[make_job("c", tick=BEFORE, complete_time=TICK)], step_in=False)
        assert [create.tick for create in of(found, actions.CreateJob)] == [TICK]

    def test_what_starts_later_is_taken_from_it_also_when_it_is_late(self) -> None:
        # Nobody was there to claim it ten seconds before, and there is room: it starts later all the same.
        task = seen_task(spread_seconds=3000)
        assert spread_offset(task.uid, 3000) > 2 * MINUTE
        now = TICK + timedelta(seconds=5)
        noted = decide(task, now, step_in=False)
        assert (noted.status.claimed_time, noted.reserve, noted.actions) == (TICK, None, ())
        claimed = decide(replace(task, status=noted.status), now, step_in=False)
        assert [cover.time for cover in of(claimed, actions.CoverTick)] == [TICK]

    def test_what_starts_later_is_not_its_own_and_its_age_counts_from_there(self) -> None:
        task = seen_task(spread_seconds=30)
        start = TICK + spread_offset(task.uid, 30)
        assert start > TICK
        (create,) = of(decide(task, start + timedelta(seconds=3), step_in=False), actions.CreateJob)
        assert create.candidate is not None
        assert (create.tick, create.candidate.since) == (TICK, start)


class TestAheadOfOurClock:
    """The controller's clock is ahead, or it has started on the minute what was to start later."""

    @pytest.mark.parametrize("spec", [{}, {"spread_seconds": 50}], ids=["its clock", "the spread"])
    def test_a_tick_whose_job_stands_is_decided_before_its_time(self, spec: dict[str, Any]) -> None:
        # Recorded and deleted before its time it would run once more.
        found = decide(seen_task(**spec), at("10:04:57"), jobs=[make_job("c", tick=TICK)], fired=TICK)
        assert (found.status.last_schedule_time, of(found, actions.CreateJob)) == (TICK, [])

    def test_but_not_over_one_that_is_open(self) -> None:
        found = decide(seen_task(), at("10:04:57"), jobs=[make_job("c", tick=TICK + MINUTE)])
        assert found.status.last_schedule_time == BEFORE


class TestSuspended:
    def test_waiting_scheduled_runs_are_withdrawn_and_nothing_else(self) -> None:
        waiting = made(BEFORE, suspended=True)
        jobs = [
            waiting,
            made(at("10:03:00")),
            made(at("10:02:00"), suspended=True, stop=STOP),
            make_job("manual", request_key="k", suspended=True),
        ]
        found = decide(seen_task(suspend=True), TICK, jobs=jobs)
        assert [stop.job_uid for stop in of(found, actions.StopExecution)] == [waiting.uid]
        assert of(found, actions.StopExecution)[0].stop.reason is StopReason.SUSPENDED
        assert (of(found, actions.CreateJob), found.reserve, found.wake_at) == ([], None, None)
        (cover,) = of(found, actions.CoverTick)
        assert [name for name, _ in cover.active] == ["nightly-copy-1004", "nightly-copy-1003", "nightly-copy-1002"]


class TestSingleTicks:
    @pytest.mark.parametrize("type_", [ScheduleType.DATE, ScheduleType.ONCE])
    def test_a_date_is_complete_when_its_job_stands(self, type_: ScheduleType) -> None:
        task = seen_task(type_, "2026-03-02T10:05:00Z")
        before = decide(task, TICK - timedelta(seconds=1))
        assert (before.actions, before.wake_at) == ((), TICK)
        first = decide(task, TICK)
        assert [create.tick for create in of(first, actions.CreateJob)] == [TICK]
        assert first.status.completion_time is None
        second = decide(task, at("10:05:01"), jobs=[made(TICK, stepped_in=False)])
        assert second.status.completion_time == at("10:05:01")
        assert decide(replace(task, status=second.status), at("11:00:00")).actions == ()

    def test_a_date_whose_run_waits_for_its_turn_goes_on_waiting(self) -> None:
        task = seen_task(ScheduleType.DATE, "2026-03-02T10:05:00Z", status={"completion_time": TICK})
        waits = made(TICK, stepped_in=False, suspended=True)
        assert decide(task, at("10:06:00"), jobs=[waits]).actions == ()

    def test_a_date_that_comes_too_late_is_complete_without_a_run(self) -> None:
        task = seen_task(ScheduleType.DATE, "2026-03-02T10:05:00Z", starting_deadline_seconds=60)
        found = decide(task, at("10:30:00"))
        assert skipped(found) == [(TICK, "StartingDeadlineExceeded")]
        assert found.status.completion_time == at("10:30:00")


class TestCover:
    def test_what_has_ended_or_goes_is_not_active(self) -> None:
        jobs = [made(at("10:01:00"), complete_time=BEFORE), made(at("10:02:00"), deletion_time=BEFORE), made(BEFORE)]
        (cover,) = of(decide(seen_task(), at("10:04:10"), jobs=jobs, fired=at("10:03:00")), actions.CoverTick)
        assert [name for name, _ in cover.active] == ["nightly-copy-1004"]

    def test_what_the_controller_has_listed_stays_listed(self) -> None:
        cronjob = make_cronjob(last_schedule_time=BEFORE, active=(("runs", "uid-runs"),))
        (cover,) = of(decide(seen_task(), at("10:04:10"), jobs=[made(BEFORE)], cronjob=cronjob), actions.CoverTick)
        assert [name for name, _ in cover.active] == ["runs", "nightly-copy-1004"]

    def test_what_is_covered_is_not_written_again(self) -> None:
        job = made(BEFORE)
        cronjob = make_cronjob(last_schedule_time=BEFORE, active=((job.name, job.uid),))
        assert decide(seen_task(), at("10:04:10"), jobs=[job], cronjob=cronjob).actions == ()

    def test_the_controllers_own_job_is_covered_if_its_write_failed(self) -> None:
        job = make_job("c", tick=BEFORE, has_finalizer=True)
        (cover,) = of(decide(seen_task(), at("10:04:10"), jobs=[job], fired=None), actions.CoverTick)
        assert (cover.time, cover.active) == (BEFORE, (("c", "uid-c"),))
        assert decide(seen_task(), at("10:04:10"), jobs=[job]).actions == ()
        young = replace(job, has_finalizer=False)
        assert decide(seen_task(), at("10:04:10"), jobs=[young], fired=None).actions == (), (
            "it may be about to write it"
        )

    def test_jobs_of_an_earlier_cronjob_are_not_of_this_one(self) -> None:
        assert decide(seen_task(), at("10:04:10"), jobs=[made(BEFORE, owner_uid="old")], fired=BEFORE).actions == ()


@pytest.mark.parametrize("step_in", [True, False])
def test_the_next_tick_is_the_one_that_the_controller_counts_to(step_in: bool) -> None:
    """From its own last one, also while our status does not hold that yet. On Lord Howe Island clocks change by half an
    hour, where robfig/cron finds another day from midnight than from any time after the change."""
    midnight, day_before = (datetime(2026, 4, day, 13, tzinfo=UTC) for day in (4, 3))
    task = seen_task(schedule="0 0 * * *", time_zone="Australia/Lord_Howe", status={"last_schedule_time": day_before})
    decision = decide(task, datetime(2026, 4, 4, 15, 30, tzinfo=UTC), fired=midnight, step_in=step_in)
    assert decision.next_start == datetime(2026, 4, 6, 13, 30, tzinfo=UTC)
