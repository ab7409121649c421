"""A Job goes only when nobody would make it again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cronwright_core.domain.task import Request
from cronwright_operator.upkeep.cleanup import may_delete
from support.builders import at, make_cronjob, make_job, make_task, settled

TICK = at("10:00:00")
KEEP = timedelta(minutes=10)
NOW = at("11:00:00")
TASK = replace(make_task(), status=settled(make_task(), last_schedule_time=TICK))
CRONJOB = make_cronjob(last_schedule_time=TICK)
JOB = make_job(tick=TICK, recorded_time=at("10:00:30"))


def test_recorded_and_covered_by_both_statuses() -> None:
    assert may_delete(JOB, TASK, CRONJOB, NOW, KEEP)


@pytest.mark.parametrize(
    "changes",
    [
        {"recorded_time": None},
        {"recorded_time": at("10:55:00")},
        {"deletion_time": NOW},
        {"tick": at("10:01:00")},
    ],
)
def test_not_yet(changes: dict[str, Any]) -> None:
    assert not may_delete(replace(JOB, **changes), TASK, CRONJOB, NOW, KEEP)


def test_the_controller_would_make_it_again() -> None:
    assert not may_delete(JOB, TASK, make_cronjob(last_schedule_time=at("09:59:00")), NOW, KEEP)
    assert not may_delete(JOB, TASK, make_cronjob(), NOW, KEEP)


def test_we_would_make_it_again() -> None:
    task = replace(TASK, status=settled(TASK, last_schedule_time=at("09:59:00")))
    assert not may_delete(JOB, task, CRONJOB, NOW, KEEP)


def test_a_request_that_still_stands_would_make_it_again() -> None:
    job = make_job(request_key="abc", recorded_time=at("10:00:30"), owner_kind="ScheduledTask")
    assert may_delete(job, TASK, None, NOW, KEEP)
    assert not may_delete(job, replace(TASK, triggers=(Request("abc", "now"),)), None, NOW, KEEP)


def test_a_deleted_tasks_job_only_needs_its_record() -> None:
    assert may_delete(JOB, None, None, NOW, KEEP)
