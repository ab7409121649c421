"""What attempts use, which directory of a workspace is whose, who cleaned there, and how many executions ended when.

Revision 0004, after 0003. Expand only: the release before leaves the new columns null, so its executions have no
directory that a cleaning would find, and does not count ends.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Waits at most 5 s for any lock, so that a long query cannot make everybody else queue behind a migration."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("attempts", sa.Column("max_memory_mb", sa.Double()))
    op.add_column("attempts", sa.Column("avg_cpu_percent", sa.Double(), comment="Of one CPU"))
    op.alter_column("executions", "avg_cpu_percent", existing_type=sa.Double(), comment="Of one CPU")
    _add_workspaces()
    _create_execution_ends()
    op.create_index(
        "ix_tasks_scheduling",
        "tasks",
        ["id"],
        postgresql_where=sa.text("state = 'active' AND is_active AND NOT completed"),
    )


def downgrade() -> None:
    """Takes it back, with the data that only the new schema can hold."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_index("ix_tasks_scheduling", "tasks")
    op.drop_table("execution_ends")
    op.drop_table("workspace_cleanups")
    op.drop_index("ix_executions_workspace", "executions")
    for column in ("workspace_removed_at", "workspace_claim"):
        op.drop_column("executions", column)
    op.alter_column("executions", "avg_cpu_percent", existing_type=sa.Double(), comment=None)
    for column in ("avg_cpu_percent", "max_memory_mb"):
        op.drop_column("attempts", column)


def _add_workspaces() -> None:
    op.add_column(
        "executions",
        sa.Column(
            "workspace_claim", sa.Text(), comment="The PersistentVolumeClaim that holds its directory, named as its Job"
        ),
    )
    op.add_column("executions", sa.Column("workspace_removed_at", TIME))
    op.create_index(
        "ix_executions_workspace",
        "executions",
        ["project_id", "end_time"],
        postgresql_where=sa.text("workspace_claim IS NOT NULL AND workspace_removed_at IS NULL"),
    )
    op.create_table(
        "workspace_cleanups",
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("requested_by", sa.Text()),
        sa.Column("requested_at", TIME, nullable=False),
        sa.Column("cutoff", TIME, nullable=False, comment="Directories of executions that ended before it go"),
        sa.Column("directories_removed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bytes_freed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("directories_failed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("oldest_removed", TIME, comment="The earliest end of an execution whose directory was removed"),
        sa.Column("job_uid", sa.Text(), comment="The last Job whose report is in these figures"),
        sa.Column("finished_at", TIME, comment="Null while it goes on"),
        sa.Column("problem", sa.Text(), comment="Why something was left, for people"),
        sa.PrimaryKeyConstraint("request_id", "project_id", name="pk_workspace_cleanups"),
    )
    op.create_index("ix_workspace_cleanups_requested_at", "workspace_cleanups", ["requested_at"])


def _create_execution_ends() -> None:
    op.create_table(
        "execution_ends",
        sa.Column("slot", TIME, nullable=False, comment="A quarter of an hour: every zone's midnight is a border"),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("slot", name="pk_execution_ends"),
    )
    # What has ended today in any zone; the span of execution_time lets the planner leave older months out.
    op.execute(
        "INSERT INTO execution_ends (slot, count)"
        " SELECT date_bin('15 minutes', end_time, TIMESTAMPTZ '2000-01-01 00:00:00+00'), count(*) FROM executions"
        " WHERE execution_time > now() - INTERVAL '32 days' AND end_time > now() - INTERVAL '2 days'"
        " AND status IN ('SUCCESS', 'FAILED', 'TIMEOUT', 'CANCELLED')"
        " AND (start_time IS NOT NULL OR status <> 'CANCELLED') GROUP BY 1"
    )
