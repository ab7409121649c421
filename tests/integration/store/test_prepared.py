"""Prepared reads against PostgreSQL: the same answers as sent whole, whatever becomes of the connection."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import bindparam, event, select, text

from cronwright_core.domain.errors import Unavailable
from cronwright_core.store import prepared
from cronwright_core.store.models import tasks
from cronwright_core.store.prepared import Prepared, fetch, sent_whole
from cronwright_core.store.session import Database
from support.postgres import execute
from support.store_rows import add_task

NAMED = Prepared(select(tasks.c.id, tasks.c.name).where(tasks.c.name == bindparam("name")))
PREPARED = "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'cw_%'"


@pytest.fixture
def one(database_url: str):
    """A database with a single connection, so that each call meets what the one before has left."""
    database = Database(database_url, application_name="one", pool_size=1, max_overflow=0)
    yield database
    database.dispose()


def find(database: Database, name: str) -> list[tuple[int, str]]:
    return list(database.read(lambda connection: fetch(connection, NAMED, {"name": name})))


def count_prepared(database: Database) -> int:
    return database.read(lambda connection: connection.execute(text(PREPARED)).scalar_one())


def sent_by(database: Database, call: Callable[[], object]) -> list[str]:
    """The statements that went through SQLAlchemy: those that were sent whole."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(database._engine, "before_cursor_execute", note)
    try:
        call()
    finally:
        event.remove(database._engine, "before_cursor_execute", note)
    return sent


def test_a_statement_is_prepared_once_for_a_connection(database, one) -> None:
    ids = {name: add_task(database, name) for name in ("it's", 'a "b" %s $1', "任务")}
    for name, id_ in ids.items():
        assert find(one, name) == [(id_, name)]
    assert find(one, "another") == []
    assert count_prepared(one) == 1
    with sent_whole():
        assert len(sent_by(one, lambda: find(one, "it's"))) == 1
    assert sent_by(one, lambda: find(one, "it's")) == []


def test_values_come_back_as_they_went_in(one) -> None:
    types = "CAST(:a AS bigint), CAST(:b AS text), CAST(:c AS timestamptz), CAST(:d AS date), CAST(:e AS boolean)"
    statement = Prepared(text(f"SELECT {types}"))
    moment = datetime(2026, 3, 29, 1, 30, 0, 5, tzinfo=UTC)
    for values in ((2**62, "\\ ' \U0001f600", moment, date(1970, 1, 1), True), (None, None, None, None, None)):
        given = dict(zip("abcde", values, strict=True))
        assert one.read(lambda connection, given=given: fetch(connection, statement, given)) == [values]


def test_where_the_server_does_not_know_the_statement_it_is_sent_whole_from_then_on(database, one) -> None:
    """As behind a pooler that gives each statement another connection."""
    id_ = add_task(database, "a task")
    assert find(one, "a task") == [(id_, "a task")]
    one.read(lambda connection: connection.execute(text("DEALLOCATE ALL")))
    assert find(one, "a task") == [(id_, "a task")]
    assert len(sent_by(one, lambda: find(one, "a task"))) == 1
    assert count_prepared(one) == 0


def test_a_name_that_the_server_has_already_is_no_error(database, one) -> None:
    id_ = add_task(database, "a task")
    one.read(lambda connection: connection.connection.dbapi_connection.cursor().execute(NAMED.prepare))
    assert find(one, "a task") == [(id_, "a task")]


def test_a_table_that_has_changed_is_no_error(database, database_url, one) -> None:
    id_ = add_task(database, "a task")
    assert find(one, "a task") == [(id_, "a task")]
    execute(database_url, "ALTER TABLE tasks ALTER COLUMN name TYPE varchar(80)")
    assert find(one, "a task") == [(id_, "a task")]


def test_a_dead_connection_is_replaced(database, database_url, one) -> None:
    id_ = add_task(database, "a task")
    assert find(one, "a task") == [(id_, "a task")]
    execute(database_url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'one'")
    assert find(one, "a task") == [(id_, "a task")]
    assert count_prepared(one) == 1, "the new connection prepares it for itself"


def test_a_statement_that_takes_too_long_is_given_up(one) -> None:
    slow = Prepared(text("SELECT CAST(pg_sleep(:seconds) AS text)"))

    def work(connection) -> object:
        connection.execute(text("SET statement_timeout = '50ms'"))
        return fetch(connection, slow, {"seconds": 20})

    with pytest.raises(Unavailable, match="57014"):
        one.read(work)
    assert find(one, "nobody") == [], "the connection is good all the same"


def test_a_connection_keeps_so_many_and_no_more(one, monkeypatch) -> None:
    monkeypatch.setattr(prepared, "MAX_PREPARED", 2)
    for number in range(4):
        statement = Prepared(text(f"SELECT CAST(:x AS int) + {number}"))
        assert one.read(lambda connection, s=statement: fetch(connection, s, {"x": 1})) == [(number + 1,)]
    assert count_prepared(one) == 2
