"""A Job goes only when nobody would make it again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cronwright_core.domain.cluster import JobFacts
from cronwright_core.domain.task import Request
from cronwright_operator.upkeep.cleanup import Keep, may_delete, surplus
from support.builders import at, make_cronjob, make_job, make_task, settled

TICK = at("10:00:00")
NOW = at("11:00:00")
TASK = replace(make_task(), status=settled(make_task(), last_schedule_time=TICK))
CRONJOB = make_cronjob(last_schedule_time=TICK)
JOB = make_job(tick=TICK, recorded_time=at("10:00:30"))


def test_recorded_and_covered_by_both_statuses() -> None:
    assert may_delete(JOB, TASK, CRONJOB)


@pytest.mark.parametrize(
    "changes",
    [
        {"recorded_time": None},
        {"has_finalizer": True},
        {"deletion_time": NOW},
        {"tick": at("10:01:00")},
    ],
)
def test_not_yet(changes: dict[str, Any]) -> None:
    assert not may_delete(replace(JOB, **changes), TASK, CRONJOB)


def test_the_controller_would_make_it_again() -> None:
    assert not may_delete(JOB, TASK, make_cronjob(last_schedule_time=at("09:59:00")))
    assert not may_delete(JOB, TASK, make_cronjob())


def test_we_would_make_it_again() -> None:
    task = replace(TASK, status=settled(TASK, last_schedule_time=at("09:59:00")))
    assert not may_delete(JOB, task, CRONJOB)


def test_a_request_that_still_stands_would_make_it_again() -> None:
    job = make_job(request_key="abc", recorded_time=at("10:00:30"), owner_kind="ScheduledTask")
    assert may_delete(job, TASK, None)
    assert not may_delete(job, replace(TASK, triggers=(Request("abc", "now"),)), None)


def test_a_deleted_tasks_job_only_needs_its_record() -> None:
    assert may_delete(JOB, None, None)


KEEP = Keep(timedelta(minutes=10), per_task=3, pods=6)


def recorded(minute: int, task: str = "one", **fields: Any) -> JobFacts:
    job = make_job(tick=TICK, recorded_time=at(f"10:{minute:02}:00"))
    return replace(job, name=f"{task}-{minute:02}", task_uid=task, **fields)


def gone(*jobs: JobFacts, keep: Keep = KEEP) -> list[str]:
    return [job.name for job in surplus(jobs, keep, NOW)]


def test_old_ones_go_and_young_ones_stay() -> None:
    assert gone(recorded(49), recorded(50), recorded(51), recorded(59)) == ["one-49", "one-50"]


def test_what_is_not_recorded_counts_for_nothing() -> None:
    waiting = [replace(recorded(minute), recorded_time=None, has_finalizer=True) for minute in range(52, 58)]
    assert gone(*waiting, recorded(51)) == []


def test_of_one_task_the_newest_stay() -> None:
    jobs = [recorded(minute) for minute in range(52, 57)]
    assert gone(*jobs, recorded(51, "two")) == ["one-52", "one-53"]
    assert gone(*jobs, keep=replace(KEEP, per_task=0)) == [job.name for job in jobs]


def test_in_all_so_many_stay_as_have_that_many_pods() -> None:
    jobs = [recorded(minute, f"t{minute}", failed_pods=1, succeeded_pods=1) for minute in range(52, 57)]
    assert gone(*jobs) == ["t52-52", "t53-53"]
    assert gone(*(replace(job, failed_pods=0, succeeded_pods=0) for job in jobs)) == []


def test_a_job_that_is_being_deleted_takes_no_place() -> None:
    jobs = [recorded(minute) for minute in range(52, 55)]
    assert gone(*jobs, recorded(56, deletion_time=NOW)) == []
