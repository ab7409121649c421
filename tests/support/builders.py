"""Builders of domain objects for tests: what a test does not name has a harmless default."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cronwright_core.domain.cluster import CronJobFacts, JobFacts, PodFacts
from cronwright_core.domain.project import ContainerTemplate, Project, ProjectSpec
from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.domain.task import ScheduledTask, TaskSpec, TaskStatus

CREATED = datetime(2026, 3, 2, 9, 59, 30, tzinfo=UTC)
"""When the tests' tasks were created; a Monday."""


def at(clock: str) -> datetime:
    """`HH:MM:SS` on the day of CREATED."""
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    return CREATED.replace(hour=hours, minute=minutes, second=seconds)


def make_task(type_: ScheduleType = ScheduleType.CRON, schedule: str = "* * * * *", **changes: Any) -> ScheduledTask:
    """A task; keywords of TaskSpec change its spec, `status` and `triggers` the rest."""
    outer = {key: changes.pop(key) for key in ("status", "triggers", "generation", "deleting") if key in changes}
    spec = TaskSpec(display_name="nightly copy", project_name="data", schedule_type=type_, schedule=schedule)
    task = ScheduledTask(
        namespace="team-a",
        name="nightly-copy",
        uid="7f1c2c8e-0001",
        generation=1,
        resource_version="100",
        creation_time=CREATED,
        spec=replace(spec, **changes),
    )
    return replace(task, **outer)


def make_project(**changes: Any) -> Project:
    """A project that runs busybox; keywords of ProjectSpec change its spec."""
    spec = ProjectSpec(display_name="data", container=ContainerTemplate(image="busybox:1"), owner="alice")
    return Project(
        namespace="team-a",
        name="data",
        uid="proj-1",
        generation=1,
        resource_version="7",
        creation_time=CREATED,
        spec=replace(spec, **changes),
        project_id=3,
    )


def make_job(name: str = "nightly-copy-1", **changes: Any) -> JobFacts:
    """A Job of `make_task()`'s CronJob that has just been made."""
    job = JobFacts(
        namespace="team-a",
        name=name,
        uid=f"uid-{name}",
        task_uid="7f1c2c8e-0001",
        owner_uid="cronjob-uid",
        owner_kind="CronJob",
        creation_time=CREATED,
        tick=None,
        request_key=None,
        requested_by=None,
        execution_id=None,
        has_finalizer=False,
        recorded_time=None,
        suspended=False,
        start_time=None,
        complete_time=None,
        failed=None,
        failed_pods=0,
        backoff_limit=0,
        pod_deadline_seconds=3600,
        deletion_time=None,
        stop=None,
    )
    return replace(job, **changes)


def make_pod(name: str = "pod-1", **changes: Any) -> PodFacts:
    """A Pod that waits."""
    pod = PodFacts("team-a", name, f"uid-{name}", "uid-nightly-copy-1", CREATED, "Pending")
    return replace(pod, **changes)


def make_cronjob(**changes: Any) -> CronJobFacts:
    """The CronJob of `make_task()`, never written by us (its hash is missing)."""
    cronjob = CronJobFacts(
        namespace="team-a",
        name="nightly-copy-1234",
        uid="cronjob-uid",
        resource_version="50",
        creation_time=CREATED,
        spec_hash=None,
        schedule="* * * * *",
        time_zone="UTC",
        suspend=False,
        concurrency_policy="Forbid",
        last_schedule_time=None,
        deleting=False,
    )
    return replace(cronjob, **changes)


def settled(task: ScheduledTask, **changes: Any) -> TaskStatus:
    """A status as the operator leaves it after first seeing the task."""
    from cronwright_operator.reconciling.reconcile import schedule_hash

    return replace(TaskStatus(task_id=1, schedule_hash=schedule_hash(task), anchor_time=task.creation_time), **changes)


MINUTE = timedelta(minutes=1)
