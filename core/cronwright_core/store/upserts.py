"""INSERT statements that meet rows of the same key. Made once for each table: to write one takes SQLAlchemy longer than
to run it, as `excluded` copies all columns."""

from __future__ import annotations

from functools import cache

from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import Insert, insert


@cache
def replacing(table: Table) -> Insert:
    """Writes whole rows, new or not."""
    statement = insert(table)
    updates = {column.name: statement.excluded[column.name] for column in table.c if not column.primary_key}
    return statement.on_conflict_do_update(constraint=table.primary_key, set_=updates)


@cache
def adding(table: Table) -> Insert:
    """Adds to the numbers of rows that are there; every column beside the key is one."""
    statement = insert(table)
    sums = {
        column.name: table.c[column.name] + statement.excluded[column.name]
        for column in table.c
        if not column.primary_key
    }
    return statement.on_conflict_do_update(constraint=table.primary_key, set_=sums)
