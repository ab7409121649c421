"""The life of a row that stands for a custom resource, the same for tasks and projects: pending, active, deleted.

    reserve ──> pending ──activate (API) or register (operator)──> active ──mark_deleted──> deleted
                   └──discard, or replaced by a later reserve once stale──> gone
    register ──────────────────────────────────────────────────> active   (a resource made by kubectl, or a lost
    database)
    register_deleted ──────────────────────────────────────────> deleted  (made and deleted while PostgreSQL was away)

    reserve for a rename ──> pending ──register of the renamed resource, by whomever──> gone, its name in the row there

The resource is the source of truth; a row only changes for its own uid and never back to an older generation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    Connection,
    Table,
    Update,
    and_,
    bindparam,
    delete,
    func,
    literal_column,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from cronwright_core.domain.errors import Conflict, NotFound
from cronwright_core.store.columns import AnyRow, clean_json
from cronwright_core.store.errors import UNIQUE_VIOLATION, sqlstate

STALE_PENDING = timedelta(seconds=60)
"""After this time a pending row of which nothing came gives its name free."""

REVIVE_AFTER = timedelta(minutes=10)
"""A row marked deleted stays so for this long, whatever an operator with an older view registers; a resource that is
still there after that evidently exists (the watched namespaces had been narrowed for a while); it gets its row back."""

MAX_ID = 2**53 - 1
"""The greatest id that every JSON reader represents exactly; a greater one from a resource is not taken over."""

_RESERVE_TRIES = 20
_UNJUDGED: Mapping[str, Any] = {"ready": None, "ready_reason": None, "ready_message": None}


@dataclass(frozen=True, slots=True)
class Projected:
    """One projected table: which columns name a row among live ones, and the errors of its kind."""

    table: Table
    name_columns: tuple[str, ...]
    taken: Callable[[Mapping[str, Any]], Conflict]
    missing: Callable[[], NotFound]
    bad_reference: Callable[[Mapping[str, Any]], Exception]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """Which resource a row stands for."""

    cr_uid: str
    namespace: str
    cr_name: str
    generation: int


def in_range(row_id: int) -> bool:
    """Whether a number can be an id at all; a client may ask for any."""
    return 0 < row_id < 2**63


def reserve(connection: Connection, projected: Projected, values: Mapping[str, Any], now: datetime) -> int:
    """Inserts a pending row and returns its id. Raises Conflict if a live row has the name.

    With `namespace` and `cr_name` in the values it is for the rename of that resource, which alone can take the name.
    """
    for _ in range(_RESERVE_TRIES):
        row_id = _insert(connection, projected, {**values, "state": "pending", "created_at": now, "updated_at": now})
        if row_id is not None:
            return row_id
        _free_name(connection, projected, values, now)
    raise projected.taken(values)


def activate(
    connection: Connection,
    projected: Projected,
    row_id: int,
    resource: Resource,
    values: Mapping[str, Any],
    now: datetime,
) -> None:
    """Marks a pending row active. Idempotent for the same uid, whoever was first.

    Raises:
        NotFound: the row was given up or deleted meanwhile.
        Conflict: it belongs to another resource.
    """
    table = projected.table
    _lock_uid(connection, resource.cr_uid)
    row = _lock_row(connection, table, table.c.id == row_id)
    if row is None or row.state == "deleted":
        raise projected.missing()
    if row.state == "active":
        if row.cr_uid != resource.cr_uid:
            raise projected.taken(dict(row._mapping))
        return
    try:
        connection.execute(
            update(table)
            .where(table.c.id == row_id)
            .values(**_columns(resource), **values, state="active", updated_at=now)
        )
    except IntegrityError as error:
        raise _integrity(projected, dict(row._mapping), error) from None


def discard(connection: Connection, table: Table, row_id: int) -> None:
    """Removes a row that is still pending; anything else stays."""
    connection.execute(delete(table).where(table.c.id == row_id, table.c.state == "pending", table.c.cr_uid.is_(None)))


def stale_pending(connection: Connection, table: Table, older_than: datetime) -> Sequence[AnyRow]:
    """The pending rows made before `older_than`, oldest first."""
    return connection.execute(
        select(table).where(table.c.state == "pending", table.c.created_at < older_than).order_by(table.c.id)
    ).all()


def mark_deleted(connection: Connection, table: Table, cr_uid: str, now: datetime) -> None:
    """Soft-deletes the resource's row and so frees its name. Idempotent; an unknown uid is no error."""
    connection.execute(
        update(table)
        .where(table.c.cr_uid == cr_uid, table.c.state != "deleted")
        .values(state="deleted", deleted_at=now)
    )


