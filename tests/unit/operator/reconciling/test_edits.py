"""What an edit does to a task that waits, runs, is between two ticks, or was edited while nobody looked.

The rows of the table in docs/launching.md. An edit and a resume fire nothing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from cronwright_core.domain.cluster import CronJobFacts, StopReason
from cronwright_core.domain.project import ContainerTemplate
from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.domain.task import Overrides, Request, ScheduledTask
from cronwright_core.domain.ticks import spread_offset
from cronwright_operator.reconciling import actions
from cronwright_operator.reconciling.ticks import HANDS_OFF
from support.builders import CREATED, MINUTE, at, make_cronjob, make_job, make_project, make_task, settled
from support.decisions import decide, made, of, ready, status_of

HOURLY = "0 * * * *"
INTERVAL = {"schedule_type": ScheduleType.INTERVAL, "schedule": "90"}


def running(task: ScheduledTask, **status: Any) -> ScheduledTask:
    """The task as it was, accepted and settled."""
    return replace(task, status=settled(task, **status))


def edited(task: ScheduledTask, **spec: Any) -> ScheduledTask:
    """The same task after an edit that the operator has not seen yet."""
    return replace(task, generation=task.generation + 1, spec=replace(task.spec, **spec))


def after(task: ScheduledTask, decision: actions.Decision) -> ScheduledTask:
    """The task once the decision's status is written."""
    return replace(task, status=status_of(decision)) if of(decision, actions.WriteStatus) else task


def skips(decision: actions.Decision) -> list[tuple[str, str]]:
    return [(skip.tick.strftime("%H:%M"), skip.reason) for skip in of(decision, actions.RecordSkipped)]


def checked(decision: actions.Decision) -> list[datetime]:
    """Of which ticks the API server is asked; nothing is decided before it has answered."""
    assert not of(decision, actions.WriteStatus)
    return [check.tick for check in of(decision, actions.CheckTick)]


def moved(decision: actions.Decision, cronjob: CronJobFacts) -> CronJobFacts:
    """The CronJob once the decision is carried out."""
    for action in decision.actions:
        match action:
            case actions.MoveCronJobWatermark(time=time) | actions.CoverTick(time=time):
                cronjob = replace(cronjob, last_schedule_time=time)
            case actions.UpdateCronJob(patch=patch):
                spec = patch["spec"]
                cronjob = replace(
                    cronjob,
                    suspend=spec["suspend"],
                    schedule=spec.get("schedule", cronjob.schedule),
                    spec_hash=patch["metadata"]["annotations"]["cronwright.dev/spec-hash"],
                )
    return cronjob


class TestPauseAndResume:
    def test_a_pause_ends_the_scheduled_runs_that_wait_and_nothing_else(self) -> None:
        jobs = [
            make_job("runs", tick=at("10:00:00"), has_finalizer=True),
            make_job("waits", tick=at("10:01:00"), has_finalizer=True, suspended=True),
            make_job("by-hand", request_key="k", has_finalizer=True, suspended=True),
        ]
        task = edited(running(make_task(), last_schedule_time=at("10:01:00")), suspend=True)
        decision = decide(task, now="10:01:10", jobs=jobs, cronjob=make_cronjob(last_schedule_time=at("10:01:00")))
        (stop,) = of(decision, actions.StopExecution)
        assert (stop.job_uid, stop.stop.reason) == ("uid-waits", StopReason.SUSPENDED)
        assert of(decision, actions.UpdateCronJob)[0].patch["spec"]["suspend"] is True
        assert decision.reserve is None, "a slot that was held is given back"
        assert skips(decision) == []

    @pytest.mark.parametrize(
        ("type_", "schedule", "next_"),
        [
            (ScheduleType.CRON, "* * * * *", "10:31:00"),
            (ScheduleType.INTERVAL, "60", "10:31:10"),
            (ScheduleType.DATE, "2026-03-02T11:00:00Z", "11:00:00"),
        ],
    )
    def test_a_resume_fires_nothing_and_goes_on_from_there(
        self, type_: ScheduleType, schedule: str, next_: str
    ) -> None:
        task = edited(running(make_task(type_, schedule, suspend=True)), suspend=False)
        decision = decide(task, now="10:30:10", cronjob=make_cronjob(suspend=True))
        assert (of(decision, actions.CreateJob), skips(decision)) == ([], [])
        assert status_of(decision).next_schedule_time == at(next_)

    def test_a_date_that_waits_when_it_is_paused_does_not_come_again(self) -> None:
        task = running(
            make_task(ScheduleType.DATE, "2026-03-02T10:00:00Z"),
            last_schedule_time=at("10:00:00"),
            completion_time=at("10:00:00"),
        )
        waiting = make_job("waits", tick=at("10:00:00"), has_finalizer=True, suspended=True)
        paused = edited(task, suspend=True)
        decision = decide(paused, now="10:05:00", jobs=[waiting])
        assert [stop.job_uid for stop in of(decision, actions.StopExecution)] == ["uid-waits"]
        resumed = edited(after(paused, decision), suspend=False)
        assert not of(decide(resumed, now="10:06:00"), actions.CreateJob)


