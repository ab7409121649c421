"""Rows that may meet others of the same key. The statements are made once for each table: to make one takes SQLAlchemy
longer than to run it, as `excluded` copies all columns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects.postgresql import Insert, insert

Values = dict[str, Any]


def replace_rows(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """Writes whole rows, new or not, in one message."""
    if rows:
        connection.execute(_replacing(table), rows)


def add_to_rows(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """Adds to the numbers of rows that are there, or makes them; every column beside the key is a number."""
    if rows:
        connection.execute(_adding(table), rows)


@cache
def _replacing(table: Table) -> Insert:
    statement = insert(table)
    updates = {column.name: statement.excluded[column.name] for column in table.c if not column.primary_key}
    return statement.on_conflict_do_update(constraint=table.primary_key, set_=updates)


@cache
def _adding(table: Table) -> Insert:
    statement = insert(table)
    sums = {
        column.name: table.c[column.name] + statement.excluded[column.name]
        for column in table.c
        if not column.primary_key
    }
    return statement.on_conflict_do_update(constraint=table.primary_key, set_=sums)
