"""What a look at a task does at once, and what it puts off while many ticks are open."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import JobFacts, PodFacts
from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.domain.gate import Candidate, Limits
from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.domain.task import Request, ScheduledTask, TaskStatus
from cronwright_core.kube.errors import KubeConflict
from cronwright_operator.launching.burst import CROWD, Burst
from cronwright_operator.launching.clock import Clock
from cronwright_operator.launching.ledger import Ledger
from cronwright_operator.reconciling.actions import AcceptJob, Action, CoverTick, CreateJob, Event, WriteStatus
from cronwright_operator.reconciling.apply import Unfinished
from cronwright_operator.reconciling.manifests import build_cronjob
from cronwright_operator.reconciling.observed import Registration
from cronwright_operator.reconciling.sync import TaskSync
from cronwright_operator.reconciling.ticks import LEAD
from cronwright_operator.reconciling.views import JobViews
from support.builders import at, make_cronjob, make_job, make_pod, make_project, make_task, settled

TICK = at("10:01:00")


class Applied:
    """Notes what it is to carry out."""

    def __init__(self) -> None:
        self.kinds: list[type[Action]] = []
        self.status: TaskStatus | None = None
        self.unfinished = Unfinished()

    async def apply(self, task: ScheduledTask, actions: tuple[Action, ...], now: datetime) -> Unfinished:
        self.kinds += [type(action) for action in actions]
        self.status = next((action.status for action in actions if isinstance(action, WriteStatus)), self.status)
        return self.unfinished


class Desk:
    """A `TaskSync` of one task, by default in an installation with `stepIn: false`."""

    def __init__(self, task: ScheduledTask | None = None, *, step_in: bool = False) -> None:
        task = task or make_task()
        status = settled(task, last_schedule_time=at("10:00:00"), observed_generation=task.generation)
        self.task = replace(task, status=status)
        manifest = build_cronjob(task, make_project(), cron_line="* * * * *", suspend=False)
        written = manifest["metadata"]["annotations"][naming.SPEC_HASH_ANNOTATION]
        self.cronjob = make_cronjob(spec_hash=written, last_schedule_time=at("10:00:00"))
        self.jobs: list[JobFacts] = []
        self.pods: list[PodFacts] = []
        self.now = TICK - LEAD
        self.applied = Applied()
        self.woken: list[str] = []
        self.ledger = Ledger(Limits(), priority_of=lambda _: 0)
        self.uncovered: list[datetime] = []
        self.without_pod: list[datetime] = []
        self.again: list[float] = []
        self.asked: list[str] = []
        self.left: list[str] = []
        self.gone = False
        self.history: dict[str, ExecutionStatus] = {}
        self.burst = Burst(
            self._open_ticks, self.woken.append, lambda: self.now, without_pod=lambda: self.without_pod, many=1
        )
        cache: Any = SimpleNamespace(task=lambda _: None if self.gone else self.task, project=lambda *_: make_project())
        applier: Any = self.applied
        self.told: list[str] = []
        events: Any = SimpleNamespace(post=self._post)
        self._sync = TaskSync(
            cache=cache,
            cronjob_of=lambda _: self.cronjob,
            views=JobViews(jobs_of=lambda _: self.jobs, pods_of=lambda _: self.pods, wait_of=lambda _: None),
            registration=lambda _: Registration(task_id=self.task.status.task_id),
            outcome=lambda _: None,
            past_outcome=self._past_outcome,
            project_refused=lambda _: False,
            applier=applier,
            events=events,
            clock=Clock(self.woken.append, lambda: self.now),
            ledger=self.ledger,
            step_in=step_in,
            burst=self.burst,
            priority_class=lambda _: None,
            leftovers=self._leftovers,
            look_again=self.woken.append,
            look_again_after=lambda _, seconds: self.again.append(seconds),
            now=lambda: self.now,
        )

    def look(self) -> list[type[Action]]:
        """One look; what was carried out with it."""
        self.applied.kinds = []
        asyncio.run(self._sync.sync(self.task.uid))
        return self.applied.kinds

    def _past_outcome(self, task_uid: str, execution_id: str) -> ExecutionStatus | None:
        self.asked.append(execution_id)
        return self.history.get(execution_id)

    async def _leftovers(self, uid: str) -> None:
        self.left.append(uid)

    async def _post(self, _: ScheduledTask, event: Event, __: datetime) -> None:
        self.told.append(event.reason)

    def take_over(self) -> None:
        """What was written comes back from the cluster."""
        assert self.applied.status is not None
        self.task = replace(self.task, status=self.applied.status)

    def _open_ticks(self) -> list[datetime]:
        return [*self.ledger.held_ticks(), *self.uncovered]

    def make_job(self, **facts: Any) -> None:
        """The Job of the tick is made; by the controller, where not said otherwise."""
        job = make_job(naming.cron_tick_job_name(self.cronjob.name, TICK), tick=TICK, **facts)
        self.jobs = [job]
        self.ledger.see(job)


def busy() -> Desk:
    """A tick has just come, its slot is held, and the controller is about to make its Job."""
    desk = Desk()
    assert desk.look() == [WriteStatus], "what the tests' task had not told yet"
    assert desk.ledger.held(desk.task.uid) == TICK
    desk.now = TICK
    return desk


def test_at_the_tick_nothing_is_written() -> None:
    desk = busy()
    assert desk.look() == []
    assert desk.ledger.held(desk.task.uid) == TICK


def test_a_job_of_the_controllers_gives_the_slot_back_at_once_and_is_accepted_when_it_has_time() -> None:
    desk = busy()
    desk.look()
    desk.make_job()
    assert desk.look() == []
    assert desk.ledger.held(desk.task.uid) is None, "it counts once"
    assert desk.burst.lasts(), "as far as it knows: others may still be to come"
    desk.jobs = []
    assert desk.look() == [], "what comes meanwhile is not even looked at"
    assert desk.ledger.held(desk.task.uid) is None
    desk.make_job()
    desk.now = at("10:01:01")
    assert not desk.burst.lasts()
    assert desk.look() == [AcceptJob, WriteStatus]


def test_a_task_that_somebody_changes_is_served_all_the_same() -> None:
    desk = busy()
    desk.look()
    desk.make_job()
    desk.look()
    desk.task = replace(desk.task, triggers=(Request("k", '{"time": "2026-03-02T10:01:00Z", "by": "alice"}'),))
    assert desk.burst.lasts()
    assert CreateJob in desk.look()


def test_few_ticks_are_no_burden() -> None:
    desk = busy()
    desk.burst = Burst(desk.ledger.held_ticks, desk.woken.append, lambda: desk.now)
    desk._sync._burst = desk.burst
    desk.make_job()
    assert desk.look() == [AcceptJob, WriteStatus]


def test_what_comes_due_meanwhile_is_started_at_its_time() -> None:
    desk = Desk(make_task(ScheduleType.INTERVAL, "60"))
    desk.cronjob = replace(desk.cronjob, suspend=True)
    desk.task = replace(desk.task, status=replace(desk.task.status, last_schedule_time=at("10:00:30")))
    desk.ledger.hold(Candidate("team-a/other-1", "other", "team-a/data", 0, at("10:01:20")), at("10:01:20"))
    desk.now = at("10:01:21")
    assert desk.look() == []
    assert desk.burst.has_put_off(desk.task)
    desk.now = at("10:01:30")
    assert desk.burst.lasts()
    assert CreateJob in desk.look()


def stepping_in() -> Desk:
    """We make the Jobs; ours stands, and the CronJob's status does not tell yet."""
    desk = Desk(step_in=True)
    desk.look()
    desk.now = TICK
    assert CreateJob in desk.look()
    desk.make_job(stepped_in=True, has_finalizer=True, owner_uid=desk.cronjob.uid)
    desk.uncovered = [TICK]
    return desk