class TestBetweenTwoTicks:
    @pytest.mark.parametrize("back", [{"suspend": True}, {"schedule": HOURLY}])
    def test_a_claimed_tick_that_is_edited_away_and_back_runs_once(self, back: dict[str, Any]) -> None:
        # 10:01 has been taken from the controller; seven seconds before, the task is edited, and edited back.
        task = running(make_task(), last_schedule_time=at("10:00:00"), claimed_time=at("10:01:00"))
        cronjob = make_cronjob(last_schedule_time=at("10:01:00"))
        away = edited(task, **back)
        decision = decide(away, now="10:00:53", cronjob=cronjob)
        assert not of(decision, actions.CreateJob)
        again = edited(after(away, decision), suspend=False, schedule="* * * * *")
        cronjob = moved(decision, cronjob)
        decision = decide(again, now="10:00:55", cronjob=cronjob)
        assert (of(decision, actions.CreateJob), decision.wake_at) == ([], at("10:01:00"))
        due = after(again, decision)
        decision = decide(due, now="10:01:00", cronjob=moved(decision, cronjob))
        (create,) = of(decision, actions.CreateJob)
        assert create.tick == at("10:01:00")
        assert not of(decide(due, now="10:01:01", cronjob=cronjob, jobs=made(decision)), actions.CreateJob)

    def test_a_tick_that_was_decided_early_does_not_come_again_after_a_pause(self) -> None:
        # The controller's clock is ahead of ours: 10:01 has run, and its Job may be recorded and gone.
        task = running(make_task(), last_schedule_time=at("10:01:00"))
        paused = edited(task, suspend=True)
        decision = decide(paused, now="10:00:56", cronjob=make_cronjob(last_schedule_time=at("10:01:00")))
        resumed = edited(after(paused, decision), suspend=False)
        decision = decide(resumed, now="10:00:58", cronjob=make_cronjob(last_schedule_time=at("10:01:00")))
        assert status_of(decision).last_schedule_time == at("10:01:00")
        assert status_of(decision).next_schedule_time == at("10:02:00")

    def test_an_edit_never_moves_the_cronjobs_time_back(self) -> None:
        task = running(make_task(), last_schedule_time=at("10:00:00"), claimed_time=at("10:01:00"))
        ahead = make_cronjob(last_schedule_time=at("10:01:00"))
        decision = decide(edited(task, schedule=HOURLY), now="10:00:53", cronjob=ahead)
        assert not of(decision, actions.MoveCronJobWatermark)
        assert len(of(decision, actions.UpdateCronJob)) == 1

    def test_an_edit_gives_back_the_slot_of_a_tick_that_does_not_come(self) -> None:
        task = running(make_task(), last_schedule_time=at("10:00:00"))
        cronjob = make_cronjob(last_schedule_time=at("10:00:00"))
        assert decide(task, now="10:00:53", cronjob=cronjob).reserve == at("10:01:00")
        decision = decide(
            edited(task, schedule=HOURLY), now="10:00:54", cronjob=cronjob, reserved=at("10:01:00"), room=True
        )
        assert (decision.reserve, of(decision, actions.CreateJob)) == (None, [])

    @pytest.mark.parametrize(
        "change",
        [
            {"display_name": "another name"},
            {"description": "words"},
            {"timeout_seconds": 7},
            {"priority": 5},
            {"max_instances": 2},
            {"overrides": Overrides(args=("new",))},
        ],
    )
    def test_what_is_not_the_schedule_moves_no_watermark(self, change: dict[str, Any]) -> None:
        task = running(make_task(), last_schedule_time=at("10:00:00"))
        first = decide(task)
        stands = of(first, actions.CreateCronJob)[0].manifest["metadata"]["annotations"]["cronwright.dev/spec-hash"]
        cronjob = make_cronjob(spec_hash=stands, last_schedule_time=at("10:00:00"))
        decision = decide(edited(task, **change), cronjob=cronjob)
        assert not of(decision, actions.MoveCronJobWatermark)
        assert not of(decision, actions.CreateJob)
        assert status_of(decision).last_schedule_time == at("10:00:00")
        assert status_of(decision).next_schedule_time == at("10:01:00")

    def test_a_projects_new_program_is_that_of_later_runs(self) -> None:
        task = running(make_task(), last_schedule_time=at("10:00:00"))
        cronjob = make_cronjob(spec_hash="as it was", last_schedule_time=at("10:00:00"))
        project = make_project(container=ContainerTemplate(image="busybox:2"))
        job = make_job("runs", tick=at("10:00:00"), has_finalizer=True)
        decision = decide(task, cronjob=cronjob, project=project, jobs=[job])
        (update,) = of(decision, actions.UpdateCronJob)
        assert update.patch["spec"]["$patch"] == "replace", "what is taken away goes"
        template = update.patch["spec"]["jobTemplate"]["spec"]["template"]
        assert template["spec"]["containers"][0]["image"] == "busybox:2"
        kinds = {type(action) for action in decision.actions}
        assert kinds == {actions.UpdateCronJob, actions.WriteStatus}, "what runs is left alone, and nothing fires"


