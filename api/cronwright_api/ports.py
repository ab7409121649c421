"""What the API needs of the stores, as ports; the real ones are `cronwright_core.store`, unit tests bring fakes.

Every method is one transaction, blocks its thread, and raises `domain.errors` only.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from cronwright_core.domain.execution import Attempt, Execution, ExecutionStatus
from cronwright_core.domain.log_position import LogPosition
from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.store.listed import ListedExecution, ListedTask
from cronwright_core.store.records.executions import (
    ExecutionRecord,
    ExecutionSort,
    RequestedExecution,
    RunningExecutions,
)
from cronwright_core.store.records.logs import LogFile, LogPortion, LogType
from cronwright_core.store.records.pages import Page
from cronwright_core.store.records.projects import (
    LiveProject,
    ProjectDraft,
    ProjectProjection,
    ProjectRecord,
    ReservedProject,
)
from cronwright_core.store.records.system import SystemSnapshot
from cronwright_core.store.records.tasks import (
    CreationKey,
    ReservedTask,
    TaskDraft,
    TaskProjection,
    TaskRecord,
    TaskSort,
    TaskStatistics,
)
from cronwright_core.store.records.workspaces import WorkspaceCleanup


class Tasks(Protocol):
    """Tasks: `owner` None is an administrator, who sees all."""

    def reserve(self, draft: TaskDraft, now: datetime) -> int:
        """Takes the name and an id; Conflict if the name is taken."""

    def find_created(self, key: CreationKey, now: datetime) -> ReservedTask | None:
        """What an Idempotency-Key has made within a day; Conflict if it was for another request."""

    def reserve_once(self, draft: TaskDraft, key: CreationKey, now: datetime) -> ReservedTask:
        """As `reserve`, once for each key."""

    def activate(
        self,
        task_id: int,
        *,
        cr_uid: str,
        namespace: str,
        cr_name: str,
        generation: int,
        next_run_time: datetime | None,
        now: datetime,
    ) -> TaskRecord:
        """The resource exists: readers see the task from now on."""

    def register(self, task: TaskProjection, now: datetime, *, only_newer: bool = False) -> int:
        """Projects a resource as the API server answered it; `only_newer`: if the row is of an older generation."""

    def set_next_run(
        self, cr_uid: str, next_run_time: datetime | None, *, generation: int, completed: bool = False
    ) -> None:
        """Writes the next run, or that there is none any more, unless the operator has judged this generation."""

    def mark_deleted(self, cr_uid: str, now: datetime) -> None:
        """Hides the task from readers and frees its name."""

    def discard(self, task_id: int) -> None:
        """Gives a reserved name back."""

    def get(self, task_id: int, *, owner: str | None) -> TaskRecord:
        """One task; NotFound also if it is another's."""

    def statistics(self, task_id: int, *, owner: str | None, days: int) -> TaskStatistics:
        """How its executions went, with the last `days` days that had any; NotFound as `get`."""

    def list(
        self,
        *,
        owner: str | None,
        page: int,
        size: int,
        status: ExecutionStatus | None = None,
        is_active: bool | None = None,
        search: str | None = None,
        project_id: int | None = None,
        schedule_type: ScheduleType | None = None,
        sort: TaskSort = "-created_at",
    ) -> Page[ListedTask]:
        """Newest first unless `sort` says otherwise; `search` is a part of the name."""


class Projects(Protocol):
    """Projects."""

    def reserve(self, draft: ProjectDraft, now: datetime) -> int:
        """Takes the name and an id; Conflict if the name is taken."""

    def find_created(self, key: CreationKey, now: datetime) -> ReservedProject | None:
        """What an Idempotency-Key has made within a day; Conflict if it was for another request."""

    def reserve_once(self, draft: ProjectDraft, key: CreationKey, now: datetime) -> ReservedProject:
        """As `reserve`, once for each key."""

    def register(self, project: ProjectProjection, now: datetime) -> int:
        """Projects a resource as the API server answered it."""

    def retire(self, project_id: int, now: datetime) -> None:
        """Marks it deleted; Conflict while tasks use it."""

    def restore(self, project_id: int) -> None:
        """Takes `retire` back."""

    def activate(
        self, project_id: int, *, cr_uid: str, namespace: str, cr_name: str, generation: int, now: datetime
    ) -> ProjectRecord:
        """The resource exists."""

    def discard(self, project_id: int) -> None:
        """Gives a reserved name back."""

    def get(self, project_id: int) -> ProjectRecord:
        """One project; NotFound."""

    def list(self, *, user: str | None, page: int, size: int) -> Page[ProjectRecord]:
        """Those that the user owns or is a member of; None: all."""


class Executions(Protocol):
    """Executions."""

    def request(self, draft: Execution, *, max_waiting: int = 200, digest: str | None = None) -> RequestedExecution:
        """A manual run: one row for each (task, request key), however often asked.

        Conflict beyond `max_waiting`, and if the key was used with parameters of another `digest`.
        """

    def withdraw(self, execution_id: str) -> None:
        """Takes back a request that could not be put to the cluster."""

    def get(self, execution_id: str, *, owner: str | None) -> ExecutionRecord:
        """One execution; NotFound also if it is another's."""

    def attempts(self, execution_id: str) -> Sequence[Attempt]:
        """Its Pods, oldest first."""

    def running(self, *, owner: str | None, limit: int) -> RunningExecutions:
        """What runs now, the latest started first."""

    def list(
        self,
        task_id: int,
        *,
        owner: str | None,
        page: int,
        size: int,
        status: ExecutionStatus | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        sort: ExecutionSort = "-time",
    ) -> Page[ListedExecution]:
        """Newest first unless `sort` says otherwise."""


class Logs(Protocol):
    """Stored output."""

    def show(
        self, execution_id: str, *, owner: str | None, log_type: LogType, lines: int, attempt: int | None = None
    ) -> LogFile:
        """The last `lines` lines, of all attempts or one; NotFound also if the execution is another's."""


class LogReader(Protocol):
    """Stored output, portion by portion from the beginning on."""

    def follow(
        self,
        execution_id: str,
        *,
        log_type: LogType,
        after: LogPosition | None,
        attempt: int | None,
        owner: str | None,
    ) -> LogPortion:
        """The lines behind `after`, or that there are none (yet); NotFound, also where it is not the owner's."""


class System(Protocol):
    """The installation as a whole."""

    def snapshot(self, since: datetime) -> SystemSnapshot:
        """Counts now, and of ends since; Unavailable."""


class Workspaces(Protocol):
    """Cleanings of workspaces."""

    def projects_to_clean(self, cutoff: datetime) -> Sequence[LiveProject]:
        """The projects with directories of executions that ended before `cutoff`."""

    def cleanups(self, request_id: str, project_ids: Collection[int]) -> Sequence[WorkspaceCleanup]:
        """What has come of a request so far."""


class Pingable(Protocol):
    """The database's connection pool."""

    def ping(self) -> None:
        """Unavailable if the database does not answer."""
