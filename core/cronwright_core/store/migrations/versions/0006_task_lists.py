"""What lists of tasks need: an index in their order, and the number of tasks of each owner.

Revision 0006, after 0005. Expand only. A trigger counts, not the stores: a task becomes visible or vanishes at five
places, and in the release before this one too.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COUNT = """
CREATE FUNCTION cronwright_count_tasks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.state = 'active' THEN
        UPDATE owner_tasks SET active = active - 1 WHERE owner = OLD.owner;
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.state = 'active' THEN
        INSERT INTO owner_tasks AS stored (owner, active) VALUES (NEW.owner, 1)
        ON CONFLICT (owner) DO UPDATE SET active = stored.active + 1;
    END IF;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    """Waits at most 5 s for any lock. Writers wait meanwhile, so that no task is left out of the counts."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "owner_tasks",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("active", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_owner_tasks"),
    )
    for columns, name in ((["owner"], "ix_tasks_active_owner_created"), ([], "ix_tasks_active_created")):
        op.create_index(
            name,
            "tasks",
            [*columns, sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
            postgresql_where=sa.text("state = 'active'"),
        )
    op.drop_index("ix_tasks_active_owner_id", table_name="tasks")
    op.execute("LOCK TABLE tasks IN SHARE ROW EXCLUSIVE MODE")
    op.execute("INSERT INTO owner_tasks SELECT owner, count(*) FROM tasks WHERE state = 'active' GROUP BY owner")
    op.execute(COUNT)
    op.execute(
        "CREATE TRIGGER count_tasks AFTER INSERT OR DELETE ON tasks"
        " FOR EACH ROW EXECUTE FUNCTION cronwright_count_tasks()"
    )
    op.execute(
        "CREATE TRIGGER count_changed_tasks AFTER UPDATE ON tasks FOR EACH ROW"
        " WHEN ((OLD.state, OLD.owner) IS DISTINCT FROM (NEW.state, NEW.owner))"
        " EXECUTE FUNCTION cronwright_count_tasks()"
    )


def downgrade() -> None:
    """Takes it back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP TRIGGER count_changed_tasks ON tasks")
    op.execute("DROP TRIGGER count_tasks ON tasks")
    op.execute("DROP FUNCTION cronwright_count_tasks()")
    op.create_index(
        "ix_tasks_active_owner_id",
        "tasks",
        ["owner", sa.literal_column("id DESC")],
        postgresql_where=sa.text("state = 'active'"),
    )
    op.drop_index("ix_tasks_active_created", table_name="tasks")
    op.drop_index("ix_tasks_active_owner_created", table_name="tasks")
    op.drop_table("owner_tasks")
