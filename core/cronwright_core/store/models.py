"""The tables, as SQLAlchemy Core sees them. The migrations make them; a test holds the two together.

`executions`, `attempts`, `log_streams` and `log_chunks` are partitioned by month of `execution_time`, the time in the
execution's key, which its id repeats: whoever has an id knows the partition. There are no foreign keys from executions
to tasks, as the record outlives the task, and none between partitioned tables, so that a month can be dropped.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from cronwright_core.store.columns import CleanJson, CleanText

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Time = DateTime(timezone=True)
STATES = "state IN ('pending', 'active', 'deleted')"
STATUSES = "status IN ('PENDING', 'RUNNING', 'SUCCESS', 'FAILED', 'TIMEOUT', 'CANCELLED')"
BY_MONTH = "RANGE (execution_time)"

projects = Table(
    "projects",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("state", CleanText, nullable=False),
    Column("cr_uid", CleanText),
    Column("namespace", CleanText),
    Column("cr_name", CleanText),
    Column("generation", BigInteger),
    Column("display_name", CleanText, nullable=False),
    Column("description", CleanText),
    Column("owner", CleanText),
    Column("members", ARRAY(CleanText), nullable=False, server_default=text("'{}'::text[]")),
    Column("image", CleanText, nullable=False),
    Column("spec", CleanJson, nullable=False, comment="All further fields of the spec, named as REST names them"),
    Column("max_concurrent_executions", Integer),
    Column("allow_overrides", Boolean, nullable=False, server_default=false()),
    Column("ready", Boolean),
    Column("ready_reason", CleanText),
    Column("ready_message", CleanText),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Column("deleted_at", Time),
    CheckConstraint(STATES, name="state"),
    UniqueConstraint("cr_uid"),
)
Index(
    "uq_projects_live_display_name", projects.c.display_name, unique=True, postgresql_where=text("state <> 'deleted'")
)
Index("ix_projects_live_cr", projects.c.namespace, projects.c.cr_name, postgresql_where=text("state = 'active'"))

tasks = Table(
    "tasks",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("state", CleanText, nullable=False),
    Column("cr_uid", CleanText),
    Column("namespace", CleanText),
    Column("cr_name", CleanText),
    Column("generation", BigInteger),
    Column("name", CleanText, nullable=False),
    Column("owner", CleanText, nullable=False),
    Column("description", CleanText),
    Column("project_id", BigInteger, ForeignKey("projects.id"), comment="Null while the Project is unknown"),
    Column("schedule_type", CleanText, nullable=False),
    Column("schedule_config", CleanText, nullable=False),
    Column("time_zone", CleanText, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("timeout_seconds", Integer, nullable=False),
    Column("max_instances", Integer, nullable=False),
    Column("retry_count", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("spec", CleanJson, nullable=False, comment="All further fields of the spec, named as REST names them"),
    Column("next_run_time", Time),
    Column("ready", Boolean),
    Column("ready_reason", CleanText),
    Column("ready_message", CleanText),
    Column("completed", Boolean, nullable=False, server_default=false(), comment="A ONCE or DATE task has had its run"),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Column("deleted_at", Time),
    CheckConstraint(STATES, name="state"),
    UniqueConstraint("cr_uid"),
    Index("ix_tasks_project_id", "project_id"),
)
Index("uq_tasks_live_owner_name", tasks.c.owner, tasks.c.name, unique=True, postgresql_where=text("state <> 'deleted'"))
_ACTIVE = text("state = 'active'")
Index(
    "ix_tasks_active_owner_created",
    tasks.c.owner,
    tasks.c.created_at.desc(),
    tasks.c.id.desc(),
    postgresql_where=_ACTIVE,
)
Index("ix_tasks_active_created", tasks.c.created_at.desc(), tasks.c.id.desc(), postgresql_where=_ACTIVE)

owner_tasks = Table(
    "owner_tasks",
    metadata,
    Column("owner", CleanText, primary_key=True),
    Column("active", BigInteger, nullable=False),
)
"""How many active tasks each owner has. Written by a trigger on `tasks` alone."""
Index(
    "ix_tasks_scheduling",
    tasks.c.id,
    postgresql_where=text("state = 'active' AND is_active AND NOT completed"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("caller", CleanText, nullable=False, comment="Who sent the key; keys of two users never meet"),
    Column("kind", CleanText, nullable=False),
    Column("key_hash", CleanText, nullable=False),
    Column("body_digest", CleanText, nullable=False, comment="HMAC of the body under the key itself"),
    Column("row_id", BigInteger, nullable=False, comment="The task or project, which may be gone"),
    Column("created_at", Time, nullable=False),
    PrimaryKeyConstraint("caller", "kind", "key_hash"),
    CheckConstraint("kind IN ('task', 'project')", name="kind"),
    Index("ix_idempotency_keys_created_at", "created_at"),
)

task_stats = Table(
    "task_stats",
    metadata,
    Column("task_id", BigInteger, primary_key=True, autoincrement=False),
    Column("waiting", Integer, nullable=False, server_default="0"),
    Column("running", Integer, nullable=False, server_default="0"),
    Column("success_count", BigInteger, nullable=False, server_default="0"),
    Column("failed_count", BigInteger, nullable=False, server_default="0", comment="FAILED and TIMEOUT"),
    Column("cancelled_count", BigInteger, nullable=False, server_default="0"),
    Column("duration_sum_seconds", Double, nullable=False, server_default="0"),
    Column("duration_count", BigInteger, nullable=False, server_default="0"),
    Column("last_success", Time),
    Column("last_failure", Time),
    Column("last_execution_id", CleanText),
    Column("last_execution_time", Time),
    Column("last_status", CleanText),
    Column("last_start_time", Time),
    Column("last_end_time", Time),
)

execution_days = Table(
    "execution_days",
    metadata,
    Column("task_id", BigInteger, primary_key=True, autoincrement=False),
    Column("day", Date, primary_key=True, comment="UTC"),
    Column("pending", Integer, nullable=False, server_default="0"),
    Column("running", Integer, nullable=False, server_default="0"),
    Column("success", Integer, nullable=False, server_default="0"),
    Column("failed", Integer, nullable=False, server_default="0"),
    Column("timeout", Integer, nullable=False, server_default="0"),
    Column("cancelled", Integer, nullable=False, server_default="0"),
)
"""How many rows of `executions` there are, by the UTC day of `execution_time`: a list's total without counting rows.