def test_where_we_step_in_the_controller_is_told_at_once_and_the_user_after_the_burst() -> None:
    desk = stepping_in()
    assert desk.look() == [CoverTick]
    told = tuple((job.name, job.uid) for job in desk.jobs)
    desk.cronjob = replace(desk.cronjob, last_schedule_time=TICK, active=told)
    assert desk.look() == [], "other ticks are still open"
    desk.uncovered = []
    desk.now = at("10:01:01")
    assert desk.look() == [WriteStatus]


def test_what_the_controller_could_not_be_told_is_tried_again_in_the_burst() -> None:
    desk = stepping_in()

    async def conflict(*_: object) -> None:
        raise KubeConflict(409, "Conflict", "the CronJob has changed")

    apply, desk.applied.apply = desk.applied.apply, conflict  # type: ignore[method-assign]
    with pytest.raises(KubeConflict):
        desk.look()
    desk.applied.apply = apply  # type: ignore[method-assign]
    assert desk.look() == [CoverTick]


def test_a_claim_is_noted_in_a_burst_too() -> None:
    desk = Desk(step_in=True)
    desk.ledger = Ledger(Limits(total=0), priority_of=lambda _: 0)
    desk._sync._ledger = desk.ledger
    desk.uncovered = [desk.now]
    assert desk.burst.lasts()
    assert desk.look() == [WriteStatus], "the next tick may find no room: it is taken from the controller, noted first"


def test_an_edit_counts_from_the_moment_that_it_is_seen_in_a_burst_too() -> None:
    desk = busy()
    assert desk.look() == []
    desk.task = replace(desk.task, generation=2, spec=replace(desk.task.spec, suspend=False, description="another"))
    assert desk.burst.lasts()
    assert desk.look() == [WriteStatus]


