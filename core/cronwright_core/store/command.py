"""`cronwright migrate`: waits for the database, brings its schema to this release's, or says in one line why not.

Runs as the API's init container, maybe in several Pods at once: an advisory lock lets them take turns.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from sqlalchemy import URL, Connection, create_engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from cronwright_core.store import schema
from cronwright_core.store.errors import sqlstate
from cronwright_core.store.session import CONNECT_TIMEOUT_SECONDS, parse_url, place_of

MIGRATION_LOCK = 0x63726F6E_6D696772
"""Advisory lock "cronmigr", held while one process migrates."""

OLDEST_POSTGRESQL = 15
RETRY_SECONDS = 1.0
PROGRESS_SECONDS = 10.0

# The driver reports a failed connection without SQLSTATE, so its text decides what waiting cannot mend.
_HOPELESS: tuple[tuple[str, str], ...] = (
    (
        r"password authentication failed|no password supplied",
        "the server refuses the password of user {user}: check the user and password in DATABASE_URL",
    ),
    (r'role "[^"]*" does not exist', "the server knows no user {user}: create it, or correct DATABASE_URL"),
    (
        r'database "[^"]*" does not exist',
        "the server has no database {database}: create it (CREATE DATABASE), or correct DATABASE_URL",
    ),
    (
        r"no pg_hba\.conf entry",
        "the server's pg_hba.conf does not let user {user} connect to {database} from here: add an entry",
    ),
    (
        r"permission denied for database",
        "user {user} may not connect to {database}: GRANT CONNECT ON DATABASE to it",
    ),
    (r"server does not support SSL", "the server offers no TLS, but DATABASE_URL demands it (sslmode)"),
    (
        r"certificate verify failed|root certificate file",
        "the server's certificate cannot be verified: check sslmode and sslrootcert in DATABASE_URL",
    ),
)
_PASSING: tuple[tuple[str, str], ...] = (
    (r"could not translate host name", "the host name cannot be resolved"),
    (r"Connection refused", "nothing listens there (connection refused)"),
    (r"timeout expired|timed out", "no answer (timeout)"),
    (r"No such file or directory", "there is no such unix socket"),
    (r"the database system is", "the server is starting up or shutting down"),
    (r"too many (connections|clients)|remaining connection slots", "the server has no free connection"),
    (r"No route to host|unreachable", "the host is unreachable"),
)


class MigrationError(Exception):
    """Why the migration cannot be done; one line for people, without any password."""


def migrate(argv: Sequence[str]) -> int:
    """Runs the command; returns 0 if the schema is there, 1 if it cannot be had, with the reason on stderr."""
    parser = argparse.ArgumentParser(
        prog="cronwright migrate", description="Bring the database to this release's schema."
    )
    parser.add_argument(
        "--database-url", default=None, help="postgresql://user:password@host:port/database (DATABASE_URL)"
    )
    parser.add_argument("--wait", type=_seconds, default=120.0, metavar="SECONDS", help="how long to wait for it (120)")
    options = parser.parse_args(list(argv))
    try:
        url = _url(options.database_url or os.environ.get("DATABASE_URL", ""))
        revision = _migrate(url, time.monotonic() + options.wait)
    except MigrationError as error:
        print(f"cronwright migrate: {error}", file=sys.stderr)
        return 1
    print(revision)
    return 0


def _seconds(value: str) -> float:
    seconds = float(value)
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError("must not be negative")
    return seconds


def _url(value: str) -> URL:
    if not value:
        raise MigrationError("no database is given: set DATABASE_URL or --database-url")
    try:
        return parse_url(value)
    except ValueError as error:
        raise MigrationError(str(error)) from None


def _migrate(url: URL, deadline: float) -> str:
    engine = create_engine(
        url,
        poolclass=NullPool,
        hide_parameters=True,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "application_name": "cronwright-migrate",
            "options": "-c timezone=UTC -c statement_timeout=0",
        },
    )
    try:
        with _connect(url, engine.connect, deadline) as connection:
            _check_version(connection)
            _lock(connection, deadline)
            before = schema.current_revision(connection)
            after = schema.upgrade(connection, datetime.now(UTC))
            if before is not None and not schema.is_known(before):
                _say(f"the schema is at revision {before} of a later release, which suits this one; it stays as it is")
            return after
    except SQLAlchemyError as error:
        raise MigrationError(_explain(url, error)) from None
    finally:
        engine.dispose()


def _connect(url: URL, connect: Callable[[], Connection], deadline: float) -> Connection:
    """Connects, trying until the deadline where waiting may help."""
    place = place_of(url)
    said = float("-inf")
    while True:
        try:
            return connect()
        except DBAPIError as error:
            reason = str(error.orig)
        _give_up_if_hopeless(url, reason)
        cause = _cause(url, reason)
        now = time.monotonic()
        if now >= deadline:
            raise MigrationError(
                f"the database at {place} does not answer: {cause}; check that it runs and that DATABASE_URL is right"
            )
        if now - said >= PROGRESS_SECONDS:
            _say(f"waiting for the database at {place}: {cause} ({max(0, round(deadline - now))} s left)")
            said = now
        time.sleep(min(RETRY_SECONDS, max(0.0, deadline - now)))


def _check_version(connection: Connection) -> None:
    number = int(connection.execute(text("SHOW server_version_num")).scalar_one())
    connection.commit()
    if number < OLDEST_POSTGRESQL * 10_000:
        raise MigrationError(
            f"the server is PostgreSQL {number // 10_000}, but {OLDEST_POSTGRESQL} or newer is needed: upgrade it"
        )


def _lock(connection: Connection, deadline: float) -> None:
    """Takes the migration lock; it is the session's, so it goes when the connection is closed, also by a crash."""
    said = float("-inf")
    while not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": MIGRATION_LOCK}).scalar_one():
        connection.commit()
        now = time.monotonic()
        if now >= deadline:
            raise MigrationError("another process is migrating this database and has not finished: try again later")
        if now - said >= PROGRESS_SECONDS:
            _say("another process is migrating this database: waiting for it")
            said = now
        time.sleep(min(RETRY_SECONDS, max(0.0, deadline - now)))
    connection.commit()


