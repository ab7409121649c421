"""Bodies and answers of the task endpoints, as the customer's document has them; additions follow below these."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, Field

from cronwright_api.envelope import Instant
from cronwright_api.schemas.container import Env, Resources, env_to_kube, resources_to_kube
from cronwright_api.schemas.fields import BODY, Text
from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.domain.task import (
    DEFAULT_PENDING_DEADLINE_SECONDS,
    DEFAULT_TIMEOUT_SECONDS,
    ConcurrencyPolicy,
    Overrides,
    TaskSpec,
)
from cronwright_core.domain.validation import BOUNDS, NAME_LENGTH, normalize_name
from cronwright_core.store.records.tasks import LastExecution, TaskRecord

ScheduleTypeName = Literal["ONCE", "CRON", "INTERVAL", "DATE"]
ConcurrencyPolicyName = Literal["Forbid", "Queue", "Replace"]


def bounds_of(field: str) -> dict[str, Any]:
    """For the OpenAPI document; judged by domain.validation: API and operator must agree on the rule and its words."""
    low, high, _ = BOUNDS[field]
    return {"minimum": low, "maximum": high}


class TaskCreate(BaseModel):
    """Body of endpoint 1. Lengths, bounds and the schedule are judged by `domain.validation`."""

    model_config = BODY

    name: Text = Field(
        json_schema_extra={"minLength": NAME_LENGTH[0], "maxLength": NAME_LENGTH[1]}, examples=["数据备份任务"]
    )
    description: Text | None = None
    project_id: int = Field(examples=[1])
    schedule_type: ScheduleTypeName
    schedule_config: Text = Field(
        default="", description="required unless schedule_type is ONCE", examples=["0 2 * * *"]
    )
    is_active: bool = True
    timeout_seconds: int = Field(default=DEFAULT_TIMEOUT_SECONDS, json_schema_extra=bounds_of("timeout_seconds"))
    max_instances: int = Field(default=1, json_schema_extra=bounds_of("max_instances"))
    retry_count: int = Field(default=0, json_schema_extra=bounds_of("retry_count"))
    priority: int = Field(default=0, json_schema_extra=bounds_of("priority"))
    time_zone: Text = Field(
        default="UTC", description="IANA name; the default is the installation's", examples=["Asia/Shanghai"]
    )
    concurrency_policy: ConcurrencyPolicyName = "Forbid"
    max_queued: int = Field(default=10, json_schema_extra=bounds_of("max_queued"))
    starting_deadline_seconds: int | None = Field(
        default=None, json_schema_extra=bounds_of("starting_deadline_seconds")
    )
    pending_deadline_seconds: int = Field(
        default=DEFAULT_PENDING_DEADLINE_SECONDS, json_schema_extra=bounds_of("pending_deadline_seconds")
    )
    spread_seconds: int = Field(default=0, json_schema_extra=bounds_of("spread_seconds"))
    image: Text | None = Field(default=None, description="only where the project allows overrides")
    command: list[Text] | None = Field(default=None, description="only where the project allows overrides")
    args: list[Text] | None = None
    env: Env = Field(default_factory=list)
    resources: Resources | None = None

    def to_spec(self, *, owner: str, project_name: str, default_time_zone: str) -> TaskSpec:
        """The resource's spec that this body asks for."""
        return TaskSpec(
            display_name=normalize_name(self.name),
            project_name=project_name,
            schedule_type=ScheduleType(self.schedule_type),
            schedule=self.schedule_config,
            description=self.description,
            owner=owner,
            time_zone=self.time_zone if "time_zone" in self.model_fields_set else default_time_zone,
            suspend=not self.is_active,
            timeout_seconds=self.timeout_seconds,
            max_instances=self.max_instances,
            retry_count=self.retry_count,
            priority=self.priority,
            concurrency_policy=ConcurrencyPolicy(self.concurrency_policy),
            max_queued=self.max_queued,
            starting_deadline_seconds=self.starting_deadline_seconds,
            pending_deadline_seconds=self.pending_deadline_seconds,
            spread_seconds=self.spread_seconds,
            overrides=Overrides(
                image=self.image,
                command=None if self.command is None else tuple(self.command),
                args=None if self.args is None else tuple(self.args),
                env=env_to_kube(self.env),
                resources=None if self.resources is None else resources_to_kube(self.resources),
            ),
        )


class TaskUpdate(TaskCreate):
    """Body of endpoint 4: any of endpoint 1's fields; what is absent stays as it is."""

    name: Text = Field(default="", json_schema_extra={"minLength": NAME_LENGTH[0], "maxLength": NAME_LENGTH[1]})
    project_id: int = 0
    schedule_type: ScheduleTypeName = "ONCE"

    def changed(self, current: TaskSpec, *, project_name: str | None) -> TaskSpec:
        """`current` with the fields that this body holds; `project_name` is where it moves if it names a project."""
        given = self.model_fields_set
        wanted = self.to_spec(owner="", project_name=project_name or current.project_name, default_time_zone="UTC")
        fields: dict[str, Any] = {
            spec_field: getattr(wanted, spec_field)
            for field, spec_field in _SPEC_FIELDS.items()
            if field in given and (field != "project_id" or project_name is not None)
        }
        if (
            wanted.schedule_type is not current.schedule_type
            and "schedule_type" in given
            and "schedule_config" not in given
        ):
            fields["schedule"] = ""  # the old text belongs to the old type
        own = {field: getattr(wanted.overrides, field) for field in _OVERRIDES if field in given}
        return replace(current, **fields, overrides=replace(current.overrides, **own))


