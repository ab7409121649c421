"""Endpoint 12's answer, as the customer's document has it; additions are described as such."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, Field

from cronwright_api.schemas.tasks import LastExecutionOut
from cronwright_core.store.records.tasks import TaskStatistics


class DailyCount(BaseModel):
    """What ended of one day's executions. The day is that of the scheduled time, in the zone the task then had."""

    date: date
    success: int
    failed: int = Field(description="FAILED and TIMEOUT")
    cancelled: int = Field(description="addition to the document; skipped runs are among them")


class ExecutionTrends(BaseModel):
    """How the executions ended, by day."""

    daily_counts: list[DailyCount] = Field(description="the last 30 days that had executions, newest first")


class TaskStatisticsOut(BaseModel):
    """A task's statistics over its whole life, also of executions whose details have been dropped."""

    total_executions: int = Field(description="success_count + failed_count")
    success_count: int
    failed_count: int = Field(description="FAILED and TIMEOUT")
    cancelled_count: int = Field(description="addition to the document; skipped runs are among them")
    success_rate: float = Field(description="0 to 1, four decimals; 0 while none has ended", examples=[0.94])
    average_duration: float = Field(
        description="seconds from start to end, of those that ended by themselves or by timeout; 0 while there is none",
        examples=[42.5],
    )
    last_execution: LastExecutionOut | None
    execution_trends: ExecutionTrends

    @classmethod
    def of(cls, statistics: TaskStatistics) -> TaskStatisticsOut:
        """From the store's record."""
        counts, last = statistics.stats, statistics.last_execution
        days = [
            DailyCount(date=day.day, success=day.success, failed=day.failed, cancelled=day.cancelled)
            for day in statistics.days
        ]
        return cls(
            total_executions=counts.total_executions,
            success_count=counts.success_count,
            failed_count=counts.failed_count,
            cancelled_count=counts.cancelled_count,
            success_rate=round(counts.success_rate, 4),
            average_duration=round(counts.average_duration_seconds or 0.0, 3),
            last_execution=None if last is None else LastExecutionOut.of(last),
            execution_trends=ExecutionTrends(daily_counts=days),
        )