class TestChangeOfType:
    def test_there_and_back_fires_nothing(self) -> None:
        task = running(make_task(), last_schedule_time=at("10:00:00"))
        cronjob = make_cronjob(last_schedule_time=at("10:00:00"))
        interval = edited(task, schedule_type=ScheduleType.INTERVAL, schedule="90")
        decision = decide(interval, now="10:00:40", cronjob=cronjob)
        assert not of(decision, actions.CreateJob)
        assert decision.wake_at == at("10:02:10"), "the grid begins at the change"
        cronjob = moved(decision, cronjob)
        assert cronjob.suspend, "kept, as its Jobs and their output hang on it"
        back = edited(after(interval, decision), schedule_type=ScheduleType.CRON, schedule="* * * * *")
        decision = decide(back, now="10:05:20", cronjob=cronjob)
        kinds = [type(action) for action in decision.actions]
        assert kinds.index(actions.MoveCronJobWatermark) < kinds.index(actions.UpdateCronJob)
        assert (of(decision, actions.CreateJob), skips(decision)) == ([], [])
        assert status_of(decision).next_schedule_time == at("10:06:00")

    def test_what_waits_of_the_old_type_stays(self) -> None:
        task = running(make_task(), last_schedule_time=at("10:00:00"))
        waiting = make_job("waits", tick=at("10:00:00"), has_finalizer=True, suspended=True)
        decision = decide(edited(task, schedule_type=ScheduleType.INTERVAL, schedule="90"), jobs=[waiting])
        assert not of(decision, actions.StopExecution)
        assert [run.status for run in status_of(decision).active] == ["PENDING"]

    def test_from_interval_to_cron_makes_a_new_cronjob(self) -> None:
        task = running(make_task(ScheduleType.INTERVAL, "60"), last_schedule_time=at("10:00:30"))
        decision = decide(edited(task, schedule_type=ScheduleType.CRON, schedule=HOURLY), now="10:05:00")
        assert len(of(decision, actions.CreateCronJob)) == 1
        assert not of(decision, actions.CreateJob)


class TestWhileTheOperatorWasAway:
    jobs = tuple(
        make_job(f"nightly-copy-{n}", tick=at("10:00:00") + n * MINUTE, creation_time=at("10:00:00") + n * MINUTE)
        for n in (1, 2, 3)
    )

    @pytest.mark.parametrize("edit", [{"suspend": True}, {"schedule": HOURLY}, {"time_zone": "Asia/Shanghai"}])
    def test_what_kubernetes_ran_meanwhile_are_runs_and_nothing_more_fires(self, edit: dict[str, Any]) -> None:
        # The CronJob went on as it stood: nobody was there to carry the edit out.
        task = edited(running(make_task(), last_schedule_time=at("10:00:00")), **edit)
        decision = decide(task, now="10:03:30", jobs=self.jobs, cronjob=make_cronjob(last_schedule_time=at("10:03:00")))
        assert [action.job for action in of(decision, actions.AcceptJob)] == list(self.jobs)
        assert (of(decision, actions.DeleteJob), of(decision, actions.CreateJob), skips(decision)) == ([], [], [])
        assert status_of(decision).last_schedule_time == at("10:03:30")

    def test_a_pause_tells_of_the_ticks_that_nobody_ran(self) -> None:
        # The whole cluster was away; the controller has run the last one only.
        task = edited(running(make_task(), last_schedule_time=at("10:00:00")), suspend=True)
        cronjob = make_cronjob(last_schedule_time=at("10:10:00"))
        job = make_job("nightly-copy-10", tick=at("10:10:00"), creation_time=at("10:10:00"))
        decision = decide(task, now="10:10:30", jobs=[job], cronjob=cronjob)
        # The Jobs of the last minutes may only not have come to our eyes yet: the API server is asked.
        last = checked(decision)
        assert (last, skips(decision)) == ([at(f"10:0{n}:00") for n in range(6, 10)], [])
        decision = decide(
            task, now="10:10:31", jobs=[job], cronjob=moved(decision, cronjob), gone_ticks=frozenset(last)
        )
        assert skips(decision) == [(f"10:0{n}", "Suspended") for n in range(1, 10)]

    def test_another_schedule_tells_of_the_ticks_that_nobody_ran(self) -> None:
        task = edited(running(make_task(), last_schedule_time=at("10:00:00")), schedule=HOURLY)
        cronjob = make_cronjob(last_schedule_time=at("10:08:00"))
        gone = frozenset(at(f"10:0{n}:00") for n in (5, 7, 8, 9))
        job = make_job("nightly-copy-6", tick=at("10:06:00"), creation_time=at("10:06:00"))
        decision = decide(task, now="10:09:30", jobs=[job], cronjob=cronjob, gone_ticks=gone)
        assert [(time, reason) for time, reason in skips(decision) if time >= "10:05"] == [
            ("10:05", "Rescheduled"),
            ("10:07", "Rescheduled"),
            ("10:08", "Deleted"),
            ("10:09", "Rescheduled"),
        ]

    def test_a_line_that_is_the_new_one_already_tells_of_no_old_ticks(self) -> None:
        # A predecessor ended after it had written the CronJob and before it had written the task's status.
        task = edited(running(make_task(), last_schedule_time=at("08:00:00")), schedule=HOURLY)
        cronjob = make_cronjob(schedule=HOURLY, last_schedule_time=at("09:59:50"))
        decision = decide(task, now="10:00:10", cronjob=cronjob)
        assert (skips(decision), of(decision, actions.CheckTick)) == ([], [])

    @pytest.mark.parametrize(("decided", "told"), [("08:00:00", ["09:30", "10:00"]), ("09:45:00", ["10:00"])])
    def test_a_line_that_nobody_knows_is_not_counted_from_before_it_was_in_force(
        self, decided: str, told: list[str]
    ) -> None:
        # The same, and then the task was edited once more.
        task = edited(running(make_task(schedule=HOURLY), last_schedule_time=at(decided)), schedule="7 * * * *")
        cronjob = make_cronjob(schedule="*/30 * * * *", last_schedule_time=at("09:15:10"))
        decision = decide(task, now="10:06:00", cronjob=cronjob)
        assert skips(decision) == [(time, "Rescheduled") for time in told]

    def test_the_old_line_is_read_in_its_own_zone(self) -> None:
        cronjob = make_cronjob(schedule="0 18 * * *", time_zone="Asia/Shanghai", last_schedule_time=at("09:59:30"))
        task = edited(running(make_task(schedule="0 18 * * *", time_zone="Asia/Shanghai")), schedule="30 20 * * *")
        assert skips(decide(task, now="10:06:00", cronjob=cronjob)) == [("10:00", "Rescheduled")]

    def test_a_pause_and_a_resume_that_nobody_saw_are_none(self) -> None:
        task = running(make_task(ScheduleType.INTERVAL, "60"), last_schedule_time=at("10:00:30"))
        task = replace(task, generation=task.generation + 2)
        decision = decide(task, now="10:03:00")
        assert [create.tick for create in of(decision, actions.CreateJob)] == [at("10:02:30")]


