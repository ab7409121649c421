"""What the operator decides, as lists of actions: no cluster, no clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.domain.project import ContainerTemplate, Project
from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.domain.task import Overrides, Request, ScheduledTask
from cronwright_core.kube.workloads import to_job
from cronwright_operator.reconciling import actions
from cronwright_operator.reconciling.manifests import build_cronjob
from cronwright_operator.reconciling.observed import Registration, execution_id_of
from cronwright_operator.reconciling.reconcile import schedule_hash
from support.builders import CREATED, MINUTE, at, make_cronjob, make_job, make_project, make_task, settled
from support.decisions import as_stored, decide, made, of, ready, status_of

HASH = "cronwright.dev/spec-hash"


class TestCron:
    def test_new_task_gets_a_live_cronjob_with_its_zone(self) -> None:
        decision = decide(make_task(time_zone="Asia/Shanghai", schedule="0 9 * * 7"))
        (create,) = of(decision, actions.CreateCronJob)
        spec = create.manifest["spec"]
        assert (spec["schedule"], spec["timeZone"], spec["suspend"]) == ("0 9 * * 0", "Asia/Shanghai", False)
        assert spec["concurrencyPolicy"] == "Forbid"
        assert "startingDeadlineSeconds" not in spec
        assert not of(decision, actions.CreateJob), "nothing is due"
        assert ready(decision)[:2] == (True, "Scheduled")

    def test_one_that_is_being_deleted_is_left_alone_until_it_can_be_made_again(self) -> None:
        for project in (make_project(), None):
            decision = decide(make_task(), cronjob=make_cronjob(deleting=True), project=project)
            assert [type(action) for action in decision.actions] == [actions.WriteStatus]

    def test_one_that_is_made_again_fires_nothing_before_it_knows_what_was_decided(self) -> None:
        task = make_task()
        task = replace(task, status=settled(task, last_schedule_time=at("10:01:00")))
        # By our clock, which may be ahead of the controller's: to that the tick may yet come.
        again = decide(task, now="10:01:30")
        (create,) = of(again, actions.CreateCronJob)
        assert create.manifest["spec"]["suspend"] is True
        stands = make_cronjob(suspend=True, spec_hash=create.manifest["metadata"]["annotations"][HASH])
        (moved, let_go, *_) = decide(task, now="10:01:31", cronjob=stands).actions
        assert isinstance(moved, actions.MoveCronJobWatermark), "status before spec"
        assert moved.time == at("10:01:31")
        assert isinstance(let_go, actions.UpdateCronJob)
        assert let_go.patch["spec"]["suspend"] is False

    def test_nothing_to_do_is_nothing_done(self) -> None:
        task = make_task()
        task = replace(task, status=settled(task, last_schedule_time=at("10:00:00")))
        first = decide(task)
        spec_hash = of(first, actions.CreateCronJob)[0].manifest["metadata"]["annotations"][HASH]
        task = replace(task, status=status_of(first))
        again = decide(task, cronjob=make_cronjob(spec_hash=spec_hash, last_schedule_time=at("10:00:00")))
        assert again.actions == ()
        assert again.wake_at == at("10:00:50"), "ten seconds before the tick it is settled whose it is"

    def test_another_priority_class_is_written_once(self) -> None:
        task = make_task()
        (create,) = of(decide(task, priority_class="normal"), actions.CreateCronJob)
        cronjob = make_cronjob(spec_hash=create.manifest["metadata"]["annotations"][HASH])
        assert not of(decide(task, cronjob=cronjob, priority_class="normal"), actions.UpdateCronJob)
        (update,) = of(decide(task, cronjob=cronjob, priority_class="urgent"), actions.UpdateCronJob)
        template = update.patch["spec"]["jobTemplate"]["spec"]["template"]
        assert template["spec"]["priorityClassName"] == "urgent"

    def test_allow_where_several_instances_may_run(self) -> None:
        (create,) = of(decide(make_task(max_instances=2)), actions.CreateCronJob)
        assert create.manifest["spec"]["concurrencyPolicy"] == "Allow"

    def test_controllers_jobs_are_accepted_before_the_watermark_passes_them(self) -> None:
        task = make_task()
        task = replace(task, status=settled(task))
        jobs = [make_job(f"nightly-copy-{n}", tick=at("10:00:00") + n * MINUTE) for n in (0, 1, 2)]
        decision = decide(task, now="10:02:30", jobs=jobs)
        kinds = [type(action) for action in decision.actions]
        assert kinds[:3] == [actions.AcceptJob] * 3
        assert kinds[-1] is actions.WriteStatus
        assert status_of(decision).last_schedule_time == at("10:02:00")

    def test_a_job_made_again_after_its_tick_was_decided_is_deleted(self) -> None:
        task = make_task()
        task = replace(task, status=settled(task, last_schedule_time=at("10:00:00")))
        again = make_job("nightly-copy-0", tick=at("10:00:00"), creation_time=at("10:00:40"))
        decision = decide(task, now="10:00:41", jobs=[again])
        assert of(decision, actions.DeleteJob) == [actions.DeleteJob(again)]
        assert not of(decision, actions.AcceptJob)

    def test_one_that_is_recorded_and_released_is_not_taken_again(self) -> None:
        task = make_task()
        task = replace(task, status=settled(task, last_schedule_time=at("10:00:00")))
        recorded = make_job(tick=at("10:00:00"), complete_time=at("10:00:05"), recorded_time=at("10:00:06"))
        decision = decide(task, jobs=[recorded])
        assert (of(decision, actions.AcceptJob), of(decision, actions.DeleteJob)) == ([], [])

    def test_a_job_that_was_released_by_hand_is_taken_again(self) -> None:
        task = make_task()
        task = replace(task, status=settled(task, last_schedule_time=at("10:00:00")))
        job = make_job("nightly-copy-0", tick=at("10:00:00"), creation_time=at("10:00:40"))
        released = replace(job, execution_id=execution_id_of(job))
        decision = decide(task, now="10:00:41", jobs=[released])
        assert of(decision, actions.AcceptJob) == [actions.AcceptJob(released, execution_id_of(job) or "")]
        assert of(decision, actions.DeleteJob) == []

    def test_the_watermark_moves_although_the_status_could_not_be_written_before(self) -> None:
        task = make_task()
        task = replace(task, status=settled(task))
        accepted = make_job("nightly-copy-0", tick=at("10:00:00"), has_finalizer=True)
        assert status_of(decide(task, jobs=[accepted])).last_schedule_time == at("10:00:00")
        broken = replace(task, spec=replace(task.spec, schedule="nonsense"))
        assert status_of(decide(broken, jobs=[accepted])).last_schedule_time == at("10:00:00")

    @pytest.mark.parametrize(("made_at", "runs"), [("10:00:00", True), ("10:00:03", True), ("10:00:04", False)])
    def test_a_job_made_just_before_an_edit_moved_the_watermark_is_a_run(self, made_at: str, runs: bool) -> None:
        # Times of the cluster have whole seconds: one that looks a second younger may have stood before.
        task = make_task()
        task = replace(task, status=settled(task, last_schedule_time=at("10:00:02")))
        job = make_job("nightly-copy-0", tick=at("10:00:00"), creation_time=at(made_at))
        decision = decide(task, now="10:00:05", jobs=[job])
        assert [action.job for action in of(decision, actions.AcceptJob)] == [job] * runs
        assert [action.job for action in of(decision, actions.DeleteJob)] == [job] * (not runs)

    def test_a_job_that_is_being_deleted_cannot_be_accepted_any_more(self) -> None:
        # The API server takes no further finalizer on it.
        going = make_job("nightly-copy-0", tick=at("10:00:00"), deletion_time=at("10:00:05"))
        for project in (make_project(), None):
            assert not of(decide(make_task(), jobs=[going], project=project), actions.AcceptJob)

    @pytest.mark.parametrize("watermark", [None, at("10:00:00")])
    def test_manual_job_from_kubectl_is_accepted(self, watermark: datetime | None) -> None:
        job = make_job("by-hand", request_key="uid-by-hand")
        task = make_task()
        decision = decide(replace(task, status=settled(task, last_schedule_time=watermark)), jobs=[job])
        (accept,) = of(decision, actions.AcceptJob)
        assert accept.execution_id.startswith("exec-20260302095930-")

    @pytest.mark.parametrize("edit", [{"schedule": "*/5 * * * *"}, {"time_zone": "Asia/Shanghai"}])
    def test_edit_moves_the_cronjobs_status_before_its_spec(self, edit: dict[str, str]) -> None:
        task = make_task(**edit)
        task = replace(task, status=settled(make_task(), last_schedule_time=at("10:00:00")))
        decision = decide(task, cronjob=make_cronjob())
        kinds = [type(action) for action in decision.actions]
        assert kinds.index(actions.MoveCronJobWatermark) < kinds.index(actions.UpdateCronJob)
        assert of(decision, actions.MoveCronJobWatermark)[0].time == at("10:00:10")
        assert status_of(decision).last_schedule_time == at("10:00:10")

    def test_resume_fires_nothing(self) -> None:
        task = make_task()
        task = replace(task, status=settled(replace(task, spec=replace(task.spec, suspend=True))))
        assert not of(
            decide(task, now="10:30:10", cronjob=make_cronjob(suspend=True, last_schedule_time=at("10:00:00"))),
            actions.CreateJob,
        )
        decision = decide(task, now="10:30:10", cronjob=make_cronjob(suspend=True, last_schedule_time=at("10:00:00")))
        assert of(decision, actions.MoveCronJobWatermark)[0].time == at("10:30:10")
        assert status_of(decision).next_schedule_time == at("10:31:00")

    def test_a_changed_description_leaves_the_watermark(self) -> None:
        task = make_task(description="new words")
        task = replace(task, generation=2, status=settled(task, last_schedule_time=at("10:00:00")))
        assert status_of(decide(task)).last_schedule_time == at("10:00:00")

    def test_change_of_type_keeps_the_cronjob_suspended(self) -> None:
        task = make_task(ScheduleType.INTERVAL, "60")
        task = replace(task, status=settled(make_task(), last_schedule_time=at("10:00:00")))
        decision = decide(task, cronjob=make_cronjob())
        (update,) = of(decision, actions.UpdateCronJob)
        assert update.patch["spec"] == {"suspend": True}
        assert not of(decision, actions.CreateJob), "a change of type fires nothing"
        assert decision.wake_at == at("10:01:10"), "the grid starts at the change"

    def test_a_pause_stands_before_what_may_be_refused(self) -> None:
        task = make_task(suspend=True, triggers=(Request("1", "now"),))
        kinds = [type(action) for action in decide(task, cronjob=make_cronjob()).actions]
        assert kinds.index(actions.UpdateCronJob) < kinds.index(actions.CreateJob)

    def test_suspended_task_has_no_next_run(self) -> None:
        decision = decide(make_task(suspend=True))
        assert status_of(decision).next_schedule_time is None
        assert of(decision, actions.CreateCronJob)[0].manifest["spec"]["suspend"] is True


class TestTheControllersClock:
    @pytest.mark.parametrize("now", ["10:00:55", "10:01:00", "10:01:01"])
    def test_a_slot_is_held_until_the_controller_has_made_the_job(self, now: str) -> None:
        task = make_task()
        task = replace(task, status=settled(task, last_schedule_time=at("10:00:00")))
        cronjob = make_cronjob(last_schedule_time=at("10:00:00"))
        decision = decide(task, now=now, cronjob=cronjob, reserved=at("10:01:00"), step_in=False)
        assert decision.reserve == at("10:01:00")
        assert not of(decision, actions.CreateJob)


class TestOwnClock:
    def test_interval_waits_for_its_first_tick(self) -> None:
        decision = decide(make_task(ScheduleType.INTERVAL, "60"), now="09:59:31")
        assert not of(decision, actions.CreateJob)
        assert decision.wake_at == at("10:00:30")

    def test_interval_runs_on_its_grid(self) -> None:
        task = make_task(ScheduleType.INTERVAL, "60")
        task = replace(task, status=settled(task))
        decision = decide(task, now="10:00:31")
        (create,) = of(decision, actions.CreateJob)
        assert create.manifest["metadata"]["name"].endswith(f"-{int(at('10:00:30').timestamp())}")
        assert create.manifest["metadata"]["finalizers"] == ["cronwright.dev/record"]
        assert status_of(decision).last_schedule_time is None, "the tick is decided when its Job stands"
        assert decision.wake_at == at("10:01:30")
        then = decide(task, now="10:00:31", jobs=made(decision))
        assert not of(then, actions.CreateJob)
        assert status_of(then).last_schedule_time == at("10:00:30")

    def test_of_missed_ticks_the_newest_runs_and_the_others_are_recorded(self) -> None:
        task = make_task(ScheduleType.INTERVAL, "60")
        task = replace(task, status=settled(task, last_schedule_time=at("10:00:30")))
        decision = decide(task, now="10:05:00")
        assert len(of(decision, actions.CreateJob)) == 1
        then = decide(task, now="10:05:00", jobs=made(decision))
        assert [action.tick for action in of(then, actions.RecordSkipped)] == [
            at("10:01:30"),
            at("10:02:30"),
            at("10:03:30"),
        ]
        assert status_of(then).last_schedule_time == at("10:04:30")

    def test_long_absence_is_summed_up(self) -> None:
        task = make_task(ScheduleType.INTERVAL, "60")
        task = replace(task, status=settled(task, last_schedule_time=at("00:00:30"), anchor_time=at("00:00:30")))
        jobs = made(decide(task, now="10:00:00"))
        skipped = of(decide(task, now="10:00:00", jobs=jobs), actions.RecordSkipped)
        assert len(skipped) == 101
        assert "498 runs" in skipped[0].message

    def test_too_late_is_skipped_with_the_reason(self) -> None:
        task = make_task(ScheduleType.INTERVAL, "3600", starting_deadline_seconds=60)
        task = replace(task, status=settled(task))
        decision = decide(task, now="11:10:00")
        assert not of(decision, actions.CreateJob)
        assert of(decision, actions.RecordSkipped)[-1].reason == "StartingDeadlineExceeded"

    def test_once_runs_at_once_and_only_once(self) -> None:
        task = make_task(ScheduleType.ONCE, "")
        first = decide(task)
        assert len(of(first, actions.CreateJob)) == 1
        done = replace(task, status=status_of(decide(task, jobs=made(first))))
        assert done.status.completion_time is not None
        assert not of(decide(done, now="11:00:00"), actions.CreateJob)
        paused = replace(done, spec=replace(done.spec, suspend=True))
        paused = replace(paused, status=status_of(decide(paused, now="11:00:00")))
        resumed = replace(paused, spec=replace(paused.spec, suspend=False))
        first = decide(resumed, now="11:05:00")
        assert not of(first, actions.CreateJob), "suspend and resume is no new run"
        resumed = replace(resumed, status=status_of(first))
        assert not of(decide(resumed, now="11:05:01"), actions.CreateJob), "nor is it at the next look"

    def test_with_a_job_the_status_is_written_as_a_refusal_is_told_there(self) -> None:
        task = make_task(ScheduleType.ONCE, "")
        first = status_of(decide(task))
        again = decide(replace(task, status=first))
        assert len(of(again, actions.CreateJob)) == 1
        assert status_of(again) == first, "although nothing of it has changed"

    def test_once_waits_for_a_clock_that_is_behind(self) -> None:
        decision = decide(make_task(ScheduleType.ONCE, ""), now="09:59:28")
        assert (of(decision, actions.CreateJob), decision.wake_at) == ([], CREATED)

    def test_once_created_suspended_runs_when_resumed(self) -> None:
        task = make_task(ScheduleType.ONCE, "", suspend=True)
        first = decide(task)
        assert not of(first, actions.CreateJob)
        resumed = replace(task, spec=replace(task.spec, suspend=False), status=status_of(first))
        noted = decide(resumed, now="11:00:00")
        assert not of(noted, actions.CreateJob), "its tick is the moment of resuming, which must stand somewhere first"
        resumed = replace(resumed, status=status_of(noted))
        (create,) = of(decide(resumed, now="11:00:02"), actions.CreateJob)
        assert create.tick == at("11:00:00")

    def test_once_that_was_started_before_a_crash_and_a_pause_is_not_started_again(self) -> None:
        task = make_task(ScheduleType.ONCE, "")
        task = replace(task, status=settled(task))
        jobs = made(decide(task))
        paused = replace(task, spec=replace(task.spec, suspend=True))
        assert status_of(decide(paused, jobs=jobs)).completion_time is not None
        # Of one that was resumed before, the tick is the moment of that.
        task = replace(task, status=settled(task, anchor_time=at("11:00:00")))
        jobs = made(decide(task, now="11:00:02"))
        paused = replace(task, spec=replace(task.spec, suspend=True))
        assert status_of(decide(paused, now="11:00:03", jobs=jobs)).completion_time is not None
        assert status_of(decide(paused, now="11:00:03")).completion_time is None, "it has not run"

    def test_date_runs_at_its_time(self) -> None:
        task = make_task(ScheduleType.DATE, "2026-03-02T10:30:00Z")
        before = decide(task)
        assert (of(before, actions.CreateJob), before.wake_at) == ([], at("10:30:00"))
        task = replace(task, status=status_of(before))
        due = decide(task, now="10:30:00")
        assert len(of(due, actions.CreateJob)) == 1
        assert status_of(due).next_schedule_time is None
        assert status_of(decide(task, now="10:30:00", jobs=made(due))).completion_time == at("10:30:00")

    @pytest.mark.parametrize("type_", [ScheduleType.DATE, ScheduleType.ONCE])
    def test_date_that_passed_while_suspended_never_comes(self, type_: ScheduleType) -> None:
        task = make_task(type_, "2026-03-02T10:30:00Z")
        suspended = replace(task, spec=replace(task.spec, suspend=True))
        task = replace(task, status=settled(suspended))
        decision = decide(task, now="11:00:00")
        assert not of(decision, actions.CreateJob)
        # The date lies before the moment of resuming, but it was valid when it was set.
        assert ready(decision)[0] is True
        assert status_of(decision).completion_time == at("11:00:00")

    def test_a_crash_before_the_status_computes_the_same_job(self) -> None:
        task = make_task(ScheduleType.INTERVAL, "60")
        task = replace(task, status=settled(task))
        names = {
            of(decide(task, now=now), actions.CreateJob)[0].manifest["metadata"]["name"]
            for now in ("10:00:30", "10:00:59", "10:01:29")
        }
        assert len(names) == 1


class TestRequests:
    def test_job_first_then_the_annotation_goes(self) -> None:
        task = make_task(triggers=(Request("abc", '{"time": "2026-03-02T10:00:05Z", "by": "alice"}'),))
        decision = decide(task)
        assert not of(decision, actions.RemoveRequest)
        then = decide(task, jobs=made(decision))
        assert not of(then, actions.CreateJob)
        assert of(then, actions.RemoveRequest) == [actions.RemoveRequest("trigger.cronwright.dev/abc")]
        annotations = of(decision, actions.CreateJob)[0].manifest["metadata"]["annotations"]
        assert annotations["cronwright.dev/requested-by"] == "alice"
        assert annotations["cronwright.dev/execution"].startswith("exec-20260302100005-")

    @pytest.mark.parametrize("value", ["now", "", "[]", '{"time": 5}', '{"time": "yesterday"}', "null"])
    def test_a_person_may_write_anything(self, value: str) -> None:
        decision = decide(make_task(triggers=(Request("1", value),)))
        annotations = of(decision, actions.CreateJob)[0].manifest["metadata"]["annotations"]
        assert annotations["cronwright.dev/execution"].startswith("exec-20260302100010-")

    @pytest.mark.parametrize(
        ("asked", "since"),
        [("10:00:05", "10:00:05"), ("09:00:11", "09:00:11"), ("09:00:00", "09:00:10"), ("10:30:00", "10:00:10")],
    )
    def test_a_request_waits_at_most_an_hour_longer_than_it_is_known(self, asked: str, since: str) -> None:
        """The order of the queue is by priority and wait: a request that says it is a month old is not its head."""
        task = make_task(triggers=(Request("abc", f'{{"time": "2026-03-02T{asked}Z"}}'),))
        (create,) = of(decide(task), actions.CreateJob)
        assert create.candidate is not None
        assert create.candidate.since == at(since)

    def test_parameters_are_this_runs_alone(self) -> None:
        value = '{"time": "2026-03-02T10:00:05Z", "by": "alice", "env": {"DAY": "2", "OWN": "x", "CITY": "Bonn"}}'
        overrides = Overrides(env=({"name": "DAY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},))
        task = make_task(triggers=(Request("abc", value),))
        task = replace(task, spec=replace(task.spec, overrides=overrides))
        container = ContainerTemplate("busybox", env=({"name": "CITY", "value": "Rome"}, {"name": "ALL", "value": "1"}))
        project = replace(make_project(), spec=replace(make_project().spec, container=container))
        decision = decide(task, project=project)
        (create,) = of(decision, actions.CreateJob)
        env = create.manifest["spec"]["template"]["spec"]["containers"][0]["env"]
        values = {variable["name"]: variable.get("value") for variable in env}
        assert {name: values[name] for name in ("DAY", "OWN", "CITY", "ALL")} == {
            "DAY": "2",
            "OWN": "x",
            "CITY": "Bonn",
            "ALL": "1",
        }
        assert len(env) == len(values)
        assert create.manifest["metadata"]["annotations"]["cronwright.dev/parameters"] == '["DAY", "OWN", "CITY"]'
        assert to_job(as_stored(create.manifest)).parameters == ("DAY", "OWN", "CITY")
        assert "Bonn" not in str(of(decision, actions.CreateCronJob)), "the CronJob stays as it is"

    @pytest.mark.parametrize(
        "value",
        [
            "{",
            '{"env": 1}',
            '{"env": {"A": 1}}',
            '{"env": {"A": {"valueFrom": {}}}}',
            '{"env": {"CRONWRIGHT_TASK": "x"}}',
            '{"env": {"A B": "x"}}',
            '{"env": {"A": "' + "x" * 5000 + '"}}',
            '{"env": ' * 5000,
        ],
    )
    def test_bad_parameters_are_refused_with_the_reason_and_taken_off(self, value: str) -> None:
        decision = decide(make_task(triggers=(Request("1", value), Request("2", "now"))))
        assert len(of(decision, actions.CreateJob)) == 1, "the good one runs"
        (record,) = of(decision, actions.RecordCancelled)
        assert (record.request.key, record.stop.reason.value) == ("1", "InvalidRequest")
        assert record.annotations == ("trigger.cronwright.dev/1",)
        (event,) = decision.events
        assert (event.type, event.reason, event.of_record) == ("Warning", "InvalidRequest", True)
        assert "xxxx" not in event.message, "values may be secrets"

    def test_trigger_works_while_suspended(self) -> None:
        assert of(decide(make_task(suspend=True, triggers=(Request("1", "now"),))), actions.CreateJob)


class TestNotReady:
    @pytest.mark.parametrize(
        ("task", "reason", "field"),
        [
            (make_task(schedule="0 25 * * *"), "InvalidSchedule", "spec.schedule"),
            (make_task(schedule="0 0 30 2 *"), "InvalidSchedule", "spec.schedule"),
            (make_task(time_zone="Mars/Phobos"), "InvalidSchedule", "spec.timeZone"),
            (make_task(ScheduleType.DATE, "2020-01-01T00:00:00Z"), "InvalidSchedule", "spec.schedule"),
            (make_task(display_name="ab"), "InvalidSpec", "spec.displayName"),
            (make_task(overrides=Overrides(image="other")), "OverrideNotAllowed", "spec.overrides.image"),
        ],
    )
    def test_the_condition_names_reason_and_field(self, task: ScheduledTask, reason: str, field: str) -> None:
        decision = decide(task, cronjob=make_cronjob())
        state, why, message = ready(decision)
        assert (state, why) == (False, reason)
        assert message.startswith(f"{field}: ")
        assert of(decision, actions.UpdateCronJob)[0].patch["spec"] == {"suspend": True}, "nothing runs"
        assert decision.events[0].reason == reason
        assert not of(decision, actions.CreateJob)

    def test_unknown_project(self) -> None:
        assert ready(decide(make_task(), project=None))[1] == "ProjectNotFound"

    def test_a_project_that_is_being_deleted_begins_no_run_any_more(self) -> None:
        # Somebody's finalizer may keep it for long.
        decision = decide(make_task(), project=replace(make_project(), deleting=True))
        assert ready(decision)[1] == "ProjectNotFound"

    def test_of_several_faults_the_first_is_the_reason_and_all_are_told(self) -> None:
        found = decide(make_task(schedule="0 25 * * *", overrides=Overrides(image="other")))
        state, why, message = ready(found)
        assert (state, why) == (False, "InvalidSchedule")
        assert message.index("spec.schedule: ") < message.index("; spec.overrides.image: ")

    def test_the_controllers_job_is_accepted_and_the_request_of_a_job_that_stands_goes(self) -> None:
        # Both are runs of before: the one would never be recorded, the other asked for once more when it can run again.
        task = make_task(triggers=(Request("k", "now"), Request("waits", "now")))
        jobs = [make_job("controllers", tick=at("10:00:00")), make_job("by-hand", request_key="k", has_finalizer=True)]
        decision = decide(replace(task, status=settled(task)), project=None, jobs=jobs)
        assert [accept.job.name for accept in of(decision, actions.AcceptJob)] == ["controllers"]
        assert of(decision, actions.RemoveRequest) == [actions.RemoveRequest("trigger.cronwright.dev/k")]

    def test_its_status_shows_no_next_run_and_which_edit_was_seen(self) -> None:
        task = make_task(generation=5)
        task = replace(task, status=settled(task, next_schedule_time=at("10:01:00"), observed_generation=4))
        status = status_of(decide(task, project=None))
        assert (status.next_schedule_time, status.observed_generation) == (None, 5)

    def test_the_event_comes_also_while_somebody_asks_for_a_run(self) -> None:
        decision = decide(make_task(triggers=(Request("1", "now"),)), project=None)
        assert [event.reason for event in decision.events] == ["ProjectNotFound"]

    def test_a_project_whose_name_is_taken(self) -> None:
        assert ready(decide(make_task(), project_refused=True))[1] == "ProjectNotReady"

    def test_name_taken(self) -> None:
        assert ready(decide(make_task(), registration=Registration(name_taken=True)))[1] == "NameTaken"

    def test_the_event_is_not_repeated(self) -> None:
        task = make_task(schedule="0 25 * * *")
        task = replace(task, status=status_of(decide(task)))
        assert decide(task).events == ()
        other = replace(task, spec=replace(task.spec, schedule="0 26 * * *"))
        assert [event.reason for event in decide(other).events] == ["InvalidSchedule"], "another fault is told"

    def test_transition_time_stays_while_the_state_stays(self) -> None:
        task = make_task(schedule="0 25 * * *")
        task = replace(task, generation=2, status=status_of(decide(task, now="10:00:00")))
        later = decide(replace(task, spec=replace(task.spec, schedule="0 26 * * *")), now="11:00:00")
        assert status_of(later).conditions[0].last_transition_time == at("10:00:00")

    def test_launching_does_not_wait_for_the_database(self) -> None:
        decision = decide(make_task(ScheduleType.ONCE, ""), registration=Registration())
        assert len(of(decision, actions.CreateJob)) == 1


@pytest.mark.parametrize("project", [make_project(), None], ids=["ready", "not ready"])
def test_the_tasks_id_stands_in_its_status_also_while_the_database_is_away(project: Project | None) -> None:
    task = make_task(generation=2)
    known = replace(task, status=settled(task, task_id=7))
    assert status_of(decide(known, project=project, registration=Registration())).task_id == 7
    assert status_of(decide(task, project=project, registration=Registration(task_id=8))).task_id == 8


def test_the_end_of_a_job_that_somebody_deleted_is_known_from_its_record() -> None:
    task = make_task(ScheduleType.ONCE, "")
    done = settled(task, completion_time=CREATED, last_execution_id="exec-1", last_execution_status="RUNNING")
    decision = decide(replace(task, status=done), last_outcome=ExecutionStatus.CANCELLED)
    assert status_of(decision).last_execution_status == "CANCELLED"


def test_an_older_job_does_not_hide_the_end_of_a_newer_one_that_was_deleted() -> None:
    task = make_task()
    deleted = settled(
        task,
        last_schedule_time=at("10:01:00"),
        last_execution_id="exec-20260302100100-00",
        last_execution_status="RUNNING",
    )
    older = make_job("older", tick=at("10:00:00"), recorded_time=at("10:00:30"), complete_time=at("10:00:20"))
    decision = decide(
        replace(task, status=deleted), now="10:01:30", jobs=[older], last_outcome=ExecutionStatus.CANCELLED
    )
    new = status_of(decision)
    assert (new.last_execution_id, new.last_execution_status) == ("exec-20260302100100-00", "CANCELLED")


def test_a_deleted_task_that_has_nothing_left_decides_nothing() -> None:
    assert decide(make_task(deleting=True)).actions == ()


def test_overrides_merge_env_by_name() -> None:
    project = make_project(
        container=ContainerTemplate(
            "busybox:1", ("sh",), ("-c", "a"), ({"name": "A", "value": "1"}, {"name": "B", "value": "2"})
        )
    )
    task = make_task(overrides=Overrides(args=("-c", "b"), env=({"name": "B", "value": "3"},)))
    manifest = build_cronjob(task, project, cron_line="* * * * *", suspend=False)
    container = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    assert (container["command"], container["args"]) == (["sh"], ["-c", "b"])
    assert {v["name"]: v.get("value") for v in container["env"]}["B"] == "3"


def test_the_schedules_hash_tells_suspend_apart() -> None:
    task = make_task()
    suspended = replace(task, spec=replace(task.spec, suspend=True))
    assert schedule_hash(task) != schedule_hash(suspended)
    assert schedule_hash(task).split("-")[0] == schedule_hash(suspended).split("-")[0]
    assert CREATED.tzinfo is not None
