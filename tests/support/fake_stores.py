"""The API's stores in memory. What PostgreSQL itself does is tested against PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from cronwright_core.domain.errors import Conflict, FieldError, Message, NotFound, Unavailable
from cronwright_core.domain.execution import Attempt, Execution, ExecutionStatus
from cronwright_core.domain.log_position import LogPosition
from cronwright_core.domain.project import ProjectSpec
from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.store.listed import ListedExecution, ListedTask
from cronwright_core.store.records.executions import (
    ExecutionRecord,
    ExecutionSort,
    RequestedExecution,
    RunningExecution,
    RunningExecutions,
)
from cronwright_core.store.records.logs import LogEnd, LogFile, LogPortion, LogType
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
    DayCounts,
    ReservedTask,
    TaskDraft,
    TaskProjection,
    TaskRecord,
    TaskSort,
    TaskStatistics,
    TaskStats,
)
from cronwright_core.store.records.workspaces import WorkspaceCleanup

NOT_FOUND = Message("不存在", "not there")
AWAY = Unavailable(Message("数据库暂时不可用，请稍后重试", "the database is not available"))


class Switch:
    """Whether the database answers; all fakes of one test share it."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def check(self) -> None:
        if self.error is not None:
            raise self.error

    def ping(self) -> None:
        self.check()


