"""Endpoint 13's answer, as the customer's document has it; additions follow below its fields."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from cronwright_api.envelope import Instant


class QueueStatus(BaseModel):
    """Executions that wait, that run, and that ended since midnight in the default time zone; null: not known."""

    pending_tasks: int | None
    running_tasks: int | None
    completed_today: int | None


class NodeMetrics(BaseModel):
    """Where cpu_percent, memory_percent and disk_usage come from, and why one is null."""

    source: str | None = Field(description="kubelet or metrics.k8s.io")
    nodes: int | None = Field(description="nodes of the cluster")
    nodes_measured: int | None = Field(description="nodes that these figures speak of")
    sampled_at: Instant | None
    reason: str | None = Field(description="one CamelCase word: why a figure is null or speaks of some nodes only")
    message: str | None = Field(description="the reason as a sentence")
    detail: str | None = Field(description="what the operator met; for administrators")


class SystemMetrics(BaseModel):
    """The state of the scheduler and of the nodes; percentages of what all nodes together have."""

    cpu_percent: float | None
    memory_percent: float | None
    disk_usage: float | None = Field(description="percent of the nodes' root file systems")
    active_tasks: int | None = Field(description="tasks that are neither paused nor finished")
    scheduler_status: Literal["RUNNING", "STOPPED"] | None = Field(
        description="STOPPED: no sign of life of the operator for 45 seconds; null: the database is away"
    )
    queue_status: QueueStatus
    database_status: Literal["HEALTHY", "UNHEALTHY"]
    redis_status: Literal["DISABLED"] = Field(default="DISABLED", description="there is no Redis in Cronwright")
    last_updated: Instant
    scheduler_heartbeat: Instant | None = Field(description="the operator's last sign of life")
    scheduler_version: str | None
    node_metrics: NodeMetrics
