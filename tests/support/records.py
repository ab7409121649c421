"""What the store answers, for tests of the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cronwright_core.domain.execution import ExecutionKind, ExecutionStatus
from cronwright_core.store.records.executions import ExecutionRecord

ID = "exec-20240101020000-0123456789abcdef"
START = datetime(2024, 1, 1, 2, tzinfo=UTC)


def make_execution(**values: Any) -> ExecutionRecord:
    """An execution of task 1 that succeeded; keywords change its fields."""
    fields: dict[str, Any] = {
        "execution_id": ID,
        "task_id": 1,
        "task_uid": "u",
        "task_name": "数据同步任务",
        "owner": "alice",
        "project_id": 1,
        "project_name": "数据处理项目",
        "namespace": "default",
        "job_name": "j",
        "job_uid": "ju",
        "kind": ExecutionKind.SCHEDULED,
        "time": START,
        "scheduled_time": START,
        "request_key": "",
        "requested_by": None,
        "status": ExecutionStatus.SUCCESS,
        "reason": None,
        "message": None,
        "admitted_time": START,
        "start_time": START,
        "end_time": START + timedelta(seconds=44.6),
        "exit_code": 0,
        "output_summary": "处理了1000条记录，成功同步到数据库",
        "error_message": None,
        "max_memory_mb": None,
        "avg_cpu_percent": None,
        "log_incomplete": False,
        "created_at": START,
        "updated_at": START,
    }
    return ExecutionRecord(**fields | values)
