"""What was left out of the middle of a log; logs are compressed by lz4; `complete` alone closes a stream.

Revision 0007, after 0006. Expand only: the release before this one neither cuts nor reads the new columns.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Storing a log is three times as fast as with pglz, which is the default. A server may have been built without lz4. The
# change of a parent does not reach its partitions; new partitions are made like the parent.
LZ4 = """
DO $$
DECLARE tab regclass;
BEGIN
    IF EXISTS (SELECT FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)) THEN
        FOR tab IN SELECT relid FROM pg_partition_tree('log_chunks') LOOP
            EXECUTE format('ALTER TABLE %s ALTER COLUMN data SET COMPRESSION lz4', tab);
        END LOOP;
    END IF;
END $$
"""


def upgrade() -> None:
    """Waits at most 5 s for any lock."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("log_streams", sa.Column("cut_from", sa.BigInteger(), comment="The first line that was left out"))
    for name in ("cut_lines", "cut_bytes"):
        op.add_column("log_streams", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    # A reason closed a stream so far; now a gap in the middle has one too, and more may follow.
    op.execute("UPDATE log_streams SET complete = true WHERE incomplete_reason IS NOT NULL AND NOT complete")
    op.execute(LZ4)


def downgrade() -> None:
    """The compression stays: it is a matter of speed only."""
    for name in ("cut_bytes", "cut_lines", "cut_from"):
        op.drop_column("log_streams", name)
