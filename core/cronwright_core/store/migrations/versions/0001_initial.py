"""The first schema: tasks, projects, executions with attempts and logs by month, the operator's heartbeat.

Revision 0001. The partitions themselves are made by `partitions.ensure_partitions`, not here: migrations stay as they
are written, while months go on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.Text()
TIME = sa.DateTime(timezone=True)
STATES = "state IN ('pending', 'active', 'deleted')"
STATUSES = "status IN ('PENDING', 'RUNNING', 'SUCCESS', 'FAILED', 'TIMEOUT', 'CANCELLED')"
BY_MONTH = "RANGE (execution_time)"


def upgrade() -> None:
    """Makes all tables."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    _create_projects()
    _create_tasks()
    _create_task_stats()
    _create_executions()
    _create_attempts()
    _create_log_streams()
    _create_log_chunks()
    _create_operator_heartbeat()


def downgrade() -> None:
    """Drops all tables, partitions and their data included."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table in (
        "operator_heartbeat",
        "log_chunks",
        "log_streams",
        "attempts",
        "executions",
        "task_stats",
        "tasks",
        "projects",
    ):
        op.drop_table(table)


def _create_projects() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("cr_uid", TEXT),
        sa.Column("namespace", TEXT),
        sa.Column("cr_name", TEXT),
        sa.Column("generation", sa.BigInteger()),
        sa.Column("display_name", TEXT, nullable=False),
        sa.Column("description", TEXT),
        sa.Column("owner", TEXT),
        sa.Column("members", postgresql.ARRAY(TEXT), server_default=sa.text("'{}'::text[]"), nullable=False),
        sa.Column("image", TEXT, nullable=False),
        sa.Column(
            "spec",
            postgresql.JSONB(),
            nullable=False,
            comment="All further fields of the spec, named as REST names them",
        ),
        sa.Column("max_concurrent_executions", sa.Integer()),
        sa.Column("allow_overrides", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("ready", sa.Boolean()),
        sa.Column("ready_reason", TEXT),
        sa.Column("ready_message", TEXT),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("deleted_at", TIME),
        sa.CheckConstraint(STATES, name="ck_projects_state"),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
        sa.UniqueConstraint("cr_uid", name="uq_projects_cr_uid"),
    )
    op.create_index(
        "ix_projects_live_cr", "projects", ["namespace", "cr_name"], postgresql_where=sa.text("state = 'active'")
    )
    op.create_index(
        "uq_projects_live_display_name",
        "projects",
        ["display_name"],
        unique=True,
        postgresql_where=sa.text("state <> 'deleted'"),
    )


def _create_tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("cr_uid", TEXT),
        sa.Column("namespace", TEXT),
        sa.Column("cr_name", TEXT),
        sa.Column("generation", sa.BigInteger()),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("description", TEXT),
        sa.Column("project_id", sa.BigInteger(), comment="Null while the Project is unknown"),
        sa.Column("schedule_type", TEXT, nullable=False),
        sa.Column("schedule_config", TEXT, nullable=False),
        sa.Column("time_zone", TEXT, nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("timeout_seconds", sa.Integer(), nullable=False),
        sa.Column("max_instances", sa.Integer(), nullable=False),
        sa.Column("retry_count", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column(
            "spec",
            postgresql.JSONB(),
            nullable=False,
            comment="All further fields of the spec, named as REST names them",
        ),
        sa.Column("next_run_time", TIME),
        sa.Column("ready", sa.Boolean()),
        sa.Column("ready_reason", TEXT),
        sa.Column("ready_message", TEXT),
        sa.Column(
            "completed",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="A ONCE or DATE task has had its run",
        ),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("deleted_at", TIME),
        sa.CheckConstraint(STATES, name="ck_tasks_state"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_tasks_project_id_projects"),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
        sa.UniqueConstraint("cr_uid", name="uq_tasks_cr_uid"),
    )
    op.create_index(
        "ix_tasks_active_owner_id",
        "tasks",
        ["owner", sa.literal_column("id DESC")],
        postgresql_where=sa.text("state = 'active'"),
    )
    op.create_index("ix_tasks_project_id", "tasks", ["project_id"])
    op.create_index(
        "uq_tasks_live_owner_name",
        "tasks",
        ["owner", "name"],
        unique=True,
        postgresql_where=sa.text("state <> 'deleted'"),
    )


def _create_task_stats() -> None:
    op.create_table(
        "task_stats",
        sa.Column("task_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("waiting", sa.Integer(), server_default="0", nullable=False),
        sa.Column("running", sa.Integer(), server_default="0", nullable=False),
        sa.Column("success_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failed_count", sa.BigInteger(), server_default="0", nullable=False, comment="FAILED and TIMEOUT"),
        sa.Column("cancelled_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("duration_sum_seconds", sa.Double(), server_default="0", nullable=False),
        sa.Column("duration_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_success", TIME),
        sa.Column("last_failure", TIME),
        sa.Column("last_execution_id", TEXT),
        sa.Column("last_execution_time", TIME),
        sa.Column("last_status", TEXT),
        sa.Column("last_start_time", TIME),
        sa.Column("last_end_time", TIME),
        sa.PrimaryKeyConstraint("task_id", name="pk_task_stats"),
    )


def _create_executions() -> None:
    op.create_table(
        "executions",
        sa.Column("execution_time", TIME, nullable=False),
        sa.Column("execution_id", TEXT, nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("task_uid", TEXT, nullable=False),
        sa.Column("task_name", TEXT, nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("project_id", sa.BigInteger()),
        sa.Column("namespace", TEXT, nullable=False),
        sa.Column("job_name", TEXT, nullable=False),
        sa.Column("job_uid", TEXT),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("scheduled_time", TIME, comment="Null for a manual run"),
        sa.Column("request_key", TEXT, server_default="", nullable=False),
        sa.Column("requested_by", TEXT),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("reason", TEXT),
        sa.Column("message", TEXT),
        sa.Column("admitted_time", TIME),
        sa.Column("start_time", TIME),
        sa.Column("end_time", TIME),
        sa.Column("exit_code", sa.Integer()),
        sa.Column("output_summary", TEXT),
        sa.Column("error_message", TEXT),
        sa.Column("max_memory_mb", sa.Double()),
        sa.Column("avg_cpu_percent", sa.Double()),
        sa.Column("log_incomplete", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint("kind IN ('Scheduled', 'Adhoc')", name="ck_executions_kind"),
        sa.CheckConstraint(STATUSES, name="ck_executions_status"),
        sa.PrimaryKeyConstraint("execution_time", "execution_id", name="pk_executions"),
        sa.UniqueConstraint(
            "execution_time",
            "task_uid",
            "kind",
            "request_key",
            name="uq_executions_execution_time_task_uid_kind_request_key",
        ),
        postgresql_partition_by=BY_MONTH,
    )
    op.create_index(
        "ix_executions_request",
        "executions",
        ["task_uid", "request_key"],
        postgresql_where=sa.text("request_key <> ''"),
    )
    op.create_index(
        "ix_executions_task_newest",
        "executions",
        ["task_id", sa.literal_column("execution_time DESC"), sa.literal_column("execution_id DESC")],
    )
    op.create_index(
        "ix_executions_unfinished",
        "executions",
        ["status", "task_id"],
        postgresql_where=sa.text("status IN ('PENDING', 'RUNNING')"),
    )


def _create_attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("execution_time", TIME, nullable=False),
        sa.Column("execution_id", TEXT, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("pod_name", TEXT, nullable=False),
        sa.Column("pod_uid", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("created_time", TIME, nullable=False),
        sa.Column("node_name", TEXT),
        sa.Column("start_time", TIME),
        sa.Column("end_time", TIME),
        sa.Column("exit_code", sa.Integer()),
        sa.Column("reason", TEXT),
        sa.Column("message", TEXT),
        sa.CheckConstraint(STATUSES, name="ck_attempts_status"),
        sa.PrimaryKeyConstraint("execution_time", "execution_id", "number", name="pk_attempts"),
        sa.UniqueConstraint(
            "execution_time", "execution_id", "pod_uid", name="uq_attempts_execution_time_execution_id_pod_uid"
        ),
        postgresql_partition_by=BY_MONTH,
    )


def _create_log_streams() -> None:
    op.create_table(
        "log_streams",
        sa.Column("execution_time", TIME, nullable=False),
        sa.Column("execution_id", TEXT, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("lines", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_line_time", TIME),
        sa.Column("last_stamp", TEXT, comment="RFC 3339 with nanoseconds, as the kubelet gave it"),
        sa.Column(
            "last_stamp_count",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="How many stored lines carry last_stamp",
        ),
        sa.Column("partial_line", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("complete", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("incomplete_reason", TEXT),
        sa.Column("last_modified", TIME),
        sa.CheckConstraint("stream IN ('stdout', 'stderr', 'all')", name="ck_log_streams_stream"),
        sa.PrimaryKeyConstraint("execution_time", "execution_id", "attempt", "stream", name="pk_log_streams"),
        postgresql_partition_by=BY_MONTH,
    )


def _create_log_chunks() -> None:
    op.create_table(
        "log_chunks",
        sa.Column("execution_time", TIME, nullable=False),
        sa.Column("execution_id", TEXT, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("first_line", sa.BigInteger(), nullable=False, comment="Counted from 0"),
        sa.Column("line_count", sa.Integer(), nullable=False),
        sa.Column("byte_count", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False, comment="Raw bytes, each line ended by a newline"),
        sa.PrimaryKeyConstraint(
            "execution_time", "execution_id", "attempt", "stream", "first_line", name="pk_log_chunks"
        ),
        postgresql_partition_by=BY_MONTH,
    )


def _create_operator_heartbeat() -> None:
    op.create_table(
        "operator_heartbeat",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("holder", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("time", TIME, nullable=False),
        sa.Column("tz_release", TEXT, nullable=False),
        sa.Column("details", postgresql.JSONB(), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_operator_heartbeat_one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_operator_heartbeat"),
    )