class FakeTasks:
    """Tasks."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self.pending: dict[int, TaskDraft] = {}
        self.keys: dict[tuple[str, str], tuple[str, int]] = {}
        self.rows: dict[int, TaskRecord] = {}
        self.days: dict[int, list[DayCounts]] = {}
        self.queries: list[dict[str, object]] = []
        self.last_id = 0

    def reserve(self, draft: TaskDraft, now: datetime) -> int:
        self._switch.check()
        taken = {(row.owner, row.spec.display_name) for row in self.rows.values()}
        taken |= {(row.owner, row.spec.display_name) for row in self.pending.values()}
        if (draft.owner, draft.spec.display_name) in taken:
            message = Message(f"任务名称已存在：{draft.spec.display_name}", "taken")
            raise Conflict(message, (FieldError("name", message),))
        self.last_id += 1
        self.pending[self.last_id] = draft
        return self.last_id

    def find_created(self, key: CreationKey, now: datetime) -> ReservedTask | None:
        self._switch.check()
        made = self.keys.get((key.caller, key.key_hash))
        if made is None:
            return None
        digest, task_id = made
        row, draft = self.rows.get(task_id), self.pending.get(task_id)
        if row is None and draft is None:
            return None
        if digest != key.body_digest:
            raise Conflict(Message("不同的请求", "another request"))
        spec, project_id = (row.spec, row.project_id) if row else (draft.spec, draft.project_id)  # type: ignore[union-attr]
        return ReservedTask(task_id=task_id, active=row is not None, project_id=project_id, spec=spec)

    def reserve_once(self, draft: TaskDraft, key: CreationKey, now: datetime) -> ReservedTask:
        known = self.find_created(key, now)
        if known is not None:
            return known
        task_id = self.reserve(draft, now)
        self.keys[(key.caller, key.key_hash)] = (key.body_digest, task_id)
        return ReservedTask(task_id=task_id, active=False, project_id=draft.project_id, spec=draft.spec)

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
        self._switch.check()
        if task_id not in self.pending:
            raise NotFound(NOT_FOUND)
        draft = self.pending.pop(task_id)
        self.rows[task_id] = TaskRecord(
            task_id=task_id,
            owner=draft.owner,
            project_id=draft.project_id,
            project_name="a project",
            namespace=namespace,
            cr_uid=cr_uid,
            cr_name=cr_name,
            generation=generation,
            spec=draft.spec,
            status=ExecutionStatus.PENDING,
            next_run_time=next_run_time,
            ready=None,
            ready_reason=None,
            ready_message=None,
            completed=False,
            created_at=now,
            updated_at=now,
            stats=TaskStats(),
            last_execution=None,
        )
        return self.rows[task_id]

    def register(self, task: TaskProjection, now: datetime, *, only_newer: bool = False) -> int:
        self._switch.check()
        row = self._of(task.cr_uid)
        if only_newer and row.generation == task.generation:
            return row.task_id
        judged = row.ready if row.generation == task.generation else None
        self.rows[row.task_id] = replace(
            row, spec=task.spec, project_id=task.project_id, generation=task.generation, ready=judged, updated_at=now
        )
        return row.task_id

    def set_next_run(
        self, cr_uid: str, next_run_time: datetime | None, *, generation: int, completed: bool = False
    ) -> None:
        row = self._of(cr_uid)
        if row.generation == generation and row.ready is None:
            self.rows[row.task_id] = replace(row, next_run_time=next_run_time, completed=completed)

    def mark_deleted(self, cr_uid: str, now: datetime) -> None:
        self._switch.check()
        del self.rows[self._of(cr_uid).task_id]

    def _of(self, cr_uid: str) -> TaskRecord:
        return next(row for row in self.rows.values() if row.cr_uid == cr_uid)

    def discard(self, task_id: int) -> None:
        self._switch.check()
        self.pending.pop(task_id, None)

    def get(self, task_id: int, *, owner: str | None) -> TaskRecord:
        self._switch.check()
        row = self.rows.get(task_id)
        if row is None or owner not in (None, row.owner):
            raise NotFound(Message("任务不存在", "there is no such task"))
        return row

    def statistics(self, task_id: int, *, owner: str | None, days: int) -> TaskStatistics:
        row = self.get(task_id, owner=owner)
        counted = tuple(self.days.get(task_id, ())[:days])
        return TaskStatistics(stats=row.stats, last_execution=row.last_execution, days=counted)

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
        self._switch.check()
        self.queries.append({"search": search, "project_id": project_id, "type": schedule_type, "sort": sort})
        rows = [
            row
            for row in sorted(self.rows.values(), key=lambda row: -row.task_id)
            if owner in (None, row.owner) and status in (None, row.status) and is_active in (None, row.is_active)
        ]
        return Page(len(rows), page, size, tuple(map(ListedTask.of, rows[(page - 1) * size : page * size])))


class FakeProjects:
    """Projects."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self.pending: dict[int, ProjectSpec] = {}
        self.keys: dict[tuple[str, str], tuple[str, int]] = {}
        self.used: set[int] = set()
        self.retired: dict[int, ProjectRecord] = {}
        self.rows: dict[int, ProjectRecord] = {}
        self.last_id = 0

    def reserve(self, draft: ProjectDraft, now: datetime) -> int:
        self._switch.check()
        if draft.spec.display_name in {row.spec.display_name for row in self.rows.values()}:
            message = Message("项目名称已存在", "taken")
            raise Conflict(message, (FieldError("name", message),))
        self.last_id += 1
        self.pending[self.last_id] = draft.spec
        return self.last_id

    def find_created(self, key: CreationKey, now: datetime) -> ReservedProject | None:
        made = self.keys.get((key.caller, key.key_hash))
        if made is None or (made[1] not in self.rows and made[1] not in self.pending):
            return None
        if made[0] != key.body_digest:
            raise Conflict(Message("不同的请求", "another request"))
        row = self.rows.get(made[1])
        spec = row.spec if row is not None else self.pending[made[1]]
        return ReservedProject(project_id=made[1], active=row is not None, spec=spec)

    def reserve_once(self, draft: ProjectDraft, key: CreationKey, now: datetime) -> ReservedProject:
        known = self.find_created(key, now)
        if known is not None:
            return known
        project_id = self.reserve(draft, now)
        self.keys[(key.caller, key.key_hash)] = (key.body_digest, project_id)
        return ReservedProject(project_id=project_id, active=False, spec=draft.spec)

    def register(self, project: ProjectProjection, now: datetime) -> int:
        self._switch.check()
        row = next(row for row in self.rows.values() if row.cr_uid == project.cr_uid)
        self.rows[row.project_id] = replace(row, spec=project.spec, generation=project.generation, updated_at=now)
        return row.project_id

    def retire(self, project_id: int, now: datetime) -> None:
        self._switch.check()
        if project_id in self.used:
            raise Conflict(Message("使用中", "in use"))
        self.retired[project_id] = self.rows.pop(project_id)

    def restore(self, project_id: int) -> None:
        self.rows[project_id] = self.retired.pop(project_id)

    def activate(
        self, project_id: int, *, cr_uid: str, namespace: str, cr_name: str, generation: int, now: datetime
    ) -> ProjectRecord:
        self._switch.check()
        self.rows[project_id] = ProjectRecord(
            project_id=project_id,
            namespace=namespace,
            cr_uid=cr_uid,
            cr_name=cr_name,
            generation=generation,
            spec=self.pending.pop(project_id),
            ready=None,
            ready_reason=None,
            ready_message=None,
            created_at=now,
            updated_at=now,
        )
        return self.rows[project_id]

    def discard(self, project_id: int) -> None:
        self.pending.pop(project_id, None)

    def get(self, project_id: int) -> ProjectRecord:
        self._switch.check()
        if project_id not in self.rows:
            raise NotFound(NOT_FOUND)
        return self.rows[project_id]

    def list(self, *, user: str | None, page: int, size: int) -> Page[ProjectRecord]:
        self._switch.check()
        rows = [row for row in self.rows.values() if user is None or row.may_use(user)]
        rows.sort(key=lambda row: -row.project_id)
        return Page(len(rows), page, size, tuple(rows[(page - 1) * size : page * size]))


