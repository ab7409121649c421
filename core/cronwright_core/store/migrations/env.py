"""Alembic's entry: runs the migrations on the connection that `schema.alembic_config` was given."""

from __future__ import annotations

import re

from alembic import context
from sqlalchemy import Connection

from cronwright_core.store.models import PARTITIONED, metadata

_PARTITION = re.compile(rf"({'|'.join(PARTITIONED)})_y\d{{4}}m\d{{2}}")


def include_name(name: str | None, type_: str, parent_names: object) -> bool:
    """Leaves the monthly partitions out of comparisons: they follow their parents."""
    return type_ != "table" or name is None or _PARTITION.fullmatch(name) is None


def run() -> None:
    """Each migration is a transaction of its own."""
    connection = context.config.attributes.get("connection")
    if not isinstance(connection, Connection):
        raise TypeError("migrations run over `cronwright migrate`, which gives them its connection")
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_name=include_name,
        compare_server_default=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