class TestOpenTicks:
    """A tick is due and has no Job: the controller, which has the clock, is late, or the API server did not answer."""

    task = running(make_task(), last_schedule_time=at("09:59:00"))
    cronjob = make_cronjob(last_schedule_time=at("09:59:00"))

    @pytest.mark.parametrize("step_in", [True, False])
    @pytest.mark.parametrize(
        ("edit", "reason"),
        [({"suspend": True}, "Suspended"), ({"schedule": HOURLY}, "Rescheduled"), (INTERVAL, "Rescheduled")],
    )
    def test_an_edit_tells_of_it_once_it_is_known_that_it_has_no_job(
        self, edit: dict[str, Any], reason: str, step_in: bool
    ) -> None:
        task = edited(self.task, **edit)
        asked = decide(task, now="10:01:10", cronjob=self.cronjob, step_in=step_in, reserved=at("10:01:00"))
        assert (checked(asked), asked.reserve) == ([at("10:00:00"), at("10:01:00")], None)
        assert asked.wake_at == at("10:01:10") + HANDS_OFF, "an answer that leads nowhere holds up no edit for ever"
        cronjob = moved(asked, self.cronjob)
        half = decide(task, now="10:01:10", cronjob=cronjob, step_in=step_in, gone_ticks=frozenset({at("10:00:00")}))
        assert checked(half) == [at("10:01:00")]
        # The other one's Job stood at the API server, and is seen now.
        job = make_job("nightly-copy-1", tick=at("10:01:00"), creation_time=at("10:01:09"))
        decision = decide(
            task, now="10:01:11", cronjob=cronjob, step_in=step_in, jobs=[job], gone_ticks=frozenset({at("10:00:00")})
        )
        assert skips(decision) == [("10:00", reason)]
        assert status_of(decision).last_schedule_time == at("10:01:11")
        assert [accept.job for accept in of(decision, actions.AcceptJob)] == [job]

    def test_one_that_was_noted_and_not_yet_taken_from_the_controller_is_asked_for_too(self) -> None:
        task = running(make_task(), last_schedule_time=at("09:59:00"), claimed_time=at("10:00:00"))
        for edit in ({"suspend": True}, {"schedule": HOURLY}):
            decision = decide(edited(task, **edit), now="10:00:10", cronjob=self.cronjob)
            assert checked(decision) == [at("10:00:00")]

    def test_a_pause_suspends_the_cronjob_before_it_asks(self) -> None:
        kinds = [type(action) for action in decide(edited(self.task, suspend=True), cronjob=self.cronjob).actions]
        assert kinds == [actions.UpdateCronJob, actions.CheckTick]

    def test_another_schedule_is_asked_for_while_the_cronjob_still_has_the_old_one(self) -> None:
        kinds = [type(action) for action in decide(edited(self.task, schedule=HOURLY), cronjob=self.cronjob).actions]
        assert kinds == [actions.CheckTick]

    def test_what_the_controller_has_made_is_accepted_before_the_answer(self) -> None:
        job = make_job("nightly-copy-1", tick=at("10:01:00"), creation_time=at("10:01:00"))
        for edit in ({"suspend": True}, {"schedule": HOURLY}):
            decision = decide(edited(self.task, **edit), now="10:01:10", cronjob=self.cronjob, jobs=[job])
            assert [accept.job for accept in of(decision, actions.AcceptJob)] == [job]
            assert checked(decision) == [at("10:00:00")]

    def test_a_pause_that_is_taken_back_meanwhile_drops_nothing(self) -> None:
        task = edited(edited(self.task, suspend=True), suspend=False)
        decision = decide(task, now="10:00:12", cronjob=self.cronjob, gone_ticks=frozenset({at("10:00:00")}))
        assert [create.tick for create in of(decision, actions.CreateJob)] == [at("10:00:00")]

    def test_without_a_cronjob_it_is_asked_for_by_its_name(self) -> None:
        (check,) = of(decide(edited(self.task, suspend=True), cronjob=None), actions.CheckTick)
        assert check.name.startswith("nightly-copy-")