def live(connection: Connection, table: Table) -> Sequence[AnyRow]:
    """(cr_uid, namespace, cr_name, id) of all active rows."""
    return connection.execute(
        select(table.c.cr_uid, table.c.namespace, table.c.cr_name, table.c.id)
        .where(table.c.state == "active")
        .order_by(table.c.id)
    ).all()


def set_columns(
    connection: Connection, table: Table, cr_uid: str, values: Mapping[str, Any], *, generation: int | None = None
) -> None:
    """Writes columns of an active row, if one of them differs; with a generation only into a row of that one."""
    parameters = {f"new_{column}": value for column, value in values.items()}
    if generation is not None:
        parameters["of_generation"] = generation
    statement = _set_if_different(table, tuple(values), generation is not None)
    connection.execute(statement, {"of_uid": cr_uid, **parameters})


@lru_cache(maxsize=16)
def _set_if_different(table: Table, columns: tuple[str, ...], of_generation: bool) -> Update:
    """Built once: after a thousand ticks this is written a thousand times."""
    new = {column: bindparam(f"new_{column}", type_=table.c[column].type) for column in columns}
    differs = or_(*(table.c[column].is_distinct_from(value) for column, value in new.items()))
    row = update(table).where(table.c.cr_uid == bindparam("of_uid"), table.c.state == "active", differs)
    return (row.where(table.c.generation == bindparam("of_generation")) if of_generation else row).values(new)


def register(
    connection: Connection,
    projected: Projected,
    resource: Resource,
    values: Mapping[str, Any],
    *,
    created_at: datetime,
    own_id: int | None,
    labelled_id: int | None,
    now: datetime,
    only_newer: bool = False,
) -> int:
    """Projects a resource and returns its row's id; the rules of ids are those of `records.tasks.TaskProjection`.

    `only_newer`: a row that is of this generation already stays as it is.

    Raises:
        Conflict: another live row has the name. Nothing is changed.
    """
    table = projected.table
    _lock_uid(connection, resource.cr_uid)
    row = _lock_row(connection, table, table.c.cr_uid == resource.cr_uid)
    if row is not None:
        if only_newer and row.generation == resource.generation:
            return int(row.id)
        return _refresh(connection, projected, row, resource, values, now)
    for candidate in (own_id, labelled_id):
        if candidate is None or not 0 < candidate <= MAX_ID:
            continue
        pending = _lock_row(connection, table, table.c.id == candidate)
        if pending is not None and _is_creation_of(pending, projected, values):
            return _refresh(connection, projected, pending, resource, values, now)
    new = {**values, **_columns(resource), "state": "active", "created_at": created_at, "updated_at": now}
    if own_id is not None and 0 < own_id <= MAX_ID:
        row_id = _insert(connection, projected, {**new, "id": own_id})
        if row_id is not None:
            _advance_ids(connection, table, row_id)
            return row_id
    for _ in range(_RESERVE_TRIES):
        row_id = _insert(connection, projected, new)
        if row_id is not None:
            return row_id
        _free_name(connection, projected, new, now)
    raise projected.taken(values)


def register_deleted(
    connection: Connection,
    projected: Projected,
    resource: Resource,
    values: Mapping[str, Any],
    *,
    created_at: datetime,
    now: datetime,
) -> None:
    """A deleted row for a resource that went before it had one; a row that it has stays as it is. It takes no name."""
    table = projected.table
    _lock_uid(connection, resource.cr_uid)
    if _lock_row(connection, table, table.c.cr_uid == resource.cr_uid) is not None:
        return
    times = {"created_at": created_at, "updated_at": now, "deleted_at": now}
    for _ in range(_RESERVE_TRIES):
        # Only a number that another session has set by hand can be in the way; the next try draws another one.
        if _insert(connection, projected, {**values, **_columns(resource), "state": "deleted", **times}) is not None:
            return
    raise projected.taken(values)


def _refresh(
    connection: Connection,
    projected: Projected,
    row: AnyRow,
    resource: Resource,
    values: Mapping[str, Any],
    now: datetime,
) -> int:
    """Brings a row, locked, to what the resource says. `updated_at` moves only with what users see."""
    row_id: int = row.id
    if row.state == "deleted" and row.deleted_at > now - REVIVE_AFTER:
        return row_id
    if row.generation is not None and row.generation > resource.generation:
        return row_id
    old = dict(row._mapping)
    changed = {column: value for column, value in values.items() if old[column] != clean_json(value)}
    other = {column: value for column, value in _columns(resource).items() if old[column] != value}
    if "generation" in other:
        # What the operator has judged was another definition; it judges anew, and whoever must not get ahead of it can
        # see that it has not done so yet.
        other |= _UNJUDGED
    if row.state != "active":
        other |= {"state": "active", "deleted_at": None}
    if changed:
        other["updated_at"] = now
    if changed or other:
        if row.state == "deleted" or any(column in changed for column in projected.name_columns):
            _drop_reservation(connection, projected, {**values, **_columns(resource)}, now, but=row_id)
        try:
            connection.execute(update(projected.table).where(projected.table.c.id == row_id).values(**changed, **other))
        except IntegrityError as error:
            raise _integrity(projected, values, error) from None
    return row_id


