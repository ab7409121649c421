"""COPY in PostgreSQL's binary format: bytes go as they are, not as text of twice their size.

Psycopg writes `bytea` as hex into the statement, which the server has to parse again; for logs that costs more than
all the rest (docs/benchmarks.md). The format stands in PostgreSQL's documentation of COPY.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, Integer, LargeBinary, Table
from sqlalchemy.exc import DBAPIError

from cronwright_core.store.columns import clean_text

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER = struct.pack("!h", -1)


def copy_rows(connection: Connection, table: Table, rows: Iterable[Sequence[Any]]) -> None:
    """Writes rows whose values stand in the order of the table's columns, in the connection's transaction.

    Raises SQLAlchemy's DBAPIError, as a statement would.
    """
    buffer = io.BytesIO()
    buffer.write(_HEADER)
    encoders = [_encoder(column.type) for column in table.columns]
    count = struct.pack("!h", len(encoders))
    for row in rows:
        buffer.write(count)
        for encode, value in zip(encoders, row, strict=True):
            data = encode(value)
            buffer.write(struct.pack("!i", len(data)))
            buffer.write(data)
    buffer.write(_TRAILER)
    buffer.seek(0)
    names = ", ".join(column.name for column in table.columns)
    statement = f"COPY {table.name} ({names}) FROM STDIN (FORMAT binary)"
    driver: Any = connection.connection.dbapi_connection
    try:
        with driver.cursor() as cursor:
            cursor.copy_expert(statement, buffer, size=256 * 1024)
    except connection.dialect.loaded_dbapi.Error as error:
        lost = connection.dialect.is_disconnect(error, driver, None)
        if lost:
            connection.invalidate(error)
        raise DBAPIError.instance(
            statement,
            None,
            error,
            connection.dialect.loaded_dbapi.Error,
            hide_parameters=True,
            connection_invalidated=lost,
            dialect=connection.dialect,
        ) from error


def _encoder(type_: Any) -> Any:
    if isinstance(type_, LargeBinary):
        return bytes
    if isinstance(type_, BigInteger):
        return struct.Struct("!q").pack
    if isinstance(type_, Integer):
        return struct.Struct("!i").pack
    if type_.python_type is datetime:
        return _timestamp
    return lambda text: clean_text(text).encode()


def _timestamp(time: datetime) -> bytes:
    since = time - _EPOCH
    return struct.pack("!q", (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds)