class TestWhatCannotRun:
    def test_what_nobody_ran_before_the_controllers_last_run_is_told(self) -> None:
        # The operator was away; the controller ran 10:00 and 12:00, and the Project has gone meanwhile.
        task = running(make_task(schedule=HOURLY), last_schedule_time=CREATED)
        jobs = [
            make_job(f"nightly-copy-{clock}", tick=at(clock), creation_time=at(clock))
            for clock in ("10:00:00", "12:00:00")
        ]
        cronjob = make_cronjob(schedule=HOURLY, last_schedule_time=at("12:00:00"))
        decision = decide(task, now="12:30:00", project=None, jobs=jobs, cronjob=cronjob)
        assert skips(decision) == [("11:00", "MissedSchedule")]
        assert status_of(decision).last_schedule_time == at("12:00:00")
        accepted = [replace(job, has_finalizer=True, execution_id="e") for job in jobs]
        again = decide(after(task, decision), now="12:31:00", project=None, jobs=accepted, cronjob=cronjob)
        assert skips(again) == []
        # Of a schedule that was edited meanwhile nobody knows.
        other = edited(task, schedule="30 * * * *")
        assert skips(decide(other, now="12:30:00", project=None, jobs=jobs, cronjob=cronjob)) == []

    @pytest.mark.parametrize(
        ("type_", "schedule", "rows"),
        [
            (ScheduleType.CRON, "*/20 * * * *", ["10:20", "10:40"]),
            (ScheduleType.INTERVAL, "1200", ["10:02", "10:22", "10:42"]),
            (ScheduleType.DATE, "2026-03-02T10:30:00Z", ["10:30"]),
        ],
    )
    def test_what_came_due_meanwhile_is_told_and_not_made_up_for(
        self, type_: ScheduleType, schedule: str, rows: list[str]
    ) -> None:
        task = running(make_task(type_, schedule), last_schedule_time=at("10:00:00"), anchor_time=at("09:42:00"))
        gone = decide(task, now="10:05:00", project=None, cronjob=make_cronjob(schedule=schedule))
        task = after(task, gone)
        assert decide(task, now="10:30:00", project=None, cronjob=make_cronjob(suspend=True)).actions == ()
        back = decide(task, now="10:50:00", cronjob=make_cronjob(suspend=True))
        assert not of(back, actions.CreateJob)
        assert skips(back) == [(time, "NotReady") for time in rows]
        assert ready(back)[0] is True
        again = decide(after(task, back), now="10:50:01", cronjob=make_cronjob(suspend=True))
        assert (of(again, actions.CreateJob), skips(again)) == ([], [])

    def test_of_many_one_row_says_how_many_and_why(self) -> None:
        task = running(make_task(), last_schedule_time=at("10:00:00"))
        task = after(task, decide(task, now="10:00:30", project=None))
        back = decide(task, now="12:00:30", cronjob=make_cronjob(suspend=True))
        summary = of(back, actions.RecordSkipped)[0]
        assert (summary.reason, summary.count) == ("NotReady", 19)
        assert summary.message.endswith("the task could not run then; its condition Ready said why")

    def test_of_a_line_that_was_wrong_nobody_knows_what_was_due(self) -> None:
        task = running(make_task(schedule="0 10 * * *"), last_schedule_time=CREATED)
        wrong = edited(task, schedule="0 25 * * *")
        wrong = after(wrong, decide(wrong, now="09:59:40"))
        decision = decide(edited(wrong, schedule="30 10 * * *"), now="11:00:00")
        assert (of(decision, actions.CreateJob), skips(decision)) == ([], [])

    def test_of_a_line_that_was_edited_meanwhile_nobody_knows_what_was_due(self) -> None:
        task = running(make_task(schedule=HOURLY), last_schedule_time=CREATED)
        task = after(task, decide(task, now="09:59:40", project=None))
        other = edited(task, schedule="*/20 * * * *")
        other = after(other, decide(other, now="10:30:00", project=None))
        back = decide(other, now="11:10:00")
        assert (of(back, actions.CreateJob), skips(back)) == ([], []), "10:20 was no tick then, and 10:00 is none now"

    def test_a_new_task_that_is_put_right_makes_up_for_nothing(self) -> None:
        wrong = make_task(schedule="0 25 * * *")
        wrong = after(wrong, decide(wrong))
        decision = decide(edited(wrong, schedule="0 10 * * *"), now="15:00:00")
        assert (of(decision, actions.CreateJob), skips(decision)) == ([], [])

    def test_a_new_task_whose_project_comes_later_tells_what_it_missed(self) -> None:
        task = make_task(schedule=HOURLY)
        task = after(task, decide(task, project=None))
        decision = decide(task, now="11:10:00")
        assert not of(decision, actions.CreateJob)
        assert skips(decision) == [("10:00", "NotReady"), ("11:00", "NotReady")]

    def test_a_once_runs_when_its_project_comes(self) -> None:
        task = make_task(ScheduleType.ONCE, "")
        task = after(task, decide(task, project=None))
        decision = decide(task, now="11:10:00")
        task = after(task, decision)
        (create,) = of(decide(task, now="11:10:01"), actions.CreateJob)
        assert create.tick == at("11:10:00")

    def test_a_date_that_lay_in_the_past_stays_refused(self) -> None:
        task = make_task(ScheduleType.DATE, "2026-03-02T09:00:00Z")
        for now in ("10:00:00", "10:05:00"):
            decision = decide(task, now=now)
            task = after(task, decision)
        assert task.status.conditions[0].reason == "InvalidSchedule"
        # One that was in time when it was set is not made wrong by a Project that came too late.
        task = make_task(ScheduleType.DATE, "2026-03-02T10:30:00Z")
        task = after(task, decide(task, project=None))
        decision = decide(task, now="11:00:00")
        assert (ready(decision)[0], skips(decision)) == (True, [("10:30", "NotReady")])

    def test_one_that_is_paused_too_is_paused_when_it_is_right_again(self) -> None:
        task = running(make_task(schedule=HOURLY, suspend=True), last_schedule_time=CREATED)
        task = after(task, decide(task, project=None, cronjob=make_cronjob(suspend=True)))
        decision = decide(task, now="12:30:00", cronjob=make_cronjob(suspend=True))
        assert (of(decision, actions.CreateJob), skips(decision)) == ([], [])
        resumed = edited(after(task, decision), suspend=False)
        assert skips(decide(resumed, now="13:30:00", cronjob=make_cronjob(suspend=True))) == []

    def test_one_that_was_paused_from_the_beginning_has_missed_nothing(self) -> None:
        task = make_task(schedule=HOURLY, suspend=True)
        task = after(task, decide(task, project=None))
        assert skips(decide(task, now="12:30:00")) == []

    def test_manual_runs_wait_until_it_can_run(self) -> None:
        task = running(replace(make_task(), triggers=(Request("k", "now"),)), last_schedule_time=at("10:00:00"))
        assert not of(decide(task, project=None), actions.CreateJob)
        assert len(of(decide(task), actions.CreateJob)) == 1


