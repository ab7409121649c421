"""A ScheduledTask: what a person or program asked for, and what the operator must remember to launch it without
PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.domain.skips import UnrecordedSkips

DEFAULT_TIMEOUT_SECONDS = 3600
DEFAULT_PENDING_DEADLINE_SECONDS = 900


class ConcurrencyPolicy(StrEnum):
    """What a tick does when the task is at `maxInstances`."""

    FORBID = "Forbid"
    QUEUE = "Queue"
    REPLACE = "Replace"


@dataclass(frozen=True, slots=True)
class Overrides:
    """What a task changes of its Project's container. None: not set. Image and command need `allowOverrides`."""

    image: str | None = None
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    env: tuple[Mapping[str, Any], ...] = ()
    resources: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """`spec` of a ScheduledTask, defaults applied. `schedule` is the text as given; `domain.schedule` reads it."""

    display_name: str
    project_name: str
    schedule_type: ScheduleType
    schedule: str
    description: str | None = None
    owner: str | None = None
    time_zone: str = "UTC"
    suspend: bool = False
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS
    max_instances: int = 1
    retry_count: int = 0
    priority: int = 0
    concurrency_policy: ConcurrencyPolicy = ConcurrencyPolicy.FORBID
    max_queued: int = 10
    starting_deadline_seconds: int | None = None
    pending_deadline_seconds: int = DEFAULT_PENDING_DEADLINE_SECONDS
    spread_seconds: int = 0
    overrides: Overrides = field(default_factory=Overrides)

    @property
    def timing(self) -> tuple[ScheduleType, str, str]:
        """When it runs: a change of it is another schedule, and any other change is none."""
        # The zone means nothing to a Once without a time: whoever changes it alone asks for no second run.
        timeless = self.schedule_type is ScheduleType.ONCE and not self.schedule
        return self.schedule_type, self.schedule, "UTC" if timeless else self.time_zone


@dataclass(frozen=True, slots=True)
class Condition:
    """One of `status.conditions` (metav1.Condition)."""

    type: str
    status: bool
    reason: str
    message: str
    last_transition_time: datetime
    observed_generation: int


@dataclass(frozen=True, slots=True)
class ActiveExecution:
    """An execution that waits or runs, as `status.active` lists it; one that waits for its turn says for what."""

    execution_id: str
    job_name: str
    status: str
    reason: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """`status` of a ScheduledTask: written by the operator only, whole, and only if it differs.

    `last_schedule_time` is the watermark: the highest tick decided, run or skipped or missed. `schedule_hash` is the
    schedule that the watermark belongs to: if it differs from the spec's, the schedule was edited and no tick before
    the moment of noticing is due. `completion_time`: a Once or Date task has had its tick. `claimed_time`: the newest
    cron tick that was taken from the CronJob controller ahead of its time, written before it is taken: it tells a
    successor that nobody but us was to run it. Of another type it is the next tick, if it starts later (spread): an
    edit that drops it could not tell of it otherwise.
    `unrecorded_skips` are ticks that the watermark has passed and whose rows wait for PostgreSQL; decisions carry them
    along and never read them.
    """

    task_id: int | None = None
    observed_generation: int | None = None
    schedule_hash: str | None = None
    anchor_time: datetime | None = None
    last_schedule_time: datetime | None = None
    claimed_time: datetime | None = None
    next_schedule_time: datetime | None = None
    completion_time: datetime | None = None
    last_execution_id: str | None = None
    last_execution_status: str | None = None
    last_successful_time: datetime | None = None
    active: tuple[ActiveExecution, ...] = ()
    conditions: tuple[Condition, ...] = ()
    unrecorded_skips: UnrecordedSkips = field(default_factory=UnrecordedSkips)

    @property
    def ready(self) -> Condition | None:
        """The condition Ready; None: it was never written."""
        return next((condition for condition in self.conditions if condition.type == "Ready"), None)


@dataclass(frozen=True, slots=True)
class Request:
    """A trigger or cancel annotation: `key` is the annotation's name after the prefix, `value` its text."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class ScheduledTask:
    """A ScheduledTask resource as read from the API server. `queue_labels` are those by which Kueue admits its Jobs."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    creation_time: datetime
    spec: TaskSpec
    status: TaskStatus = field(default_factory=TaskStatus)
    task_id_label: int | None = None
    triggers: tuple[Request, ...] = ()
    cancels: tuple[Request, ...] = ()
    queue_labels: Mapping[str, str] = field(default_factory=dict)
    deleting: bool = False
