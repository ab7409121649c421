"""What is measured: each read, as the path that a client asks for and as the call of the stores that answers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from bench.api.fill import BUSY_TASK
from cronwright_api.settings import BASE_PATH
from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.store.executions import ExecutionStore
from cronwright_core.store.logs import LogStore
from cronwright_core.store.projects import ProjectStore
from cronwright_core.store.session import Database
from cronwright_core.store.tasks import TaskStore

OWNER = "alice"


@dataclass(frozen=True)
class Read:
    """`goal`: whether the goal (3 times the empty route) is set for it."""

    name: str
    path: str
    call: Callable[[], object]
    goal: bool = False


def all_reads(database: Database) -> list[Read]:
    """Every read endpoint of the product that asks PostgreSQL, with the variants that could be slow."""
    tasks, executions = TaskStore(database), ExecutionStore(database)
    usual = 4711 % tasks.list(owner=OWNER, page=1, size=1).total + 2
    mine = {"owner": OWNER, "size": 20}
    deep_task, deep_run = _last_page(tasks.list(page=1, **mine).total), _last_page(_total(executions)) * 3 // 4
    newest = executions.list(usual, page=1, **mine).items[0]
    start, end = _cut(executions)

    def read_detail() -> None:
        executions.get(newest.execution_id, owner=OWNER)
        executions.attempts(newest.execution_id)

    def read_log() -> None:
        LogStore(database).show(newest.execution_id, owner=OWNER, log_type="output", lines=10_000)

    busy = f"/tasks/{BUSY_TASK}/executions"
    failed = ExecutionStatus.FAILED
    return [
        Read("task list", "/tasks", lambda: tasks.list(page=1, **mine), goal=True),
        Read("task list, last page", f"/tasks?page={deep_task}", lambda: tasks.list(page=deep_task, **mine)),
        Read(
            "task list, status",
            "/tasks?status=RUNNING",
            lambda: tasks.list(page=1, status=ExecutionStatus.RUNNING, **mine),
        ),
        Read("task list, search", "/tasks?search=4711", lambda: tasks.list(page=1, search="4711", **mine)),
        Read(
            "task list, by next run",
            "/tasks?sort=next_run_time",
            lambda: tasks.list(page=1, sort="next_run_time", **mine),
        ),
        Read("task", f"/tasks/{usual}", lambda: tasks.get(usual, owner=OWNER)),
        Read("task statistics", f"/tasks/{usual}/stats", lambda: tasks.statistics(usual, owner=OWNER, days=30)),
        Read("execution list", f"/tasks/{usual}/executions", lambda: executions.list(usual, page=1, **mine), goal=True),
        Read("execution list, busy task", busy, lambda: executions.list(BUSY_TASK, page=1, **mine), goal=True),
        Read(
            "execution list, deep page",
            f"{busy}?page={deep_run}",
            lambda: executions.list(BUSY_TASK, page=deep_run, **mine),
        ),
        Read(
            "execution list, status",
            f"{busy}?status=FAILED",
            lambda: executions.list(BUSY_TASK, page=1, status=failed, **mine),
        ),
        Read(
            "execution list, cut days",
            f"{busy}?start_date={quote(start.isoformat())}&end_date={quote(end.isoformat())}",
            lambda: executions.list(BUSY_TASK, page=1, start=start, end=end, **mine),
        ),
        Read("execution", f"/executions/{newest.execution_id}", read_detail),
        Read("log", f"/executions/{newest.execution_id}/logs/file", read_log),
        Read("running", "/running", lambda: executions.running(owner=OWNER, limit=1000)),
        Read("project list", "/projects", lambda: ProjectStore(database).list(user=OWNER, page=1, size=20)),
    ]


def url_of(read: Read) -> str:
    """The whole path."""
    return BASE_PATH + read.path


def _total(executions: ExecutionStore) -> int:
    return executions.list(BUSY_TASK, owner=OWNER, page=1, size=1).total


def _last_page(total: int) -> int:
    return max(1, -(-total // 20))


def _cut(executions: ExecutionStore) -> tuple[datetime, datetime]:
    """A stretch that begins and ends in the middle of a day."""
    runs = executions.list(BUSY_TASK, owner=OWNER, page=1, size=100).items
    oldest = executions.list(BUSY_TASK, owner=OWNER, page=1, size=1, sort="time").items[0]
    middle = oldest.time + (runs[0].time - oldest.time) / 2
    return middle.replace(hour=7, minute=30, second=0, microsecond=0), runs[0].time.replace(hour=0, minute=20)