class TestWhatComesOnce:
    """A Date, and a Once without a time."""

    DATE = make_task(ScheduleType.DATE, "2026-03-02T10:30:00Z")

    def test_a_date_that_passed_while_it_was_suspended_is_not_told_as_run(self) -> None:
        paused = edited(running(self.DATE), suspend=True)
        resumed = edited(after(paused, decide(paused, now="10:00:00")), suspend=False)
        decision = decide(resumed, now="11:00:00")
        assert ready(decision) == (True, "Scheduled", "its time is over; no further run will come")

    def test_a_date_that_is_over_runs_again_at_another_date(self) -> None:
        over = running(self.DATE, last_schedule_time=at("10:30:00"), completion_time=at("10:30:00"))
        task = edited(over, schedule="2026-03-02T12:00:00Z")
        decision = decide(task, now="11:00:00")
        assert (ready(decision)[2], decision.wake_at) == ("runs are started at their times", at("12:00:00"))
        (create,) = of(decide(after(task, decision), now="12:00:00"), actions.CreateJob)
        assert create.tick == at("12:00:00")

    def test_a_date_that_is_changed_to_one_that_has_passed_is_refused(self) -> None:
        # It lies after the task's creation, and before the moment at which the change is seen.
        task = edited(running(self.DATE), schedule="2026-03-02T10:10:00Z")
        decision = decide(task, now="10:20:00")
        assert ready(decision)[:2] == (False, "InvalidSchedule")
        assert decide(after(task, decision), now="10:25:00").actions == (), "and stays so"
        in_time = decide(edited(running(self.DATE), schedule="2026-03-02T10:21:00Z"), now="10:20:00")
        assert (ready(in_time)[0], in_time.wake_at) == (True, at("10:21:00"))

    def test_a_date_that_was_accepted_is_not_judged_again(self) -> None:
        # Restored from a backup with its status, a task is younger than its date.
        over = running(self.DATE, last_schedule_time=at("10:30:00"), completion_time=at("10:30:00"))
        decision = decide(replace(over, creation_time=at("12:00:00")), now="12:00:10")
        assert ready(decision)[:2] == (True, "Scheduled")
        assert not of(decision, actions.CreateJob)

    def test_neither_is_one_that_was_skipped(self) -> None:
        decision = decide(running(edited(self.DATE, starting_deadline_seconds=60)), now="11:00:00")
        assert skips(decision) == [("10:30", "StartingDeadlineExceeded")]
        assert ready(decision)[2] == "its time is over; no further run will come"

    @pytest.mark.parametrize(
        ("type_", "schedule"), [(ScheduleType.DATE, "2026-03-02T10:30:00Z"), (ScheduleType.ONCE, "")]
    )
    def test_one_that_ran_is_told_so_also_when_its_job_is_gone(self, type_: ScheduleType, schedule: str) -> None:
        task = running(make_task(type_, schedule))
        (create,) = of(decide(task, now="10:30:00"), actions.CreateJob)
        job = make_job("once", tick=create.tick, has_finalizer=True, complete_time=at("10:31:00"))
        decision = decide(task, now="10:31:00", jobs=[job])
        assert ready(decision)[2] == "its run was started; no further run will come"
        task = after(task, decision)
        assert decide(task, now="12:00:00") == actions.Decision(), "what was told stays"

    def test_the_zone_means_nothing_to_a_once_without_a_time(self) -> None:
        once = running(make_task(ScheduleType.ONCE, ""), completion_time=at("10:00:00"), last_schedule_time=CREATED)
        moved_away = edited(once, time_zone="Asia/Shanghai")
        decision = decide(moved_away, now="11:00:00")
        assert not of(decide(after(moved_away, decision), now="11:00:01"), actions.CreateJob)
        # To one with a time it does.
        dated = running(make_task(ScheduleType.ONCE, "2026-03-02T19:00:00"), last_schedule_time=CREATED)
        decision = decide(edited(dated, time_zone="Asia/Shanghai"), now="10:30:00")
        assert status_of(decision).next_schedule_time == at("11:00:00")


