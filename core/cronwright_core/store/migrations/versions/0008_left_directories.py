"""Which cleaning has left a directory where it is, and which volumes it could not have.

Revision 0008, after 0007. Expand only: the release before leaves the new columns null, and ends a cleaning at its first
problem as it did.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Waits at most 5 s for any lock, so that a long query cannot make everybody else queue behind a migration."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column(
        "executions",
        sa.Column("workspace_left_by", sa.Text(), comment="The last cleaning that could not remove its directory"),
    )
    op.add_column(
        "workspace_cleanups",
        sa.Column("claims_left", ARRAY(sa.Text()), comment="Volumes of which a Job could not report"),
    )


def downgrade() -> None:
    """Takes it back, with the data that only the new schema can hold."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_column("workspace_cleanups", "claims_left")
    op.drop_column("executions", "workspace_left_by")