def test_a_decided_tick_without_a_cronjob_is_noted_in_a_burst_too() -> None:
    desk = Desk(make_task(ScheduleType.INTERVAL, "60"))
    tick = at("10:00:30")
    desk.cronjob = replace(desk.cronjob, suspend=True)
    desk.task = replace(desk.task, status=replace(desk.task.status, last_schedule_time=at("09:59:30")))
    desk.ledger.hold(Candidate("team-a/other-1", "other", "team-a/data", 0, tick), tick)
    desk.now = at("10:00:35")
    name = naming.tick_job_name(naming.cronjob_name(desk.task.name, desk.task.uid), tick)
    desk.jobs = [make_job(name, tick=tick, has_finalizer=True, owner_kind="ScheduledTask", owner_uid=desk.task.uid)]
    assert desk.burst.lasts()
    assert desk.look() == [WriteStatus], "its Job may be recorded and deleted by somebody before the burst is over"


def told_of_its_run() -> Desk:
    """A run has begun, and the task's status tells of its tick."""
    desk = stepping_in()
    desk.uncovered = []
    desk.now = at("10:01:01")
    desk.cronjob = replace(desk.cronjob, last_schedule_time=TICK, active=((desk.jobs[0].name, desk.jobs[0].uid),))
    assert desk.look() == [WriteStatus], "that a tick was decided is told at once"
    desk.take_over()
    desk.jobs = [replace(desk.jobs[0], start_time=at("10:01:01"))]
    desk.pods = [make_pod(job_uid=desk.jobs[0].uid, phase="Running", start_time=at("10:01:01"))]
    return desk


def test_that_a_run_has_begun_is_told_after_a_second() -> None:
    desk = told_of_its_run()
    assert desk.look() == []
    assert desk.again == [1.0]
    desk.now = at("10:01:01") + timedelta(milliseconds=600)
    assert desk.look() == []
    assert desk.again == [1.0, pytest.approx(0.4)]
    desk.now = at("10:01:02")
    assert desk.look() == [WriteStatus]


def test_that_a_run_has_ended_is_told_at_once() -> None:
    desk = told_of_its_run()
    assert desk.look() == []
    desk.jobs = [replace(desk.jobs[0], complete_time=at("10:01:01"), succeeded_pods=1)]
    assert desk.look() == [WriteStatus]
    assert desk.applied.status is not None
    assert desk.applied.status.last_execution_status == "SUCCESS"


def test_beside_a_crowd_it_is_told_later() -> None:
    desk = told_of_its_run()
    desk.without_pod = [TICK] * CROWD
    assert desk.look() == []
    assert desk.again == [5.0]
    desk.now = at("10:01:06")
    assert desk.look() == [WriteStatus]


def test_when_the_clock_jumps_back_it_is_told() -> None:
    desk = told_of_its_run()
    assert desk.look() == []
    desk.now = at("09:30:00")
    assert WriteStatus in desk.look()


def test_what_else_is_to_be_told_is_told_at_once() -> None:
    desk = told_of_its_run()
    assert desk.look() == []
    desk.task = replace(desk.task, generation=2)
    assert desk.look() == [WriteStatus], "an edit was seen"


def test_how_a_run_ended_whose_job_a_predecessor_released_stands_in_the_history() -> None:
    desk = told_of_its_run()
    desk.look()
    desk.now = at("10:01:10")
    desk.look()
    desk.take_over()
    last = desk.task.status.last_execution_id
    assert (last is not None, desk.task.status.last_execution_status, desk.asked) == (True, "RUNNING", [])
    # Somebody deleted the Job; it was recorded and released, and its recorder ended before it told the task.
    desk.jobs, desk.pods = [], []
    desk.look()
    assert desk.asked == [last]
    desk.history = {str(last): ExecutionStatus.CANCELLED}
    desk.look()
    desk.now = at("10:01:20")
    desk.look()
    desk.take_over()
    assert desk.task.status.last_execution_status == "CANCELLED"
    desk.asked.clear()
    desk.look()
    assert desk.asked == [], "it is known"


def test_what_a_task_left_behind_is_looked_at_when_it_is_gone() -> None:
    desk = busy()
    assert desk.left == []
    desk.gone = True
    assert desk.look() == []
    assert (desk.left, desk.ledger.held(desk.task.uid)) == ([desk.task.uid], None)


@pytest.mark.parametrize(
    ("unfinished", "told"),
    [
        (Unfinished(), ["InvalidRequest", "UnknownExecution"]),
        (Unfinished(refused=KubeConflict(409, "Conflict", "m")), ["InvalidRequest", "UnknownExecution"]),
        (Unfinished(unrecorded=KubeConflict(409, "Conflict", "m")), ["UnknownExecution"]),
    ],
    ids=["all done", "a Job was refused", "a record waits"],
)
def test_what_was_done_is_told_although_other_things_must_be_tried_again(
    unfinished: Unfinished, told: list[str]
) -> None:
    desk = Desk()
    desk.task = replace(desk.task, triggers=(Request("x", "{"),), cancels=(Request("exec-of-nobody", "now"),))
    desk.applied.unfinished = unfinished
    with nullcontext() if unfinished == Unfinished() else pytest.raises(KubeConflict):
        desk.look()
    assert sorted(desk.told) == told