class TestSpread:
    """A tick that waits for its share of the spread, 10:00 to be started later."""

    offset = spread_offset(make_task().uid, 3000)
    task = running(
        make_task(schedule=HOURLY, spread_seconds=3000), last_schedule_time=CREATED, claimed_time=at("10:00:00")
    )
    cronjob = make_cronjob(schedule=HOURLY, last_schedule_time=at("10:00:00"))

    def test_it_is_spread(self) -> None:
        assert self.offset > 2 * MINUTE
        decision = decide(self.task, now="10:00:30", cronjob=self.cronjob)
        assert (of(decision, actions.CreateJob), decision.wake_at) == ([], at("10:00:00") + self.offset)

    def test_without_a_spread_it_starts_at_once_and_once(self) -> None:
        task = edited(self.task, spread_seconds=0)
        decision = decide(task, now="10:00:30", cronjob=self.cronjob)
        (create,) = of(decision, actions.CreateJob)
        assert create.tick == at("10:00:00")
        then = decide(task, now="10:00:31", cronjob=self.cronjob, jobs=made(decision))
        assert not of(then, actions.CreateJob)
        assert status_of(then).next_schedule_time == at("11:00:00")

    def test_another_spread_starts_it_at_another_time(self) -> None:
        task = edited(self.task, spread_seconds=7200)
        decision = decide(task, now="10:00:30", cronjob=self.cronjob)
        assert not of(decision, actions.CreateJob)
        assert status_of(decision).next_schedule_time == at("10:00:00") + spread_offset(task.uid, 7200)

    @pytest.mark.parametrize(
        ("edit", "reason"),
        [({"suspend": True}, "Suspended"), ({"schedule": "30 * * * *"}, "Rescheduled")],
    )
    def test_a_pause_and_another_schedule_drop_it_and_say_so(self, edit: dict[str, Any], reason: str) -> None:
        decision = decide(edited(self.task, **edit), now="10:00:30", cronjob=self.cronjob)
        assert not of(decision, actions.CreateJob)
        assert skips(decision) == [("10:00", reason)]

    def test_a_once_that_runs_in_the_second_of_the_dropped_tick_is_not_told_as_dropped(self) -> None:
        once = edited(self.task, schedule_type=ScheduleType.ONCE, schedule="")
        assert skips(decide(once, now="10:00:00", cronjob=self.cronjob)) == []
        assert skips(decide(once, now="10:00:01", cronjob=self.cronjob)) == [("10:00", "Rescheduled")]
        interval = edited(self.task, **INTERVAL)  # its grid begins then, and its first run comes later
        assert skips(decide(interval, now="10:00:00", cronjob=self.cronjob)) == [("10:00", "Rescheduled")]

    @pytest.mark.parametrize(
        ("edit", "reason"),
        [({"suspend": True}, "Suspended"), ({"schedule": "*/7 * * * *"}, "Rescheduled"), (INTERVAL, "Rescheduled")],
    )
    def test_several_that_wait_at_once_are_all_told(self, edit: dict[str, Any], reason: str) -> None:
        spread = next(n for n in range(200, 4000) if spread_offset(make_task().uid, n) == 4 * MINUTE)
        task = running(make_task(spread_seconds=spread), last_schedule_time=at("10:00:00"), claimed_time=at("10:03:00"))
        cronjob = make_cronjob(last_schedule_time=at("10:03:00"))
        task = edited(task, **edit)
        asked = checked(decide(task, now="10:03:05", cronjob=cronjob))
        decision = decide(task, now="10:03:06", cronjob=cronjob, gone_ticks=frozenset(asked))
        assert skips(decision) == [("10:01", reason), ("10:02", reason), ("10:03", reason)]

    @pytest.mark.parametrize(
        ("type_", "schedule"), [(ScheduleType.INTERVAL, "3600"), (ScheduleType.DATE, "2026-03-02T10:59:30Z")]
    )
    @pytest.mark.parametrize(
        ("edit", "reason"), [({"suspend": True}, "Suspended"), ({"schedule": "7200", **INTERVAL}, "Rescheduled")]
    )
    def test_one_of_another_type_is_told_as_well(
        self, type_: ScheduleType, schedule: str, edit: dict[str, Any], reason: str
    ) -> None:
        assert self.offset > 2 * MINUTE
        task = running(make_task(type_, schedule, spread_seconds=3000))
        task = after(task, decide(task, now="10:00:00"))
        assert task.status.claimed_time == at("10:59:30")
        assert skips(decide(edited(task, **edit), now="10:59:29")) == [], "its time has not come"
        decision = decide(edited(task, **edit), now="11:00:00")
        assert skips(decision) == [("10:59", reason)]
        assert not of(decision, actions.CreateJob)

    def test_what_was_noted_of_another_type_is_no_claim(self) -> None:
        task = running(make_task(ScheduleType.INTERVAL, "3600", spread_seconds=3000), claimed_time=at("10:59:30"))
        cron = edited(task, schedule_type=ScheduleType.CRON, schedule="59 * * * *")
        decision = decide(cron, now="10:00:30", cronjob=make_cronjob(suspend=True, last_schedule_time=at("09:00:00")))
        assert status_of(decision).claimed_time is None

    def test_one_that_has_started_is_not_told_as_dropped(self) -> None:
        job = make_job("nightly-copy-0", tick=at("10:00:00"), has_finalizer=True)
        for edit in ({"suspend": True}, {"schedule": "30 * * * *"}):
            decision = decide(edited(self.task, **edit), now="10:40:00", cronjob=self.cronjob, jobs=[job])
            assert skips(decision) == []
        # Its Job may be recorded and gone.
        ran = running(self.task, last_schedule_time=at("10:00:00"), claimed_time=at("10:00:00"))
        assert skips(decide(edited(ran, **INTERVAL), now="10:40:00", cronjob=self.cronjob)) == []