class FakeExecutions:
    """Executions; tests put finished ones into `rows` themselves."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self.requested: dict[tuple[str, str], Execution] = {}
        self.digests: dict[tuple[str, str], str | None] = {}
        self.withdrawn: list[str] = []
        self.rows: dict[str, ExecutionRecord] = {}
        self.pods: dict[str, list[Attempt]] = {}
        self.windows: list[tuple[datetime | None, datetime | None]] = []
        self.sorts: list[str] = []

    def request(self, draft: Execution, *, max_waiting: int = 200, digest: str | None = None) -> RequestedExecution:
        self._switch.check()
        key = (draft.key.task_uid, draft.key.request_key)
        known = self.requested.get(key)
        if known is not None and self.digests[key] != digest:
            raise Conflict(Message("不同的请求", "another request"))
        self.digests[key] = digest
        if known is None:
            if len(self.requested) >= max_waiting:
                raise Conflict(Message("太多", "too many"))
            self.requested[key] = draft
        found = known or draft
        return RequestedExecution(
            execution_id=found.execution_id, time=found.key.time, created=known is None, status=found.state.status
        )

    def finish_all(self) -> None:
        """As if the operator had run everything."""
        for key, draft in self.requested.items():
            self.requested[key] = replace(draft, state=replace(draft.state, status=ExecutionStatus.SUCCESS))

    def withdraw(self, execution_id: str) -> None:
        self.withdrawn.append(execution_id)
        self.requested = {key: row for key, row in self.requested.items() if row.execution_id != execution_id}

    def get(self, execution_id: str, *, owner: str | None) -> ExecutionRecord:
        self._switch.check()
        row = self.rows.get(execution_id)
        if row is None or owner not in (None, row.owner):
            raise NotFound(Message("执行记录不存在", "there is no such execution"))
        return row

    def attempts(self, execution_id: str) -> Sequence[Attempt]:
        return self.pods.get(execution_id, [])

    def running(self, *, owner: str | None, limit: int) -> RunningExecutions:
        self._switch.check()
        rows = [row for row in self.rows.values() if row.status == "RUNNING" and owner in (None, row.owner)]
        items = (
            RunningExecution(
                execution_id=row.execution_id,
                task_id=row.task_id,
                task_name=row.task_name,
                start_time=row.start_time,
                progress_step=row.progress_step,
                progress_percent=row.progress_percent,
            )
            for row in rows[:limit]
        )
        return RunningExecutions(total=len(rows), items=tuple(items))

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
        self._switch.check()
        self.sorts.append(sort)
        self.windows.append((start, end))
        rows = [
            row
            for row in self.rows.values()
            if row.task_id == task_id and owner in (None, row.owner) and status in (None, row.status)
        ]
        return Page(len(rows), page, size, tuple(map(ListedExecution.of, rows[(page - 1) * size : page * size])))


class FakeSystem:
    """The installation's figures; `asked` is the instant since which ends were counted last."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self.answer = SystemSnapshot(
            active_tasks=3, pending_executions=5, running_executions=3, completed_executions=42, heartbeat=None
        )
        self.asked: datetime | None = None

    def snapshot(self, since: datetime) -> SystemSnapshot:
        self._switch.check()
        self.asked = since
        return self.answer


class FakeWorkspaces:
    """Cleanings: `projects` have something to clean, `done` is what the operator has reported for each."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self.projects: list[LiveProject] = []
        self.done: dict[int, WorkspaceCleanup] = {}
        self.cutoff: datetime | None = None

    def projects_to_clean(self, cutoff: datetime) -> list[LiveProject]:
        self._switch.check()
        self.cutoff = cutoff
        return self.projects

    def cleanups(self, request_id: str, project_ids: Collection[int]) -> list[WorkspaceCleanup]:
        self._switch.check()
        return [replace(self.done[id_], request_id=request_id) for id_ in project_ids if id_ in self.done]


class FakeLogs:
    """Logs of the executions of `FakeExecutions`."""

    def __init__(self, executions: FakeExecutions) -> None:
        self._executions = executions
        self.files: dict[tuple[str, LogType], LogFile] = {}

    def show(
        self, execution_id: str, *, owner: str | None, log_type: LogType, lines: int, attempt: int | None = None
    ) -> LogFile:
        self._executions.get(execution_id, owner=owner)
        if attempt is not None and all(pod.number != attempt for pod in self._executions.attempts(execution_id)):
            raise NotFound(Message("该执行没有这次尝试", "the execution has no such attempt"))
        file = self.files[(execution_id, log_type)]
        return replace(file, content=file.content[-lines:])


class FakeLogReader:
    """A log that grows while it is read: lines of attempts, and how it ends."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self.attempts: dict[int, list[str]] = {}
        self.end: LogEnd | None = None
        self.portion = 2
        self.reads: list[LogPosition | None] = []
        self.owners: list[str | None] = []

    def follow(
        self,
        execution_id: str,
        *,
        log_type: LogType,
        after: LogPosition | None,
        attempt: int | None,
        owner: str | None,
    ) -> LogPortion:
        self.reads.append(after)
        self.owners.append(owner)
        self._switch.check()
        stream = "stdout" if log_type == "output" else "stderr"
        for number in sorted(self.attempts):
            if attempt not in (None, number) or (after is not None and number < after.attempt):
                continue
            start = after.line if after is not None and after.attempt == number else 0
            lines = self.attempts[number][start : start + self.portion]
            if lines:
                return LogPortion(lines=tuple(lines), position=LogPosition(number, stream, start + len(lines)))
        return LogPortion(position=after, end=self.end)