def _explain(url: URL, error: SQLAlchemyError) -> str:
    """One line on an error after the connection stood; never SQL, never a value."""
    state = sqlstate(error)
    if state == "42501":
        return (
            f"user {url.username} may not create tables in {url.database}: make it the database's owner,"
            " or GRANT CREATE, USAGE ON SCHEMA public to it"
        )
    if state == "55P03":
        return "a table stayed locked by another session for 5 s; nothing is half done: try again"
    if state == "25006":
        return f"the server at {place_of(url)} is read-only (a standby?): DATABASE_URL must name the primary"
    if state == "42P07":
        return (
            f"the database {url.database} holds tables with the names of ours, made by something else:"
            " give Cronwright a database of its own"
        )
    if state is None:
        return f"the connection to {place_of(url)} was lost; nothing is half done: try again"
    return f"the migration failed with SQLSTATE {state}; nothing is half done: see the server's log"


def _give_up_if_hopeless(url: URL, reason: str) -> None:
    for pattern, explanation in _HOPELESS:
        if re.search(pattern, reason):
            raise MigrationError(
                f"{place_of(url)}: " + explanation.format(user=repr(url.username), database=repr(url.database))
            )


def _cause(url: URL, reason: str) -> str:
    for pattern, cause in _PASSING:
        if re.search(pattern, reason):
            return cause
    line = reason.strip().splitlines()[-1] if reason.strip() else "unknown reason"
    return line.replace(url.password, "***") if url.password else line


def _say(line: str) -> None:
    print(f"cronwright migrate: {line}", file=sys.stderr, flush=True)
