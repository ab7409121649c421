"""When a Job may go for good."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.domain.task import Request
from cronwright_operator.recording.release import hold_for, would_come_back
from support.builders import CREATED, at, make_cronjob, make_job, make_task, settled

TICK = at("10:00:00")
TASK = make_task()
DECIDED = replace(TASK, status=settled(TASK, last_schedule_time=TICK))
JOB = make_job(tick=TICK)
COVERED = make_cronjob(last_schedule_time=TICK)


@pytest.mark.parametrize(
    ("task", "cronjob", "comes_back"),
    [
        (DECIDED, COVERED, False),
        (TASK, COVERED, True),
        (DECIDED, make_cronjob(), True),
        (DECIDED, make_cronjob(suspend=True), False),
        (DECIDED, make_cronjob(deleting=True), False),
        (DECIDED, make_cronjob(uid="another"), False),
        (DECIDED, None, False),
        (None, make_cronjob(), False),
        (replace(TASK, deleting=True), make_cronjob(), False),
    ],
)
def test_a_cron_tick_is_done_when_both_statuses_hold_it(task: Any, cronjob: Any, comes_back: bool) -> None:
    assert would_come_back(JOB, task, cronjob) is comes_back


def test_a_manual_run_is_done_when_its_request_is_off_the_task() -> None:
    job = make_job(request_key="k")
    assert not would_come_back(job, TASK, None)
    assert would_come_back(job, replace(TASK, triggers=(Request("k", "now"),)), None)


def test_a_once_is_done_when_its_task_is_complete() -> None:
    task = make_task(ScheduleType.ONCE, "")
    job = make_job(tick=CREATED, owner_kind="ScheduledTask", owner_uid=task.uid)
    task = replace(task, status=settled(task, last_schedule_time=at("10:00:05")))
    assert would_come_back(job, task, None), "its watermark may have been moved by an edit"
    assert not would_come_back(job, replace(task, status=replace(task.status, completion_time=TICK)), None)
    resumed = replace(task, status=replace(task.status, anchor_time=TICK))
    assert would_come_back(replace(job, tick=TICK), resumed, None), "its tick is the moment of the resume"
    assert not would_come_back(job, resumed, None), "one of before is another run"


def held(job: Any, task: Any, cronjob: Any, *, offset: float = 0, now: str = "10:00:05") -> float | None:
    found = hold_for(job, task, cronjob, offset=timedelta(seconds=offset), now=at(now))
    return None if found is None else found.total_seconds()


def test_a_decided_tick_is_let_go_of_at_once() -> None:
    assert held(JOB, DECIDED, COVERED) is None


def test_a_due_tick_of_which_the_cronjob_tells_need_not_stand_in_the_task() -> None:
    assert held(JOB, TASK, COVERED) is None
    assert held(JOB, TASK, make_cronjob()) == 1, "nothing tells of it"
    assert held(JOB, TASK, make_cronjob(last_schedule_time=at("10:01:00"))) == 1, "it tells of another one"
    assert held(JOB, TASK, make_cronjob(uid="another", last_schedule_time=TICK)) == 1
    deleted = replace(JOB, deletion_time=at("10:00:04"))
    assert held(deleted, TASK, COVERED) == 1, "with the finalizer it goes"


def test_a_claim_looks_the_same_as_a_run_in_the_cronjobs_status() -> None:
    assert held(JOB, replace(TASK, status=settled(TASK, claimed_time=TICK)), COVERED) == 1


@pytest.mark.parametrize(("now", "seconds"), [("09:59:40", 30), ("10:00:05", 15), ("10:00:19", 1), ("10:00:20", None)])
def test_a_tick_that_the_controller_made_early_is_held_until_its_time(now: str, seconds: float | None) -> None:
    assert held(JOB, TASK, COVERED, offset=20, now=now) == seconds


def test_a_manual_run_is_held_while_its_request_stands() -> None:
    job = make_job(request_key="k")
    assert held(job, replace(TASK, triggers=(Request("k", "now"),)), None) == 1
    assert held(job, TASK, None) is None
