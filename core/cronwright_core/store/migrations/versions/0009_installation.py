"""Whose database it is: the installation that gives the sign of life.

Revision 0009, after 0008. Expand only: the release before leaves the new column as it is, and writes its sign of life
whoever's the last one was.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Waits at most 5 s for any lock, so that a long query cannot make everybody else queue behind a migration."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("operator_heartbeat", sa.Column("installation", sa.Text(), comment="The uid of its operators' Lease"))


def downgrade() -> None:
    """Takes it back, with the data that only the new schema can hold."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_column("operator_heartbeat", "installation")
