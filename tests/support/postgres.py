"""A real PostgreSQL for tests: one server per test run, one migrated database per test.

Uses the server at CRONWRIGHT_TEST_DATABASE_URL if that is given (its user must be allowed to create databases), else
starts one from the installed binaries, in a temporary folder, on loopback and a unix socket. PostgreSQL refuses to
run as root, so there it runs as `postgres` or `nobody`. The folder is in memory where there is room: a database of a
test's own is hundreds of files, and takes a sixth of the time there.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from sqlalchemy import URL, create_engine, make_url

from cronwright_core.store import schema
from cronwright_core.store.session import Database
from support.ports import free_port

PASSWORD = "s3cret-Pa55word"
TEMPLATE = "cronwright_template"
_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 4 * 1024**3
_numbers = itertools.count(1)


class PostgresServer:
    """A server of our own; `stop` and `start` let a test take the database away.

    `in_memory`: its files may stand in memory, which is no place for a benchmark's.
    """

    def __init__(self, *, in_memory: bool = False) -> None:
        binaries = find_binaries()
        memory = _memory() if in_memory else None
        self._folder = Path(tempfile.mkdtemp(prefix=f"cwpg-{os.getpid()}-", dir=memory))
        self._options = ("max_wal_size=128MB", "min_wal_size=32MB") if memory is not None else ()
        self._account = _account()
        self._data = self._folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._postgres = str(binaries / "postgres")
        self.port = free_port()
        password = self._folder / "password"
        password.write_text(PASSWORD)
        if self._account is not None:
            for path in (self._folder, password):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)
        self._run(
            [
                str(binaries / "initdb"),
                *("--pgdata", str(self._data), "--username", "cronwright", "--pwfile", str(password)),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"),
            ]
        )

    @property
    def url(self) -> str:
        """The URL of the database `postgres`."""
        return f"postgresql://cronwright:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def start(self, *options: str) -> None:
        """Starts the server and waits until it answers. `options` as in `postgres -c`."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._postgres,
                    *("-D", str(self._data), "-p", str(self.port), "-k", str(self._folder)),
                    *("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "full_page_writes=off"),
                    *("-c", "synchronous_commit=off", "-c", "max_connections=120", "-c", "shared_buffers=32MB"),
                    *(word for option in (*self._options, *options) for word in ("-c", option)),
                ],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                **self._as_account(),
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg2.connect(self.url, connect_timeout=2).close()
                return
            except psycopg2.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL did not start: {error}\n{self.log()}") from None
                time.sleep(0.05)

    def stop(self, *, immediate: bool = False) -> None:
        """Ends the server at once, sessions and all. `immediate`: without tidying up, as in a crash."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT if immediate else signal.SIGINT)
            self._process.wait(timeout=20)
            self._process = None

    def remove(self) -> None:
        """Ends the server and deletes its files."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self._folder

    @property
    def account(self) -> pwd.struct_passwd | None:
        """Whom it runs as, if not as us."""
        return self._account

    def log(self) -> str:
        """The server's log."""
        return (self._folder / "log").read_text(errors="replace")

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(
            command, cwd=self._folder, capture_output=True, text=True, check=False, **self._as_account()
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed: {done.stderr or done.stdout}")

    def _as_account(self) -> dict[str, Any]:
        if self._account is None:
            return {}
        return {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}


def find_binaries() -> Path:
    """The folder with `postgres` and `initdb`; the newest of Debian's if they are not on PATH."""
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    if found := shutil.which("postgres"):
        candidates.append(Path(found).resolve().parent)
    for folder in candidates:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise RuntimeError(
        "PostgreSQL 15 or newer is needed: apt-get install postgresql, or set CRONWRIGHT_TEST_DATABASE_URL"
    )


@functools.cache
def server_url() -> str:
    """The URL of the server that all tests of this run share."""
    given = os.environ.get("CRONWRIGHT_TEST_DATABASE_URL")
    if given:
        return given
    server = PostgresServer(in_memory=True)
    atexit.register(server.remove)
    server.start()
    return server.url


@functools.cache
def template() -> str:
    """The name of a migrated database that others are cloned from."""
    name = f"{TEMPLATE}_{os.getpid()}"
    _create(name, "template0")
    migrate(database_url_of(name))
    atexit.register(_drop, name)
    return name


def migrate(url: str) -> None:
    """Brings a database to the newest revision."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg2"))
    with engine.connect() as connection:
        schema.upgrade(connection, datetime.now(UTC))
    engine.dispose()


def database_url_of(name: str) -> str:
    """The URL of a database on the shared server."""
    return _text(make_url(server_url()).set(database=name))


@contextmanager
def fresh_database(*, migrated: bool = True) -> Iterator[str]:
    """A database of one's own, dropped at the end."""
    name = f"cronwright_{os.getpid()}_{next(_numbers)}"
    _create(name, template() if migrated else "template0")
    try:
        yield database_url_of(name)
    finally:
        _drop(name)


@pytest.fixture
def database_url() -> Iterator[str]:
    """A migrated database of the test's own."""
    with fresh_database() as url:
        yield url


@pytest.fixture
def empty_database_url() -> Iterator[str]:
    """A database without a schema."""
    with fresh_database(migrated=False) as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """The store's connection to the test's database."""
    database = Database(database_url, application_name="tests")
    yield database
    database.dispose()


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that the test may stop."""
    server = PostgresServer(in_memory=True)
    try:
        server.start()
        yield server
    finally:
        server.remove()


def execute(url: str, statement: str, *parameters: object) -> list[tuple[object, ...]]:
    """Runs one statement outside any transaction and returns its rows: a look from outside the store."""
    connection = psycopg2.connect(_text(make_url(url).set(drivername="postgresql")))
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


def make_database(server: PostgresServer, name: str) -> str:
    """The URL of a new, migrated database on a server of one's own."""
    execute(server.url, f'CREATE DATABASE "{name}"')
    url = _text(make_url(server.url).set(database=name))
    migrate(url)
    return url


def _create(name: str, source: str) -> None:
    # A copy of the files is quicker than a log of each page; the checkpoint that it takes costs nothing without fsync.
    execute(server_url(), f'CREATE DATABASE "{name}" TEMPLATE "{source}" STRATEGY FILE_COPY')


def _drop(name: str) -> None:
    execute(server_url(), f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def _account() -> pwd.struct_passwd | None:
    """Whom the server runs as if we are root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")


def _memory() -> Path | None:
    """A folder in memory with room for the servers of a few workers, or None."""
    try:
        if shutil.disk_usage(_MEMORY).free < _ROOM_BYTES or _available_bytes() < _ROOM_BYTES:
            return None
    except OSError:
        return None
    for left in _MEMORY.glob("cwpg-*"):
        # Of a run that was killed: unlike on a disk it would be missed.
        if not Path("/proc", left.name.split("-")[1]).exists():
            shutil.rmtree(left, ignore_errors=True)
    return _MEMORY


def _available_bytes() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
