"""What a reconcile may decide to do, as data; `apply` carries it out in the order given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cronwright_core.domain.cluster import JobFacts, StopIntent
from cronwright_core.domain.gate import Candidate
from cronwright_core.domain.task import Request, TaskStatus


@dataclass(frozen=True, slots=True)
class CreateJob:
    """Creates a Job; `AlreadyExists` is success if its owner is `owner_uids`' - somebody did the same before a
    crash. Whether it starts at once or waits suspended is asked of the launch gate at the very moment.

    `tick` is None for a manual run.
    """

    manifest: Mapping[str, Any]
    owner_uids: frozenset[str]
    candidate: Candidate
    tick: datetime | None = None


@dataclass(frozen=True, slots=True)
class CheckTick:
    """Asks the API server whether there is a Job of a tick that the controller has run, or may have."""

    namespace: str
    name: str
    tick: datetime


@dataclass(frozen=True, slots=True)
class CoverTick:
    """Writes into the CronJob's status what the controller would have: the tick, and its Jobs as (name, uid)."""

    namespace: str
    name: str
    resource_version: str
    time: datetime
    active: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class AcceptJob:
    """Adds our finalizer to a Job of the CronJob controller: from now on it stays until it is recorded."""

    job: JobFacts
    execution_id: str


@dataclass(frozen=True, slots=True)
class DeleteJob:
    """Deletes a Job that must not run: its tick was decided before."""

    job: JobFacts


@dataclass(frozen=True, slots=True)
class CreateCronJob:
    """Creates the task's CronJob."""

    manifest: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MoveCronJobWatermark:
    """Sets the CronJob's `status.lastScheduleTime`, so that the controller fires nothing up to that time."""

    namespace: str
    name: str
    resource_version: str
    time: datetime


@dataclass(frozen=True, slots=True)
class UpdateCronJob:
    """Writes the CronJob's spec (and our hash of it) by a strategic merge patch."""

    namespace: str
    name: str
    patch: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RemoveRequest:
    """Takes a trigger annotation off the task: its Job exists."""

    annotation: str


@dataclass(frozen=True, slots=True)
class RecordSkipped:
    """A tick that did not run, with the reason, for the history. A summary stands for `count` ticks, `tick` being the
    newest of these."""

    tick: datetime
    reason: str
    message: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class StopExecution:
    """Writes the intent to end a Job, waiting or running; what follows is `stopping`'s. For cancels and for Replace."""

    job_uid: str
    stop: StopIntent


@dataclass(frozen=True, slots=True)
class RecordCancelled:
    """A manual run that ended before it had a Job: its record is committed, then these annotations go off the task.

    It may have to wait for PostgreSQL, and nothing else waits for it.
    """

    request: Request
    time: datetime
    requested_by: str
    stop: StopIntent
    annotations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WithdrawRequest:
    """Takes off the task a cancel that is carried out - whatever else is refused."""

    annotation: str


@dataclass(frozen=True, slots=True)
class WriteStatus:
    """The task's whole status; always last, so that a crash before it repeats the decision instead of losing it."""

    status: TaskStatus


Action = (
    CreateJob
    | CheckTick
    | CoverTick
    | AcceptJob
    | DeleteJob
    | CreateCronJob
    | MoveCronJobWatermark
    | UpdateCronJob
    | RemoveRequest
    | RecordSkipped
    | StopExecution
    | RecordCancelled
    | WithdrawRequest
    | WriteStatus
)


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes event on the ScheduledTask. `of_record`: it tells of a `RecordCancelled`, and waits for it."""

    type: str
    reason: str
    message: str
    of_record: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now, and when to look again although nothing changed (None: no need).

    `reserve`: the tick for which a slot is to be held from this moment on (None: for none).
    """

    actions: tuple[Action, ...] = ()
    wake_at: datetime | None = None
    events: tuple[Event, ...] = ()
    reserve: datetime | None = None
