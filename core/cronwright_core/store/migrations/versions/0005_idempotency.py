"""Keys of repeated creations, and what one run was given.

Revision 0005, after 0004. Expand only: the release before knows no keys, and runs without parameters.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Waits at most 5 s for any lock, so that a long query cannot make everybody else queue behind a migration."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "idempotency_keys",
        sa.Column("caller", sa.Text(), nullable=False, comment="Who sent the key; keys of two users never meet"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("body_digest", sa.Text(), nullable=False, comment="HMAC of the body under the key itself"),
        sa.Column("row_id", sa.BigInteger(), nullable=False, comment="The task or project, which may be gone"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("caller", "kind", "key_hash", name="pk_idempotency_keys"),
        sa.CheckConstraint("kind IN ('task', 'project')", name="ck_idempotency_keys_kind"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])
    op.add_column(
        "executions",
        sa.Column("parameters", postgresql.ARRAY(sa.Text()), comment="Names of the variables given to this run alone"),
    )
    op.add_column(
        "executions",
        sa.Column("request_digest", sa.Text(), comment="HMAC of the request's parameters under its key"),
    )


def downgrade() -> None:
    """Takes it back, with the data that only the new schema can hold."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    for column in ("request_digest", "parameters"):
        op.drop_column("executions", column)
    op.drop_table("idempotency_keys")
