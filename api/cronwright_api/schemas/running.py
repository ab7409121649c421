"""Answers of endpoint 14, as the customer's document has them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from cronwright_api.envelope import Instant
from cronwright_core.store.records.executions import RunningExecution


class ProgressOut(BaseModel):
    """How far the program says it is; each is null until its output or its Pod's annotation says it."""

    current_step: str | None = Field(examples=["数据处理"])
    progress_percent: int | None = Field(ge=0, le=100, examples=[65])


class RunningOut(BaseModel):
    """A running execution."""

    task_id: int = Field(examples=[1])
    task_name: str = Field(examples=["数据同步任务"])
    execution_id: str
    start_time: Instant | None
    running_time: int = Field(description="whole seconds since start_time", examples=[180])
    status: Literal["RUNNING"] = "RUNNING"
    progress: ProgressOut

    @classmethod
    def of(cls, running: RunningExecution, now: datetime) -> RunningOut:
        """From the store's record, as seen at `now`."""
        passed = (now - running.start_time).total_seconds() if running.start_time is not None else 0
        return cls(
            task_id=running.task_id,
            task_name=running.task_name,
            execution_id=running.execution_id,
            start_time=running.start_time,
            running_time=max(0, int(passed)),
            progress=ProgressOut(current_step=running.progress_step, progress_percent=running.progress_percent),
        )