def _insert(connection: Connection, projected: Projected, values: Mapping[str, Any]) -> int | None:
    """Inserts a row; None if its name, id or uid is there already (waits for whoever is inserting it just now)."""
    try:
        statement = upsert(projected.table).values(**values).on_conflict_do_nothing().returning(projected.table.c.id)
        return connection.execute(statement).scalar_one_or_none()
    except IntegrityError as error:
        raise _integrity(projected, values, error) from None


def _free_name(connection: Connection, projected: Projected, values: Mapping[str, Any], now: datetime) -> None:
    """After an insert met a conflict: returns if another try is worth it; raises Conflict if the name is taken."""
    namesake = _lock_row(connection, projected.table, _has_name(projected, values))
    if namesake is None:
        return  # it has gone meanwhile, or the conflict was about an id that another session had taken over
    if _gives_way(namesake, values, now):
        discard(connection, projected.table, namesake.id)
        return
    raise projected.taken(values)


def _drop_reservation(
    connection: Connection, projected: Projected, values: Mapping[str, Any], now: datetime, *, but: int
) -> None:
    """Lets go of a name for the row that takes it in this very transaction: at no moment is it anybody else's."""
    table = projected.table
    namesake = _lock_row(connection, table, and_(_has_name(projected, values), table.c.id != but))
    if namesake is not None and _gives_way(namesake, values, now):
        discard(connection, table, namesake.id)


def _gives_way(row: AnyRow, values: Mapping[str, Any], now: datetime) -> bool:
    """Whether a row that has a name is a reservation of which nothing came, or one for the rename of this resource."""
    address = (values.get("namespace"), values.get("cr_name"))
    held_for_it = row.state == "pending" and row.cr_name is not None and (row.namespace, row.cr_name) == address
    return held_for_it or _is_stale(row, now)


def _is_stale(row: AnyRow, now: datetime) -> bool:
    return row.state == "pending" and row.cr_uid is None and bool(row.created_at < now - STALE_PENDING)


def _is_creation_of(row: AnyRow, projected: Projected, values: Mapping[str, Any]) -> bool:
    """Whether a pending row was made for this very resource: a label alone must not take a stranger's row over."""
    same_name = all(dict(row._mapping)[column] == clean_json(values[column]) for column in projected.name_columns)
    return row.state == "pending" and row.cr_name is None and same_name


def _has_name(projected: Projected, values: Mapping[str, Any]) -> Any:
    table = projected.table
    # The literal 'deleted' lets the planner match the partial index.
    return and_(
        *(table.c[column] == values[column] for column in projected.name_columns),
        table.c.state != literal_column("'deleted'"),
    )


def _lock_row(connection: Connection, table: Table, condition: Any) -> AnyRow | None:
    return connection.execute(select(table).where(condition).with_for_update()).one_or_none()


def _lock_uid(connection: Connection, cr_uid: str) -> None:
    """Makes sessions that deal with the same resource take turns, until the transaction ends."""
    connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(cr_uid, 0))))


def _advance_ids(connection: Connection, table: Table, row_id: int) -> None:
    """Moves the identity sequence past an id that was set by hand.

    Should another session draw a number at this very moment, it may meet a taken id; `reserve` then draws again.
    """
    sequence = connection.execute(select(func.pg_get_serial_sequence(table.name, "id"))).scalar_one()
    connection.execute(
        text(f"SELECT setval(CAST(:name AS regclass), :id) FROM {sequence} WHERE last_value < :id"),  # noqa: S608
        {"name": sequence, "id": row_id},
    )


def _columns(resource: Resource) -> dict[str, Any]:
    return {
        "cr_uid": resource.cr_uid,
        "namespace": resource.namespace,
        "cr_name": resource.cr_name,
        "generation": resource.generation,
    }


def _integrity(projected: Projected, values: Mapping[str, Any], error: IntegrityError) -> Exception:
    """The domain's error for a violated constraint: a name or uid that is taken, or a reference to nothing."""
    return projected.taken(values) if sqlstate(error) == UNIQUE_VIOLATION else projected.bad_reference(values)
