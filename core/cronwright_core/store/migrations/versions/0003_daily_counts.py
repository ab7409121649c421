"""Counts of executions by day: one table for totals of lists, one for the trend that outlives the details.

Revision 0003, after 0002. Expand only. Both tables are filled from the executions that are there.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATUSES = ("PENDING", "RUNNING", "SUCCESS", "FAILED", "TIMEOUT", "CANCELLED")


def upgrade() -> None:
    """Waits at most 5 s for any lock. Writers wait meanwhile, so that no execution is left out of the counts."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    _create("execution_days", "UTC", [status.lower() for status in STATUSES])
    _create("task_days", "The zone that the task had then", ["success", "failed", "cancelled"])
    op.execute("LOCK TABLE executions IN SHARE MODE")
    op.execute(
        "INSERT INTO execution_days SELECT task_id, (execution_time AT TIME ZONE 'UTC')::date, "
        + ", ".join(f"count(*) FILTER (WHERE status = '{status}')" for status in STATUSES)
        + " FROM executions GROUP BY 1, 2"
    )
    op.execute(
        # A zone that the server does not know must not stop the migration; UTC stands in for it.
        "WITH zones AS MATERIALIZED (SELECT name AS zone FROM pg_timezone_names),"
        " known AS (SELECT id, zone FROM tasks JOIN zones ON zone = time_zone)"
        " INSERT INTO task_days"
        " SELECT task_id, (execution_time AT TIME ZONE coalesce(zone, 'UTC'))::date,"
        " count(*) FILTER (WHERE status = 'SUCCESS'),"
        " count(*) FILTER (WHERE status IN ('FAILED', 'TIMEOUT')),"
        " count(*) FILTER (WHERE status = 'CANCELLED')"
        " FROM executions LEFT JOIN known ON known.id = task_id"
        " WHERE status NOT IN ('PENDING', 'RUNNING') GROUP BY 1, 2"
    )


def downgrade() -> None:
    """Takes it back; the trend of days whose executions are gone is lost."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_table("task_days")
    op.drop_table("execution_days")


def _create(name: str, zone: str, counts: list[str]) -> None:
    op.create_table(
        name,
        sa.Column("task_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False, comment=zone),
        *(sa.Column(count, sa.Integer(), server_default="0", nullable=False) for count in counts),
        sa.PrimaryKeyConstraint("task_id", "day", name=f"pk_{name}"),
    )
