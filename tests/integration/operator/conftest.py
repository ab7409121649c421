"""The databases of `support.postgres` as fixtures."""

from __future__ import annotations

from support.postgres import database, database_url

__all__ = ["database", "database_url"]
