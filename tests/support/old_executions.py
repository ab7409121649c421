"""Executions of long ago in the database of the installation under test: no cluster has been up for a month."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.store.executions import ExecutionStore
from cronwright_core.store.logs import LogStore
from cronwright_core.store.session import Database
from support.postgres import execute
from support.store_rows import make_append, make_attempt, make_execution


def add_old_execution(task_id: int, project_id: int, days: int) -> str:
    """One that ended so many days ago and printed a line; returns its id."""
    url = os.environ["DATABASE_URL"]
    time = datetime.now(UTC).replace(microsecond=0) - timedelta(days=days)
    attempt = make_attempt(1, f"uid-{task_id}-{days}", ExecutionStatus.SUCCESS)
    old = make_execution(task_id, time, project_id=project_id, attempts=(attempt,))
    database = Database(url, application_name="cronwright-tests")
    try:
        ExecutionStore(database).record([old])
        LogStore(database).append([make_append(old.execution_id, b"from long ago\n", time, complete=True)])
    finally:
        database.dispose()
    # A row that was written within a day stays, whatever its time: somebody may be about to write it again.
    execute(url, "UPDATE executions SET updated_at = execution_time WHERE execution_id = %s", old.execution_id)
    return old.execution_id
