"""How late each stage of a run comes, as the API server shows it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import JobFacts, PodFacts
from cronwright_core.domain.execution import ExecutionKind
from cronwright_operator.observability.jobs import JobObserver
from cronwright_operator.observability.launching import LaunchMetrics
from support.builders import at, make_job, make_pod

TICK = at("10:00:00")
UID = make_job().uid


class World:
    """One Job with its Pods, an observer that began at 09:59, and a clock."""

    def __init__(self) -> None:
        self.job: JobFacts | None = None
        self.pods: tuple[PodFacts, ...] = ()
        self.now: datetime = at("09:59:00")
        self.offset = timedelta()
        self.registry = CollectorRegistry()
        self.observer = JobObserver(
            LaunchMetrics(self.registry),
            job_of=lambda _: self.job,
            pods_of=lambda _: self.pods,
            kind_of=lambda _: "Cron",
            offset_of=lambda _: self.offset,
            now=lambda: self.now,
        )

    def look(self, second: float, job: JobFacts | None, *pods: PodFacts) -> None:
        """The Job and its Pods as seen so many seconds after the tick."""
        self.now, self.job, self.pods = TICK + timedelta(seconds=second), job, pods
        self.observer.look(UID)

    def lateness(self, stage: str, kind: str = "Cron") -> tuple[float, float] | None:
        """(how often, sum of seconds) of a stage."""
        labels = {"stage": stage, "kind": kind}
        count = self.registry.get_sample_value("cronwright_launch_lateness_seconds_count", labels)
        total = self.registry.get_sample_value("cronwright_launch_lateness_seconds_sum", labels)
        return None if count is None or total is None else (count, pytest.approx(total))


@pytest.fixture
def world() -> World:
    return World()


def tick_job(**changes: object) -> JobFacts:
    return make_job(**{"tick": TICK, "creation_time": TICK, **changes})


def test_each_stage_is_measured_once_at_the_moment_it_is_seen(world: World) -> None:
    job = tick_job(suspended=True)
    world.look(0.2, job)
    world.look(0.9, job)
    assert world.lateness("job_created") == (1, 0.2)
    assert world.lateness("admitted") is None
    job = replace(job, suspended=False)
    world.look(7.5, job)
    pod = make_pod(creation_time=at("10:00:08"))
    world.look(8.25, job, pod)
    pod = replace(pod, acknowledged_time=at("10:00:08"))
    world.look(8.5, job, pod)
    pod = replace(pod, start_time=at("10:00:09"), phase="Running")
    world.look(9.75, job, pod)
    world.look(11, job, pod)
    measured = {stage: world.lateness(stage) for stage in ("admitted", "pod_created", "pod_started", "running")}
    assert measured == {"admitted": (1, 7.5), "pod_created": (1, 8.25), "pod_started": (1, 8.5), "running": (1, 9.75)}


def test_what_was_seen_late_counts_as_of_its_own_stamp(world: World) -> None:
    # A watch that was away for a minute: the Job's stamp says in which second it was made.
    world.look(60, tick_job(creation_time=at("10:00:02"), start_time=at("10:00:03")))
    assert world.lateness("job_created") == (1, 3)
    assert world.lateness("admitted") == (1, 4)


def test_the_second_attempt_is_not_a_late_first_one(world: World) -> None:
    first = make_pod("a", creation_time=at("10:00:01"), acknowledged_time=at("10:00:01"), start_time=at("10:00:01"))
    second = make_pod("b", creation_time=at("10:01:00"), acknowledged_time=at("10:01:00"), start_time=at("10:01:00"))
    world.look(1.5, tick_job(), first)
    world.look(61, tick_job(), first, second)
    assert world.lateness("running") == (1, 1.5)


def test_what_happened_before_this_operator_is_not_measured_but_what_follows_is(world: World) -> None:
    job = make_job(tick=at("09:58:00"), creation_time=at("09:58:00"))
    early = make_pod(creation_time=at("09:58:01"), acknowledged_time=at("09:58:01"))
    world.look(-60, job)
    # The Pods are listed after the Jobs.
    world.look(-59, job, early)
    stages = ("job_created", "admitted", "pod_created", "pod_started")
    assert {stage: world.lateness(stage) for stage in stages} == dict.fromkeys(stages)
    world.look(-50, job, replace(early, start_time=at("09:59:09")))
    assert world.lateness("running") == (1, 70)


def test_one_that_has_waited_for_the_lease_begins_with_it(world: World) -> None:
    world.now = at("10:00:30")
    world.observer.begin()
    world.look(31, tick_job(start_time=at("10:00:01")))
    assert world.lateness("job_created") is None


def test_a_manual_run_counts_from_its_request(world: World) -> None:
    job = make_job(request_key="k", creation_time=at("10:00:01"))
    id_ = naming.execution_id(job.task_uid, ExecutionKind.ADHOC, TICK, "k")
    world.look(1.25, replace(job, execution_id=id_))
    assert world.lateness("job_created", "Manual") == (1, 1.25)


def test_somebodys_own_job_is_nothing(world: World) -> None:
    world.look(1, make_job())
    assert world.lateness("job_created") is None


def test_a_tick_that_starts_later_by_its_share_is_not_late_for_that(world: World) -> None:
    world.offset = timedelta(seconds=40)
    world.look(40.5, tick_job(creation_time=at("10:00:40")))
    assert world.lateness("job_created") == (1, 0.5)


def test_a_job_that_is_gone_is_forgotten(world: World) -> None:
    world.look(1, tick_job())
    world.look(2, None)
    assert not world.observer._seen
