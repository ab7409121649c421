"""Reads that PostgreSQL parses once for each connection, and whose rows come as plain tuples.

For the few reads that are asked for all the time: a statement of ours is long, so to parse and plan it takes PostgreSQL
longer than to run it, and to send it and wrap its rows takes SQLAlchemy longer than the driver needs. The statement
itself is written with SQLAlchemy like any other; where it cannot be prepared it is sent as any other.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg2
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import ClauseElement

MAX_PREPARED = 64
"""Statements that one connection keeps: each costs the server memory. Further ones are sent whole."""

_NAMES = "cronwright_prepared"
_UNPREPARED = frozenset({"26000", "42P05", "0A000"})
"""No such prepared statement, or one of the name already: a pooler gave us another connection of its own. Or a table
has changed under a statement, as in an upgrade."""
_DIALECT = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
logger = logging.getLogger(__name__)


class Prepared:
    """A statement with all that is needed to send it. Made once, not for each request."""

    def __init__(self, statement: ClauseElement) -> None:
        """`statement` is a `Select` or a `text`, its values `bindparam`s."""
        compiled: Any = statement.compile(dialect=_DIALECT)
        sql = str(compiled)
        self.statement: Any = statement
        self.name = "cw_" + hashlib.sha256(sql.encode()).hexdigest()[:20]
        self._order: tuple[str, ...] = tuple(compiled.positiontup or ())
        self._constants = dict(compiled.params)
        self.prepare = f"PREPARE {self.name} AS {sql}"
        values = ", ".join(["%s"] * len(self._order))
        self.execute = f"EXECUTE {self.name} ({values})" if values else f"EXECUTE {self.name}"

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """The values in the order of EXECUTE."""
        given = {**self._constants, **values}
        return [given[name] for name in self._order]


@contextmanager
def sent_whole() -> Iterator[None]:
    """Prepares nothing while the block runs: for tests and benchmarks, which look at the statements that are sent."""
    global MAX_PREPARED
    kept, MAX_PREPARED = MAX_PREPARED, 0
    try:
        yield
    finally:
        MAX_PREPARED = kept


def fetch(connection: Connection, prepared: Prepared, values: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
    """All rows. `connection` is one of `Database.read`: outside of a transaction, so that an error spoils nothing.

    Raises as `Connection.execute`.
    """
    names: set[str] | None = connection.info.setdefault(_NAMES, set())
    if names is not None and MAX_PREPARED and (prepared.name in names or len(names) < MAX_PREPARED):
        driver: Any = connection.connection.dbapi_connection
        try:
            return _fetch(driver, names, prepared, values)
        except psycopg2.Error as error:
            if error.pgcode in _UNPREPARED:
                # For good: what happens once on a connection will go on happening there.
                connection.info[_NAMES] = None
                logger.warning("a prepared statement is refused; sent whole from now on", extra={"code": error.pgcode})
            elif not driver.closed:
                raise DBAPIError.instance("", None, error, psycopg2.Error, hide_parameters=True) from None
            # A dead connection is SQLAlchemy's to notice, with the next line.
    return [tuple(row) for row in connection.execute(prepared.statement, values)]


def _fetch(driver: Any, names: set[str], prepared: Prepared, values: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
    with driver.cursor() as cursor:
        if prepared.name not in names:
            cursor.execute(prepared.prepare)
            names.add(prepared.name)
        cursor.execute(prepared.execute, prepared.arguments(values))
        rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
        return rows
