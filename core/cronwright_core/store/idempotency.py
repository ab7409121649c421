"""Idempotency keys of creations: which row a caller's key has made, so that the same request again makes no second one.

A key lives a day. It is bound to the row in the transaction that reserves the row, so a crash leaves both or none; a
row that was given up (refused by the API server, dropped by the operator) leaves a key that is good again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import ColumnElement, Connection, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from cronwright_core.domain.errors import Conflict, Message
from cronwright_core.store.columns import AnyRow
from cronwright_core.store.models import idempotency_keys, projects, tasks
from cronwright_core.store.records.tasks import CreationKey

Kind = Literal["task", "project"]
KEPT = timedelta(days=1)
"""How long a key is remembered."""
_PURGED_AT_ONCE = 100
_TABLES = {"task": tasks, "project": projects}
KEY_REUSED = Message(
    "该Idempotency-Key已用于不同的请求", "this Idempotency-Key was used for another request; take a new one"
)
_GONE = Message(
    "该Idempotency-Key创建的资源已被删除", "what this Idempotency-Key created has been deleted; take a new key"
)


def find(connection: Connection, kind: Kind, key: CreationKey, now: datetime) -> AnyRow | None:
    """The row that the key has made, or None if it is new, older than a day, or its row was given up.

    A pending row is young again afterwards: whoever drops stale ones leaves it to this request for a minute.

    Takes a lock on the key until the transaction ends: two requests with one key take turns.

    Raises:
        Conflict: the key was used with another body, or what it made has been deleted.
    """
    _lock(connection, kind, key)
    known = connection.execute(
        select(idempotency_keys).where(_is(kind, key), idempotency_keys.c.created_at > now - KEPT)
    ).one_or_none()
    if known is None:
        return None
    table = _TABLES[kind]
    row = connection.execute(select(table).where(table.c.id == known.row_id)).one_or_none()
    if row is None:
        return None
    if known.body_digest != key.body_digest:
        raise Conflict(KEY_REUSED)
    if row.state == "deleted":
        raise Conflict(_GONE)
    if row.state == "pending":
        connection.execute(update(table).where(table.c.id == row.id, table.c.state == "pending").values(created_at=now))
    return row


def bind(connection: Connection, kind: Kind, key: CreationKey, row_id: int, now: datetime) -> None:
    """Notes that the key made the row, and forgets some of the keys that are older than a day."""
    values = {"body_digest": key.body_digest, "row_id": row_id, "created_at": now}
    statement = upsert(idempotency_keys).values(caller=key.caller, kind=kind, key_hash=key.key_hash, **values)
    connection.execute(statement.on_conflict_do_update(constraint=idempotency_keys.primary_key, set_=values))
    purge(connection, now)


def purge(connection: Connection, now: datetime) -> int:
    """Forgets some of the keys that are older than a day; returns how many."""
    old = (
        select(idempotency_keys.c.caller, idempotency_keys.c.kind, idempotency_keys.c.key_hash)
        .where(idempotency_keys.c.created_at <= now - KEPT)
        .order_by(idempotency_keys.c.created_at)
        .limit(_PURGED_AT_ONCE)
        # Rows that another request is just writing or purging are left to it, so nobody waits for anybody.
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    matches = (
        (idempotency_keys.c.caller == old.c.caller)
        & (idempotency_keys.c.kind == old.c.kind)
        & (idempotency_keys.c.key_hash == old.c.key_hash)
    )
    return int(connection.execute(delete(idempotency_keys).where(matches)).rowcount)


def _lock(connection: Connection, kind: Kind, key: CreationKey) -> None:
    text = f"{kind}\x1f{key.caller}\x1f{key.key_hash}"
    connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(text, 2))))


def _is(kind: Kind, key: CreationKey) -> ColumnElement[bool]:
    columns = idempotency_keys.c
    return (columns.caller == key.caller) & (columns.kind == kind) & (columns.key_hash == key.key_hash)
