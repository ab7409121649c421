"""Column types that PostgreSQL accepts whatever a program printed: NUL and lone surrogates cannot be stored as text."""

from __future__ import annotations

from typing import Any, TypeAlias

from sqlalchemy import Dialect, Row, Table, Text, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB

AnyRow: TypeAlias = Row[*tuple[Any, ...]]
"""A row of any columns, read by their names."""


def columns_of(table: Table) -> str:
    """The table's columns as this release knows them, for `SELECT` in plain SQL; never `*`.

    A later release's schema has more, which this one could not write back.
    """
    return ", ".join(f"{table.name}.{column.name}" for column in table.c)


def clean_text(text: str) -> str:
    """Drops NUL characters, and replaces what UTF-8 cannot encode by `?`."""
    if "\x00" in text:
        text = text.replace("\x00", "")
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def clean_json(value: Any) -> Any:
    """Applies `clean_text` to every string in a JSON value, keys included."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(str(key)): clean_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean_json(item) for item in value]
    return value


class CleanText(TypeDecorator[str]):
    """`text` that takes any string."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Cleans what goes in."""
        return None if value is None else clean_text(value)


class CleanJson(TypeDecorator[Any]):
    """`jsonb` that takes any JSON value."""

    impl = JSONB
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Cleans what goes in."""
        return clean_json(value)