Who drops executions for their age takes them out here too (`store.retention`).
"""

task_days = Table(
    "task_days",
    metadata,
    Column("task_id", BigInteger, primary_key=True, autoincrement=False),
    Column("day", Date, primary_key=True, comment="The zone that the task had then"),
    Column("success", Integer, nullable=False, server_default="0"),
    Column("failed", Integer, nullable=False, server_default="0"),
    Column("cancelled", Integer, nullable=False, server_default="0"),
)
"""Ended executions by the day of `execution_time` in the task's time zone; kept when the executions are dropped."""

executions = Table(
    "executions",
    metadata,
    Column("execution_time", Time, nullable=False),
    Column("execution_id", CleanText, nullable=False),
    Column("task_id", BigInteger, nullable=False),
    Column("task_uid", CleanText, nullable=False),
    Column("task_name", CleanText, nullable=False),
    Column("owner", CleanText, nullable=False),
    Column("project_id", BigInteger),
    Column("namespace", CleanText, nullable=False),
    Column("job_name", CleanText, nullable=False),
    Column("job_uid", CleanText),
    Column("kind", CleanText, nullable=False),
    Column("scheduled_time", Time, comment="Null for a manual run"),
    Column("request_key", CleanText, nullable=False, server_default=""),
    Column("requested_by", CleanText),
    Column("status", CleanText, nullable=False),
    Column("reason", CleanText),
    Column("message", CleanText),
    Column("admitted_time", Time),
    Column("start_time", Time),
    Column("end_time", Time),
    Column("exit_code", Integer),
    Column("output_summary", CleanText),
    Column("error_message", CleanText),
    Column("max_memory_mb", Double),
    Column("avg_cpu_percent", Double, comment="Of one CPU"),
    Column(
        "workspace_claim", CleanText, comment="The PersistentVolumeClaim that holds its directory, named as its Job"
    ),
    Column("workspace_removed_at", Time),
    Column("workspace_left_by", CleanText, comment="The last cleaning that could not remove its directory"),
    Column("log_incomplete", Boolean, nullable=False, server_default=false()),
    Column("progress_step", CleanText),
    Column("progress_percent", Integer),
    Column("progress_attempt", Integer, comment="The attempt that said it"),
    Column("parameters", ARRAY(CleanText), comment="Names of the variables given to this run alone"),
    Column("request_digest", CleanText, comment="HMAC of the request's parameters under its key"),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    PrimaryKeyConstraint("execution_time", "execution_id"),
    UniqueConstraint("execution_time", "task_uid", "kind", "request_key"),
    CheckConstraint(STATUSES, name="status"),
    CheckConstraint("kind IN ('Scheduled', 'Adhoc')", name="kind"),
    postgresql_partition_by=BY_MONTH,
)
Index(
    "ix_executions_task_newest",
    executions.c.task_id,
    executions.c.execution_time.desc(),
    executions.c.execution_id.desc(),
)
Index(
    "ix_executions_unfinished",
    executions.c.status,
    executions.c.task_id,
    postgresql_where=text("status IN ('PENDING', 'RUNNING')"),
)
Index(
    "ix_executions_request", executions.c.task_uid, executions.c.request_key, postgresql_where=text("request_key <> ''")
)
Index(
    "ix_executions_workspace",
    executions.c.project_id,
    executions.c.end_time,
    postgresql_where=text("workspace_claim IS NOT NULL AND workspace_removed_at IS NULL"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("execution_time", Time, nullable=False),
    Column("execution_id", CleanText, nullable=False),
    Column("number", Integer, nullable=False),
    Column("pod_name", CleanText, nullable=False),
    Column("pod_uid", CleanText, nullable=False),
    Column("status", CleanText, nullable=False),
    Column("created_time", Time, nullable=False),
    Column("node_name", CleanText),
    Column("start_time", Time),
    Column("end_time", Time),
    Column("exit_code", Integer),
    Column("reason", CleanText),
    Column("message", CleanText),
    Column("max_memory_mb", Double),
    Column("avg_cpu_percent", Double, comment="Of one CPU"),
    PrimaryKeyConstraint("execution_time", "execution_id", "number"),
    UniqueConstraint("execution_time", "execution_id", "pod_uid"),
    CheckConstraint(STATUSES, name="status"),
    postgresql_partition_by=BY_MONTH,
)

log_streams = Table(
    "log_streams",
    metadata,
    Column("execution_time", Time, nullable=False),
    Column("execution_id", CleanText, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("stream", CleanText, nullable=False),
    Column("lines", BigInteger, nullable=False, server_default="0"),
    Column("bytes", BigInteger, nullable=False, server_default="0"),
    Column("last_line_time", Time),
    Column("last_stamp", CleanText, comment="RFC 3339 with nanoseconds, as the kubelet gave it"),
    Column(
        "last_stamp_count",
        Integer,
        nullable=False,
        server_default="0",
        comment="How many stored lines carry last_stamp",
    ),
    Column("partial_line", Boolean, nullable=False, server_default=false()),
    Column("complete", Boolean, nullable=False, server_default=false()),
    Column("incomplete_reason", CleanText),
    Column("last_modified", Time),
    Column("cut_from", BigInteger, comment="The first line that was left out"),
    Column("cut_lines", BigInteger, nullable=False, server_default="0"),
    Column("cut_bytes", BigInteger, nullable=False, server_default="0"),
    PrimaryKeyConstraint("execution_time", "execution_id", "attempt", "stream"),
    CheckConstraint("stream IN ('stdout', 'stderr', 'all')", name="stream"),
    postgresql_partition_by=BY_MONTH,
)

log_chunks = Table(
    "log_chunks",
    metadata,
    Column("execution_time", Time, nullable=False),
    Column("execution_id", CleanText, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("stream", CleanText, nullable=False),
    Column("first_line", BigInteger, nullable=False, comment="Counted from 0"),
    Column("line_count", Integer, nullable=False),
    Column("byte_count", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False, comment="Raw bytes, each line ended by a newline"),
    PrimaryKeyConstraint("execution_time", "execution_id", "attempt", "stream", "first_line"),
    postgresql_partition_by=BY_MONTH,
)

execution_ends = Table(
    "execution_ends",
    metadata,
    Column("slot", Time, primary_key=True, comment="A quarter of an hour: every zone's midnight is a border"),
    Column("count", BigInteger, nullable=False),
)

workspace_cleanups = Table(
    "workspace_cleanups",
    metadata,
    Column("request_id", CleanText, primary_key=True),
    Column("project_id", BigInteger, primary_key=True, autoincrement=False),
    Column("requested_by", CleanText),
    Column("requested_at", Time, nullable=False),
    Column("cutoff", Time, nullable=False, comment="Directories of executions that ended before it go"),
    Column("directories_removed", BigInteger, nullable=False, server_default="0"),
    Column("bytes_freed", BigInteger, nullable=False, server_default="0"),
    Column("directories_failed", BigInteger, nullable=False, server_default="0"),
    Column("oldest_removed", Time, comment="The earliest end of an execution whose directory was removed"),
    Column("job_uid", CleanText, comment="The last Job whose report is in these figures"),
    Column("finished_at", Time, comment="Null while it goes on"),
    Column("problem", CleanText, comment="Why something was left, for people"),
    Column("claims_left", ARRAY(CleanText), comment="Volumes of which a Job could not report"),
)
Index("ix_workspace_cleanups_requested_at", workspace_cleanups.c.requested_at)

operator_heartbeat = Table(
    "operator_heartbeat",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("holder", CleanText, nullable=False),
    Column("version", CleanText, nullable=False),
    Column("time", Time, nullable=False),
    Column("tz_release", CleanText, nullable=False),
    Column("details", CleanJson, nullable=False),
    Column("installation", CleanText, comment="The uid of its operators' Lease"),
    CheckConstraint("id = 1", name="one_row"),
)

PARTITIONED = ("executions", "attempts", "log_streams", "log_chunks")
"""The tables that are partitioned by month."""
