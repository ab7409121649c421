"""Database errors become domain errors, once, here; no SQL, no value and no password of theirs leaves the store.

Unavailable     (domain)  cannot connect, pool exhausted, statement timeout, deadlock, read-only standby, no schema yet
Conflict        (domain)  raised by the stores for constraints that they know
└── CursorMoved           the log stream is not where the writer believed
StoreError                anything else: a bug or a broken database; carries SQLSTATE and constraint, never data
"""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from cronwright_core.domain.errors import Conflict, Message, Unavailable

_RETRYABLE_CLASSES = frozenset({"08", "40", "53", "57", "58"})
"""SQLSTATE classes: connection, transaction rollback (deadlock), resources, operator intervention (timeout), system."""
_LOCK_NOT_AVAILABLE = "55P03"
_IDLE_IN_TRANSACTION = "25P03"
_READ_ONLY = "25006"
_ROLLED_BACK = frozenset({"40001", "40P01"})
_NOT_USABLE = frozenset({"42501", "XX000", "XX001", "XX002"})
"""No right (a file system that became read-only tells so too), and what the server cannot explain, such as a file that
cannot grow: nothing of our making, and it may pass."""
_SCHEMA_MISSING = frozenset({"42P01", "42703", "3F000"})
NO_PARTITION = "23514"
UNIQUE_VIOLATION = "23505"


class CursorMoved(Conflict):
    """Another writer stored lines of the stream meanwhile; nothing of the batch was stored. Read the cursors again."""


class StoreError(Exception):
    """The database refused a statement for a reason that no caller can mend."""


def sqlstate(error: BaseException) -> str | None:
    """The SQLSTATE of a database error, or None (a connection that failed has none)."""
    return getattr(getattr(error, "orig", None), "pgcode", None)


def constraint(error: BaseException) -> str | None:
    """The name of the violated constraint, or None."""
    return getattr(getattr(getattr(error, "orig", None), "diag", None), "constraint_name", None)


def is_missing_partition(error: BaseException) -> bool:
    """Whether a row found no partition: a check violation that names no constraint."""
    return sqlstate(error) == NO_PARTITION and constraint(error) is None


def is_rolled_back(error: BaseException) -> bool:
    """Whether the server has undone a transaction that may succeed when it is repeated."""
    return sqlstate(error) in _ROLLED_BACK


def is_read_only(error: BaseException) -> bool:
    """Whether a write went to a server that takes none: a standby, maybe the primary of a moment ago."""
    return sqlstate(error) == _READ_ONLY


def unavailable(detail: str) -> Unavailable:
    """The error for "try again later"; `detail` must hold no data."""
    return Unavailable(
        Message("数据库暂时不可用，请稍后重试", f"the database is not available ({detail}); try again later")
    )


def translate(error: SQLAlchemyError) -> Exception:
    """The error to raise instead of SQLAlchemy's, `from None`: the original's text holds values and SQL."""
    if isinstance(error, PoolTimeout):
        return unavailable("no free connection")
    if isinstance(error, DBAPIError):
        state = sqlstate(error)
        if state in _SCHEMA_MISSING:
            return unavailable("its schema is missing or older than this release: run `cronwright migrate`")
        if (
            state in (_LOCK_NOT_AVAILABLE, _IDLE_IN_TRANSACTION, _READ_ONLY)
            or state in _NOT_USABLE
            or (state is not None and state[:2] in _RETRYABLE_CLASSES)
            or (state is None and isinstance(error, OperationalError | InterfaceError))
            or error.connection_invalidated
        ):
            return unavailable(f"SQLSTATE {state}" if state else "no connection")
        return StoreError(f"{type(error.orig).__name__}, SQLSTATE {state}, constraint {constraint(error)}")
    return StoreError(type(error).__name__)
