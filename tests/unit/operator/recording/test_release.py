"""When a Job may go for good."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.domain.task import Request
from cronwright_operator.recording.release import would_come_back
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
