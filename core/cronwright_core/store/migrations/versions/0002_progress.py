"""How far a running execution says it is.

Revision 0002, after 0001. Expand only: the release before leaves the new columns null.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Waits at most 5 s for any lock, so that a long query cannot make everybody else queue behind a migration."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("executions", sa.Column("progress_step", sa.Text()))
    op.add_column("executions", sa.Column("progress_percent", sa.Integer()))
    op.add_column("executions", sa.Column("progress_attempt", sa.Integer(), comment="The attempt that said it"))


def downgrade() -> None:
    """Takes it back, with the data that only the new schema can hold."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    for column in ("progress_attempt", "progress_percent", "progress_step"):
        op.drop_column("executions", column)
