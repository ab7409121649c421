"""The migrations against a real PostgreSQL, and the command that runs them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import psycopg2
import pytest
from alembic import command
from sqlalchemy import create_engine, make_url

from cronwright_core.store import schema
from cronwright_core.store.command import MIGRATION_LOCK, migrate
from cronwright_core.store.partitions import partition_name, upcoming_months
from cronwright_core.store.session import parse_url
from support.postgres import PASSWORD, PostgresServer, execute

TABLES = "SELECT count(*) FROM pg_class WHERE relname IN ('tasks', 'projects', 'executions', 'log_chunks')"


def changed(url: str, **parts: object) -> str:
    return make_url(url).set(**parts).render_as_string(hide_password=False)  # type: ignore[arg-type]


def test_brings_an_empty_database_to_the_newest_revision(empty_database_url, capsys) -> None:
    assert migrate(["--database-url", empty_database_url]) == 0
    assert capsys.readouterr().out.strip() == schema.head_revision()
    assert execute(empty_database_url, TABLES) == [(4,)]


def test_makes_the_partitions_of_the_months_around_now(empty_database_url) -> None:
    migrate(["--database-url", empty_database_url])
    attached = execute(
        empty_database_url,
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE relkind = 'r'",
    )
    found = {row[0] for row in attached}
    months = upcoming_months(datetime.now(UTC))
    assert len(months) == 4
    assert found == {
        partition_name(table, month)
        for table in ("executions", "attempts", "log_streams", "log_chunks")
        for month in months
    }


def test_twice_changes_nothing(empty_database_url) -> None:
    assert [migrate(["--database-url", empty_database_url]) for _ in range(2)] == [0, 0]


def test_four_at_once_take_turns(empty_database_url) -> None:
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(lambda _: migrate(["--database-url", empty_database_url]), range(4)))
    assert codes == [0, 0, 0, 0]


def test_takes_the_address_from_the_environment(empty_database_url, monkeypatch) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    assert migrate([]) == 0


def test_the_models_are_what_the_migrations_make(database_url) -> None:
    engine = create_engine(parse_url(database_url))
    with engine.connect() as connection:
        command.check(schema.alembic_config(connection))
    engine.dispose()


def test_can_be_taken_back_and_made_again(database_url) -> None:
    engine = create_engine(parse_url(database_url))
    with engine.connect() as connection:
        command.downgrade(schema.alembic_config(connection), "base")
        connection.commit()
        assert execute(database_url, TABLES) == [(0,)]
        schema.upgrade(connection, datetime.now(UTC))
    engine.dispose()
    assert execute(database_url, TABLES) == [(4,)]


def test_a_later_releases_schema_stays(database_url, capsys) -> None:
    execute(database_url, "UPDATE alembic_version SET version_num = '9999'")
    assert migrate(["--database-url", database_url]) == 0
    printed = capsys.readouterr()
    assert printed.out.strip() == "9999"
    assert "later release" in printed.err


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"password": "wrong-Secret1"}, "refuses the password of user 'cronwright'"),
        ({"database": "nowhere"}, "has no database 'nowhere'"),
        ({"port": 1}, "does not answer: nothing listens there"),
        ({"host": "no-such-host.invalid"}, "the host name cannot be resolved"),
    ],
)
def test_says_in_one_line_what_is_wrong(database_url, capsys, parts, expected) -> None:
    assert migrate(["--wait", "0", "--database-url", changed(database_url, **parts)]) == 1
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1
    assert PASSWORD not in error
    assert "wrong-Secret1" not in error


@pytest.mark.parametrize(
    "url", ["", "mysql://root:hunter2@x/y", "not a url hunter2", "postgresql://u:hunter2@h:port/x"]
)
def test_an_unusable_address_is_refused_without_repeating_it(url, capsys, monkeypatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert migrate(["--database-url", url]) == 1
    error = capsys.readouterr().err
    assert "DATABASE_URL" in error
    assert "hunter2" not in error


def test_a_user_without_rights_is_told_which(empty_database_url, capsys) -> None:
    name = f"guest_{make_url(empty_database_url).database}"
    execute(empty_database_url, f"CREATE ROLE {name} LOGIN PASSWORD 'guest'")
    try:
        assert migrate(["--database-url", changed(empty_database_url, username=name, password="guest")]) == 1
        assert "GRANT CREATE" in capsys.readouterr().err
    finally:
        execute(empty_database_url, f"DROP ROLE {name}")


def test_waits_for_whoever_is_migrating(empty_database_url, capsys) -> None:
    other = psycopg2.connect(empty_database_url)
    other.cursor().execute("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
    assert migrate(["--wait", "0", "--database-url", empty_database_url]) == 1
    assert "another process is migrating" in capsys.readouterr().err
    timer = threading.Timer(0.5, other.close)
    timer.start()
    assert migrate(["--wait", "20", "--database-url", empty_database_url]) == 0
    timer.join()


def test_waits_for_a_server_that_starts_late(own_server: PostgresServer, capsys) -> None:
    own_server.stop()
    timer = threading.Timer(0.5, own_server.start)
    timer.start()
    assert migrate(["--wait", "30", "--database-url", own_server.url]) == 0
    timer.join()
    error = capsys.readouterr().err
    assert f"waiting for the database at 127.0.0.1:{own_server.port}/postgres" in error
    assert PASSWORD not in error


def test_a_table_that_stays_locked_stops_the_migration(empty_database_url, capsys) -> None:
    """The lock timeout: a migration must not make everybody else queue behind it."""
    execute(empty_database_url, "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
    other = psycopg2.connect(empty_database_url)
    other.cursor().execute("LOCK TABLE alembic_version IN SHARE MODE")
    try:
        assert migrate(["--database-url", empty_database_url]) == 1
        assert "stayed locked" in capsys.readouterr().err
    finally:
        other.close()


def test_refuses_an_older_server(database_url, capsys, monkeypatch) -> None:
    monkeypatch.setattr("cronwright_core.store.command.OLDEST_POSTGRESQL", 99)
    assert migrate(["--database-url", database_url]) == 1
    assert "99 or newer is needed" in capsys.readouterr().err
