"""The databases of `support.postgres` as fixtures."""

from __future__ import annotations

from support.postgres import database, database_url, own_server

__all__ = ["database", "database_url", "own_server"]