_OVERRIDES = ("image", "command", "args", "env", "resources")
_SPEC_FIELDS = {
    "name": "display_name",
    "description": "description",
    "project_id": "project_name",
    "schedule_type": "schedule_type",
    "schedule_config": "schedule",
    "is_active": "suspend",
    "timeout_seconds": "timeout_seconds",
    "max_instances": "max_instances",
    "retry_count": "retry_count",
    "priority": "priority",
    "time_zone": "time_zone",
    "concurrency_policy": "concurrency_policy",
    "max_queued": "max_queued",
    "starting_deadline_seconds": "starting_deadline_seconds",
    "pending_deadline_seconds": "pending_deadline_seconds",
    "spread_seconds": "spread_seconds",
}


class LastExecutionOut(BaseModel):
    """The newest execution of a task, in a list."""

    execution_id: str
    status: ExecutionStatus
    start_time: Instant | None
    duration_seconds: int | None

    @classmethod
    def of(cls, last: LastExecution) -> LastExecutionOut:
        """From the store's record."""
        return cls(
            execution_id=last.execution_id,
            status=last.status,
            start_time=last.start_time,
            duration_seconds=last.duration_seconds,
        )


class ExecutionSummary(BaseModel):
    """Counts of ended executions; TIMEOUT counts as failed."""

    total_executions: int
    success_count: int
    failed_count: int
    last_success: Instant | None
    last_failure: Instant | None
    cancelled_count: int


class TaskItem(BaseModel):  # written by `schemas.lists`
    """A task in endpoint 2's list."""

    id: int
    name: str
    description: str | None
    project_id: int | None
    schedule_type: ScheduleTypeName
    schedule_config: str
    is_active: bool
    status: ExecutionStatus
    next_run_time: Instant | None
    last_execution: LastExecutionOut | None
    created_at: Instant
    updated_at: Instant
    owner: str
    time_zone: str


class TaskOut(BaseModel):
    """A whole task, as endpoint 1 answers."""

    id: int
    name: str
    description: str | None
    project_id: int | None
    schedule_type: ScheduleTypeName
    schedule_config: str
    is_active: bool
    status: ExecutionStatus
    timeout_seconds: int
    max_instances: int
    retry_count: int
    priority: int
    next_run_time: Instant | None
    created_at: Instant
    updated_at: Instant
    owner: str
    time_zone: str
    concurrency_policy: ConcurrencyPolicyName
    max_queued: int
    starting_deadline_seconds: int | None
    pending_deadline_seconds: int
    spread_seconds: int
    image: str | None
    command: list[str] | None
    args: list[str] | None
    env: list[dict[str, Any]]
    resources: dict[str, Any] | None
    ready: bool | None = Field(description="whether the operator accepts it; null until it has looked")
    ready_reason: str | None
    ready_message: str | None

    @classmethod
    def of(cls, task: TaskRecord) -> TaskOut:
        """From the store's record."""
        return cls(**_task_fields(task))


class TaskDetail(TaskOut):
    """A whole task with its project's name and its counts, as endpoint 3 answers."""

    project_name: str | None
    execution_summary: ExecutionSummary

    @classmethod
    def of(cls, task: TaskRecord) -> TaskDetail:
        """From the store's record."""
        stats = task.stats
        summary = ExecutionSummary(
            total_executions=stats.total_executions,
            success_count=stats.success_count,
            failed_count=stats.failed_count,
            last_success=stats.last_success,
            last_failure=stats.last_failure,
            cancelled_count=stats.cancelled_count,
        )
        return cls(**_task_fields(task), project_name=task.project_name, execution_summary=summary)


def _task_fields(task: TaskRecord) -> dict[str, Any]:
    spec, overrides = task.spec, task.spec.overrides
    return {
        "id": task.task_id,
        "name": spec.display_name,
        "description": spec.description,
        "project_id": task.project_id,
        "schedule_type": spec.schedule_type.value,
        "schedule_config": spec.schedule,
        "is_active": task.is_active,
        "status": task.status,
        "timeout_seconds": spec.timeout_seconds,
        "max_instances": spec.max_instances,
        "retry_count": spec.retry_count,
        "priority": spec.priority,
        "next_run_time": task.next_run_time,
        "created_at": task.created_at,
        "updated_at": task.updated_at,
        "owner": task.owner,
        "time_zone": spec.time_zone,
        "concurrency_policy": spec.concurrency_policy.value,
        "max_queued": spec.max_queued,
        "starting_deadline_seconds": spec.starting_deadline_seconds,
        "pending_deadline_seconds": spec.pending_deadline_seconds,
        "spread_seconds": spec.spread_seconds,
        "image": overrides.image,
        "command": None if overrides.command is None else list(overrides.command),
        "args": None if overrides.args is None else list(overrides.args),
        "env": [dict(variable) for variable in overrides.env],
        "resources": None if overrides.resources is None else dict(overrides.resources),
        "ready": task.ready,
        "ready_reason": task.ready_reason,
        "ready_message": task.ready_message,
    }
