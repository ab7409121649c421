"""Connections and transactions: one `Database` per process, one transaction per method of a store."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidatePoolError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from cronwright_core.domain.errors import Unavailable
from cronwright_core.store.errors import is_missing_partition, is_read_only, is_rolled_back, translate
from cronwright_core.store.partitions import KnownMonths, ensure_partitions

Result = TypeVar("Result")

CONNECT_TIMEOUT_SECONDS = 3
STATEMENT_TIMEOUT_SECONDS = 10
LOCK_TIMEOUT_SECONDS = 5
ROLLED_BACK_TRIES = 5
"""How often a write is tried that loses to another one (a deadlock, a serialization failure)."""
POOL_TIMEOUT_SECONDS = 5
PING_AFTER_SECONDS = 1.0
DRIVER = "postgresql+psycopg2"

CallObserver = Callable[[str, str, float], None]
"""Called in the calling thread for each `read` or `write` with its outcome (`ok`, `unavailable`, `error`) and the
seconds that it took, the wait for a connection included."""


def parse_url(url: str) -> URL:
    """Reads `postgresql://user:password@host:port/database` (also `postgres://`) for the one driver that is installed.

    Raises:
        ValueError: no such URL; the message does not repeat it, as it may hold a password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError("DATABASE_URL must read postgresql://user:password@host:port/database") from None
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise ValueError(f"DATABASE_URL must start with postgresql://, not {parsed.drivername}://")
    return parsed.set(drivername=DRIVER)


def place_of(url: URL) -> str:
    """Host, port and database: what is tried to be reached, without user and password."""
    host = url.host or url.query.get("host") or "the local socket"
    return f"{host}:{url.port or 5432}/{url.database or ''}"


def connect_arguments(application_name: str) -> dict[str, Any]:
    """libpq's settings: fail fast, notice a dead server, speak UTC, and never wait for ever."""
    return {
        "application_name": application_name,
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "keepalives": 1,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": (STATEMENT_TIMEOUT_SECONDS + 5) * 1000,
        "options": (
            f"-c timezone=UTC -c statement_timeout={STATEMENT_TIMEOUT_SECONDS}s -c lock_timeout={LOCK_TIMEOUT_SECONDS}s"
            " -c idle_in_transaction_session_timeout=60s"
        ),
    }


