"""An execution whose Job is gone, closed in PostgreSQL: nothing of it stays open, and what is missing is marked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cronwright_core.domain.errors import Message, Unavailable
from cronwright_core.domain.execution import Execution, ExecutionStatus
from cronwright_core.store.executions import ExecutionStore
from cronwright_core.store.logs import LogStore
from cronwright_core.store.projects import ProjectStore
from cronwright_core.store.records.executions import RecordResult
from cronwright_core.store.session import Database
from cronwright_core.store.tasks import TaskStore
from cronwright_operator.upkeep.lost import OUTPUT_LOST
from cronwright_operator.upkeep.orphans import Orphans
from support.fake_objects import FakeObjects
from support.store_rows import add_task, make_append, make_attempt, make_execution

NOW = datetime.now(UTC).replace(microsecond=0)
TIME = NOW - timedelta(hours=1)
MARK = f"[cronwright: output may be missing here: {OUTPUT_LOST}]"


class FailingOnce(ExecutionStore):
    """A database that goes away between the marks and the end."""

    failures = 1

    def record(self, batch: Sequence[Execution]) -> RecordResult:
        if self.failures:
            self.failures -= 1
            raise Unavailable(Message("数据库不可用", "the database does not answer"))
        return super().record(batch)


def sweep(database: Database, executions: ExecutionStore) -> None:
    cache: Any = SimpleNamespace(tasks=list, projects=list)
    orphans = Orphans(
        FakeObjects(NOW, namespaces=["team"]),
        cache,
        cast(Any, []),
        executions,
        LogStore(database),
        TaskStore(database),
        ProjectStore(database),
        (None,),
        now=lambda: NOW,
    )
    asyncio.run(orphans.sweep())


def running(database: Database) -> Execution:
    ended = make_attempt(1, "first", start_time=TIME, end_time=TIME + timedelta(seconds=5))
    open_ = make_attempt(2, "second", ExecutionStatus.RUNNING, start_time=TIME + timedelta(seconds=20))
    run = make_execution(add_task(database), TIME, ExecutionStatus.RUNNING, attempts=(ended, open_), job_uid="job-uid")
    ExecutionStore(database).record([run])
    logs = LogStore(database)
    logs.append([make_append(run.execution_id, b"tried\n", TIME)])
    logs.finish(run.execution_id, 1, "stdout", "stderr", complete=True)
    logs.append([make_append(run.execution_id, b"tried again\n", TIME, attempt=2)])
    return run


def test_nothing_of_a_lost_execution_stays_open(database: Database) -> None:
    run = running(database)
    executions = ExecutionStore(database)
    sweep(database, executions)
    record = executions.get(run.execution_id, owner=None)
    assert (record.status, record.reason, record.log_incomplete) == (ExecutionStatus.FAILED, "JobLost", True)
    first, second = executions.attempts(run.execution_id)
    assert (first.reason, first.end_time) == (None, TIME + timedelta(seconds=5))
    assert (second.status, second.reason, second.end_time) == (ExecutionStatus.FAILED, "JobLost", NOW)
    output = LogStore(database).read(run.execution_id, log_type="output", lines=10)
    assert (output.content, output.complete, output.incomplete) == (("tried", "tried again", MARK), True, True)


def test_a_database_that_goes_away_in_between_leaves_one_mark(database: Database) -> None:
    run = running(database)
    executions = FailingOnce(database)
    with pytest.raises(Unavailable):
        sweep(database, executions)
    assert executions.get(run.execution_id, owner=None).status is ExecutionStatus.RUNNING
    sweep(database, executions)
    assert executions.get(run.execution_id, owner=None).reason == "JobLost"
    for log_type, content in (("output", ("tried", "tried again", MARK)), ("error", (MARK,))):
        assert LogStore(database).read(run.execution_id, log_type=log_type, lines=10).content == content
