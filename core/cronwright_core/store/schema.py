"""The schema's migrations: which revision a database has, and how it is brought to the newest.

Alembic is configured here, by code: there is no alembic.ini to ship. Migrations expand first and contract in a later
release, so that the release before meets a schema that it can use.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from cronwright_core.store.partitions import ensure_partitions, upcoming_months

MIGRATIONS = Path(__file__).parent / "migrations"


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, working on `connection` if one is given."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def head_revision() -> str:
    """The newest revision that this release knows."""
    revision = ScriptDirectory.from_config(alembic_config()).get_current_head()
    if revision is None:
        raise RuntimeError("the migrations are missing from this installation")
    return revision


def current_revision(connection: Connection) -> str | None:
    """The database's revision, or None if it has no schema of ours."""
    return MigrationContext.configure(connection).get_current_revision()


def is_known(revision: str) -> bool:
    """Whether this release has the revision; if not, a later release has migrated the database."""
    try:
        return ScriptDirectory.from_config(alembic_config()).get_revision(revision) is not None
    except CommandError:
        return False


def upgrade(connection: Connection, now: datetime) -> str:
    """Brings the schema to the newest revision, makes the partitions of the months around `now`, and commits.

    Returns the database's revision. One that this release does not know stays: the schema of a later release suits the
    one before it. The caller sees to it that nobody else does the same (`command.migrate` holds an advisory lock).
    """
    revision = current_revision(connection)
    connection.commit()
    if revision is None or is_known(revision):
        command.upgrade(alembic_config(connection), "head")
        connection.commit()
    ensure_partitions(connection, upcoming_months(now))
    connection.commit()
    revision = current_revision(connection)
    connection.commit()
    if revision is None:
        raise RuntimeError("the migrations left no revision behind")
    return revision