def test_a_task_that_is_being_deleted_fires_no_more_and_all_that_it_has_ends() -> None:
    # Somebody's finalizer keeps it, maybe for ever.
    jobs = [
        make_job("waits", tick=at("10:00:00"), has_finalizer=True, suspended=True),
        make_job("controllers", tick=at("10:01:00")),
        make_job("ended", tick=at("09:58:00"), has_finalizer=True, complete_time=at("09:59:00")),
        make_job("going", tick=at("09:59:00"), deletion_time=at("10:01:00")),
    ]
    cronjob = make_cronjob()
    decision = decide(make_task(deleting=True), now="10:01:10", jobs=jobs, cronjob=cronjob)
    assert isinstance(decision.actions[0], actions.UpdateCronJob), "before a further Job comes"
    assert moved(decision, cronjob).suspend
    assert [accept.job.name for accept in of(decision, actions.AcceptJob)] == ["controllers"], "it is recorded"
    stops = [(stop.job_uid, stop.stop.reason) for stop in of(decision, actions.StopExecution)]
    assert stops == [("uid-controllers", StopReason.TASK_DELETED), ("uid-waits", StopReason.TASK_DELETED)]
    stopped = [replace(job, stop=of(decision, actions.StopExecution)[0].stop, has_finalizer=True) for job in jobs]
    assert decide(make_task(deleting=True), jobs=stopped, cronjob=moved(decision, cronjob)) == actions.Decision()


def test_one_of_the_same_name_begins_anew() -> None:
    # Deleted and made again in the same minute: a tick before its own creation is none of its.
    task = replace(make_task(), uid="another-uid", creation_time=at("10:00:20"))
    decision = decide(task, now="10:00:21")
    old = decide(make_task(), now="10:00:21")
    names = [of(each, actions.CreateCronJob)[0].manifest["metadata"]["name"] for each in (decision, old)]
    assert names[0] != names[1], "the old CronJob may still stand"
    assert not of(decision, actions.CreateJob)
    assert status_of(decision).next_schedule_time == at("10:01:00")