class Database:
    """A pool of connections to one database; safe to share between threads. Connects when first used, not before."""

    def __init__(
        self,
        url: str,
        *,
        application_name: str,
        pool_size: int = 5,
        max_overflow: int = 10,
        observe: CallObserver | None = None,
    ) -> None:
        """Raises ValueError if the URL is none."""
        self._observe = observe
        self._limit = pool_size + max_overflow
        self._engine = create_engine(
            parse_url(url),
            pool_size=pool_size,
            max_overflow=max_overflow,
            pool_timeout=POOL_TIMEOUT_SECONDS,
            # Rows of one statement go in one message, also where SQLAlchemy cannot make one VALUES of them.
            executemany_mode="values_plus_batch",
            # Values in error texts could be names, environment variables, output of programs.
            hide_parameters=True,
            connect_args=connect_arguments(application_name),
        )
        _ping_idle_connections(self._engine)
        _leave_demoted_servers(self._engine)
        self._months = KnownMonths()

    def ping(self) -> None:
        """Returns if the database answers. Raises Unavailable."""
        self.read(lambda connection: connection.execute(text("SELECT 1")).scalar_one())

    def dispose(self) -> None:
        """Closes the connections that are not in use."""
        self._engine.dispose()

    def usage(self) -> tuple[int, int, int]:
        """(lent, idle, how many there may be): the pool's connections at this moment."""
        pool: Any = self._engine.pool
        return pool.checkedout(), pool.checkedin(), self._limit

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction: committed at the end, rolled back by any exception. Database errors come out translated.

        Raises:
            Unavailable: no connection, or a reason to try again.
            StoreError: a bug.
        """
        with self._begin(is_missing_partition) as connection:
            yield connection

    @contextmanager
    def _begin(self, let_through: Callable[[DBAPIError], bool]) -> Iterator[Connection]:
        try:
            with self._observed("write"), self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            if isinstance(error, DBAPIError) and let_through(error):
                raise
            # `from None`: the original's text holds SQL, and DETAIL lines with the rows' values.
            raise translate(error) from None

    def read(self, work: Callable[[Connection], Result]) -> Result:
        """Runs `work`, which only reads, without a transaction: each statement sees what is committed when it starts.

        Saves the round trips of BEGIN and COMMIT. `work` may run twice: where a kept connection proves to be dead, it
        is repeated on a new one. Raises as `transaction`.
        """
        for last_try in (False, True):
            try:
                with self._observed("read"), self._engine.connect() as connection, _without_transaction(connection):
                    return work(connection)
            except SQLAlchemyError as error:
                if last_try or not (isinstance(error, DBAPIError) and error.connection_invalidated):
                    raise translate(error) from None
        raise AssertionError("unreachable")

    def read_snapshot(self, work: Callable[[Connection], Result]) -> Result:
        """As `read`, but all statements see what was committed when the first one started; once only.

        Source: https://www.postgresql.org/docs/current/transaction-iso.html#XACT-REPEATABLE-READ
        """
        with self.transaction() as connection:
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            return work(connection)

    @contextmanager
    def _observed(self, operation: str) -> Iterator[None]:
        if self._observe is None:
            yield
            return
        begun, outcome = time.perf_counter(), "ok"
        try:
            yield
        except SQLAlchemyError as error:
            outcome = "unavailable" if isinstance(translate(error), Unavailable) else "error"
            raise
        finally:
            self._observe(operation, outcome, time.perf_counter() - begun)

    def write_partitioned(self, times: Iterable[datetime], work: Callable[[Connection], Result]) -> Result:
        """Runs `work` in one transaction, after making the partitions for `times`; all rows written must be of these.

        `work` may run several times: if a partition known here was dropped by somebody, it is made anew and `work`
        repeated, and so it is if the server has rolled it back in favour of another one.
        """
        times = list(times)
        for tries_left in reversed(range(ROLLED_BACK_TRIES)):
            months = self._months.unknown(times)
            if months:
                with self.transaction() as connection:
                    ensure_partitions(connection, months)
                self._months.add(months)
            try:
                with self._begin(lambda error: is_missing_partition(error) or is_rolled_back(error)) as connection:
                    return work(connection)
            except DBAPIError as error:
                if is_missing_partition(error):
                    self._months.forget()
                if not tries_left:
                    raise translate(error) from None
                # Not in step with the one that it lost to.
                time.sleep(random.uniform(0, 0.05))
        raise AssertionError("unreachable")


@contextmanager
def _without_transaction(connection: Connection) -> Iterator[None]:
    """Keeps the driver from sending BEGIN. Its own switch costs nothing, SQLAlchemy's a round trip each way."""
    driver: Any = connection.connection.dbapi_connection
    driver.autocommit = True
    try:
        yield
    finally:
        if not driver.closed:
            driver.autocommit = False


def _ping_idle_connections(engine: Engine) -> None:
    """Tries a connection before it is lent if it has lain for a while; a dead one is replaced, and all that are older.

    SQLAlchemy's own `pool_pre_ping` does so each time, which costs a round trip more than most reads need themselves.
    """

    def returned(_: Any, record: ConnectionPoolEntry) -> None:
        record.info["returned"] = time.monotonic()

    def lent(connection: DBAPIConnection, record: ConnectionPoolEntry, _: Any) -> None:
        if time.monotonic() - record.info.get("returned", time.monotonic()) > PING_AFTER_SECONDS:
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error:
                raise InvalidatePoolError from None

    event.listen(engine, "checkin", returned)
    event.listen(engine, "checkout", lent)


def _leave_demoted_servers(engine: Engine) -> None:
    """Drops all kept connections when one of them turns out to be read-only: after a failover they lead to the server
    that was the primary before, and a new one leads to its successor."""

    def failed(context: ExceptionContext) -> None:
        if context.sqlalchemy_exception is not None and is_read_only(context.sqlalchemy_exception):
            context.is_disconnect = True

    event.listen(engine, "handle_error", failed)
