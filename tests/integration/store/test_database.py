"""Connections, partitions on demand, notifications and the heartbeat against PostgreSQL."""

from __future__ import annotations

import json
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import make_url, text

from cronwright_core.domain.errors import Unavailable
from cronwright_core.store import session
from cronwright_core.store.errors import StoreError
from cronwright_core.store.executions import ExecutionStore
from cronwright_core.store.heartbeat import HeartbeatStore
from cronwright_core.store.logs import LogStore
from cronwright_core.store.notifications import EXECUTION_CHANNEL, LOG_CHANNEL, listen
from cronwright_core.store.partitions import detach_month
from cronwright_core.store.records.system import Heartbeat
from cronwright_core.store.session import Database
from cronwright_core.store.tasks import TaskStore
from support.postgres import PostgresServer, execute, migrate
from support.store_rows import NOW, add_task, later, make_append, make_execution

PARTITIONS = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'executions'::regclass"


def test_each_call_is_observed_with_its_outcome(database_url, monkeypatch) -> None:
    monkeypatch.setattr(session, "POOL_TIMEOUT_SECONDS", 0.05)
    seen: list[tuple[str, str]] = []

    def observe(operation: str, outcome: str, seconds: float) -> None:
        assert 0 <= seconds < 60
        seen.append((operation, outcome))

    database = Database(database_url, application_name="tests", pool_size=1, max_overflow=0, observe=observe)
    assert database.usage() == (0, 0, 1)
    with database.transaction():
        assert database.usage() == (1, 0, 1)
        with pytest.raises(Unavailable):
            database.ping()
    assert database.usage() == (0, 1, 1)
    with pytest.raises(StoreError):
        database.read(lambda connection: connection.execute(text("SELECT 1/0")))
    with pytest.raises(KeyError), database.transaction():
        raise KeyError("what the caller does with it is no failure of the database")
    database.dispose()
    assert seen == [("read", "unavailable"), ("write", "ok"), ("read", "error"), ("write", "ok")]


class TestUnavailable:
    def test_while_the_server_is_away_and_not_after(self, own_server: PostgresServer) -> None:
        migrate(own_server.url)
        database = Database(own_server.url, application_name="tests")
        store = TaskStore(database)
        add_task(database)
        own_server.stop()
        for call in (database.ping, store.live, lambda: store.get(1, owner=None), lambda: add_task(database)):
            with pytest.raises(Unavailable):
                call()
        with pytest.raises(Unavailable), listen(own_server.url, [LOG_CHANNEL]):
            pass
        own_server.start()
        database.ping()
        assert len(store.live()) == 1
        database.dispose()

    def test_without_a_schema_says_what_to_do(self, empty_database_url) -> None:
        database = Database(empty_database_url, application_name="tests")
        with pytest.raises(Unavailable, match="cronwright migrate"):
            TaskStore(database).live()
        database.dispose()

    def test_with_a_wrong_password_and_without_telling_it(self, database_url) -> None:
        url = make_url(database_url).set(password="wr0ng-Secret").render_as_string(hide_password=False)
        database = Database(url, application_name="tests")
        with pytest.raises(Unavailable) as caught:
            database.ping()
        shown = "".join(traceback.format_exception(caught.value))
        assert "wr0ng-Secret" not in shown

    def test_when_no_connection_is_free(self, database_url, monkeypatch) -> None:
        monkeypatch.setattr(session, "POOL_TIMEOUT_SECONDS", 0.1)
        database = Database(database_url, application_name="tests", pool_size=1, max_overflow=0)
        with database.transaction(), pytest.raises(Unavailable):
            database.ping()
        database.dispose()

    def test_when_a_statement_takes_too_long(self, database_url, monkeypatch) -> None:
        monkeypatch.setattr(session, "STATEMENT_TIMEOUT_SECONDS", 1)
        database = Database(database_url, application_name="tests")
        with pytest.raises(Unavailable), database.transaction() as connection:
            connection.execute(text("SELECT pg_sleep(5)"))
        database.dispose()

    def test_a_session_ended_by_the_server_is_replaced(self, database, database_url) -> None:
        database.ping()
        execute(database_url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tests'")
        database.ping()

    def test_other_errors_tell_no_values(self, database) -> None:
        with pytest.raises(StoreError) as caught, database.transaction() as connection:
            connection.execute(
                text(
                    "INSERT INTO projects (state, display_name, image, spec, created_at, updated_at)"
                    " VALUES (:state, 'hunter2', 'x', '{}', now(), now())"
                ),
                {"state": "hunter2"},
            )
        shown = "".join(traceback.format_exception(caught.value))
        assert "hunter2" not in shown
        assert "ck_projects_state" in shown


class TestAddresses:
    @pytest.mark.parametrize("url", ["mysql://a:hunter2@b/c", "hunter2", ""])
    def test_unusable_ones_are_refused_without_repeating_them(self, url) -> None:
        with pytest.raises(ValueError, match="DATABASE_URL") as caught:
            Database(url, application_name="tests")
        assert "hunter2" not in str(caught.value)

    def test_the_short_scheme_is_understood(self, database_url) -> None:
        database = Database(database_url.replace("postgresql://", "postgres://"), application_name="tests")
        database.ping()
        database.dispose()


class TestPartitions:
    def test_are_made_when_a_month_is_first_written(self, database, database_url) -> None:
        ((before,),) = execute(database_url, PARTITIONS)
        task_id = add_task(database)
        today = datetime.now(UTC).replace(microsecond=0)
        far = [today + timedelta(days=200), today - timedelta(days=4000)]
        ExecutionStore(database).record([make_execution(task_id, when) for when in far])
        assert ExecutionStore(database).list(task_id, owner=None, page=1, size=9).total == 2
        assert execute(database_url, PARTITIONS) == [(before + 2,)]

    @pytest.mark.parametrize("year", [1, 1990, 2100, 7000])
    def test_are_not_made_for_months_in_which_nothing_can_have_run(self, database, database_url, year: int) -> None:
        before = execute(database_url, PARTITIONS)
        task_id = add_task(database)
        store, forged = ExecutionStore(database), make_execution(task_id, datetime(year, 1, 1, tzinfo=UTC))
        with pytest.raises(StoreError, match=f"{year:04d}-01"):
            store.record([forged])
        assert execute(database_url, PARTITIONS) == before
        store.record([make_execution(task_id)])
        assert store.list(task_id, owner=None, page=1, size=9).total == 1

    def test_are_made_anew_after_somebody_dropped_them(self, database, database_url) -> None:
        task_id = add_task(database)
        store = ExecutionStore(database)
        store.record([make_execution(task_id)])
        with database.transaction() as connection:
            detach_month(connection, (2026, 3))
        store.record([make_execution(task_id, later(60))])
        assert len(store.list(task_id, owner=None, page=1, size=9).items) == 1

    def test_of_writers_at_once_are_made_once(self, database, database_url) -> None:
        task_id = add_task(database)
        others = [Database(database_url, application_name="tests") for _ in range(6)]

        def write(number: int) -> None:
            when = NOW - timedelta(days=31 * (number % 3) + 700, seconds=number)
            ExecutionStore(others[number % 6]).record([make_execution(task_id, when)])

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(write, range(18)))
        assert ExecutionStore(database).list(task_id, owner=None, page=1, size=9).total == 18
        for other in others:
            other.dispose()

    def test_hold_the_last_and_the_first_second_of_a_month(self, database, database_url) -> None:
        task_id = add_task(database)
        edge = datetime(2024, 1, 1, tzinfo=UTC)
        times = [edge, edge - timedelta(seconds=1)]
        ExecutionStore(database).record([make_execution(task_id, when) for when in times])
        for name in ("executions_y2023m12", "executions_y2024m01"):
            assert execute(database_url, f"SELECT count(*) FROM {name}") == [(1,)]


class TestNotifications:
    def test_tell_of_a_committed_change_and_only_of_changes(self, database, database_url) -> None:
        task_id = add_task(database)
        store = ExecutionStore(database)
        execution = make_execution(task_id)
        with listen(database_url, [EXECUTION_CHANNEL]) as listener:
            assert listener.wait(0.05) == []
            store.record([execution])
            (notification,) = listener.wait(5)
            assert notification.channel == EXECUTION_CHANNEL
            assert json.loads(notification.payload) == [
                {"execution_id": execution.execution_id, "task_id": task_id, "status": "SUCCESS"}
            ]
            store.record([execution])
            assert listener.wait(0.2) == []

    def test_wake_who_waits(self, database, database_url) -> None:
        task_id = add_task(database)
        with listen(database_url, [EXECUTION_CHANNEL]) as listener:
            timer = threading.Timer(0.3, ExecutionStore(database).record, [[make_execution(task_id)]])
            timer.start()
            begin = time.monotonic()
            assert len(listener.wait(20)) == 1
            assert time.monotonic() - begin < 10
            timer.join()

    def test_of_a_large_batch_are_split(self, database, database_url) -> None:
        task_id = add_task(database)
        batch = [make_execution(task_id, later(60 * number)) for number in range(300)]
        told: list[str] = []
        with listen(database_url, [EXECUTION_CHANNEL]) as listener:
            ExecutionStore(database).record(batch)
            while len(told) < 300:
                found = listener.wait(5)
                assert found
                told += [item["execution_id"] for part in found for item in json.loads(part.payload)]
        assert sorted(told) == sorted(execution.execution_id for execution in batch)

    def test_tell_of_log_lines(self, database, database_url) -> None:
        id_ = make_execution(1).execution_id
        with listen(database_url, [LOG_CHANNEL, EXECUTION_CHANNEL]) as listener:
            LogStore(database).append([make_append(id_, b"x\n", stream="stderr")])
            (notification,) = listener.wait(5)
        assert notification.channel == LOG_CHANNEL
        assert json.loads(notification.payload) == [{"execution_id": id_, "attempt": 1, "stream": "stderr"}]

    def test_a_lost_connection_is_not_silence(self, database_url) -> None:
        with listen(database_url, [LOG_CHANNEL], application_name="lost") as listener:
            execute(
                database_url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lost'"
            )
            with pytest.raises(Unavailable):
                listener.wait(5)


class TestHeartbeat:
    def test_the_latest_is_kept(self, database) -> None:
        store = HeartbeatStore(database)
        assert store.last() is None

        beat(store, "a", NOW)
        beat(store, "b", later(10))
        beat(store, "late", later(5))
        last = store.last()
        assert last is not None
        assert (last.holder, last.time, last.tz_release, last.details) == ("b", later(10), "2026f", {"running": 3})

    def test_that_of_another_installation_stays_until_it_has_been_silent(self, database) -> None:
        store = HeartbeatStore(database)
        assert beat(store, "a-1", NOW, "first") is None
        other = beat(store, "b-1", later(SILENT_SECONDS), "second")
        assert other is not None
        assert (other.installation, other.holder, other.time) == ("first", "a-1", NOW)
        assert beat(store, "a-2", later(10), "first") is None, "its own goes on, whoever of its operators gives it"
        assert beat(store, "b-1", later(10 + SILENT_SECONDS), "second") is not None
        assert beat(store, "b-1", later(11 + SILENT_SECONDS), "second") is None
        assert beat(store, "a-2", later(12 + SILENT_SECONDS), "first") is not None, "now it is the other's"
        last = store.last()
        assert last is not None
        assert (last.installation, last.holder) == ("second", "b-1")

    def test_a_late_one_of_the_same_installation_meets_no_other(self, database) -> None:
        store = HeartbeatStore(database)
        beat(store, "a", later(10), "first")
        assert beat(store, "a", NOW, "first") is None

    def test_one_of_a_release_that_gave_no_name_is_anybodys(self, database, database_url) -> None:
        """An upgrade must not wait for the old release's last sign of life to grow old."""
        store = HeartbeatStore(database)
        beat(store, "old", NOW)
        assert beat(store, "new", later(1), "first") is None
        # What the release before runs: it knows no such column.
        execute(database_url, "UPDATE operator_heartbeat SET holder = 'old', time = %s", later(20))
        assert beat(store, "new", later(21), "first") is None

    def test_of_two_at_once_one_is_given(self, database) -> None:
        stores = [HeartbeatStore(database) for _ in range(6)]
        with ThreadPoolExecutor(6) as pool:
            others = list(pool.map(lambda n: beat(stores[n], f"o{n}", NOW, f"installation {n}"), range(6)))
        assert others.count(None) == 1


SILENT_SECONDS = 900


def beat(store: HeartbeatStore, holder: str, now: datetime, installation: str | None = None) -> Heartbeat | None:
    return store.beat(
        installation=installation,
        holder=holder,
        version="1",
        tz_release="2026f",
        details={"running": 3},
        now=now,
        silent_before=now - timedelta(seconds=SILENT_SECONDS),
    )


class TestReading:
    def test_needs_no_transaction(self, database) -> None:
        states = database.read(
            lambda connection: connection.execute(
                text("SELECT pg_current_xact_id_if_assigned() IS NULL, now() = statement_timestamp()")
            ).one()
        )
        assert states == (True, True)
        sent = database.read(lambda connection: connection.connection.dbapi_connection.info.transaction_status)
        assert sent == 0, "idle: nothing is open between two statements"

    def test_leaves_transactions_as_they_were(self, database, database_url) -> None:
        database.read(lambda connection: connection.execute(text("SELECT 1")).one())

        def fail() -> None:
            with database.transaction() as connection:
                connection.execute(text("INSERT INTO owner_tasks VALUES ('x', 1)"))
                raise KeyError("in between")

        with pytest.raises(KeyError):
            fail()
        assert execute(database_url, "SELECT count(*) FROM owner_tasks") == [(0,)]

    def test_is_repeated_on_a_new_connection_where_the_kept_one_is_dead(self, database, database_url) -> None:
        calls = []

        def work(connection) -> int:
            calls.append(connection)
            return connection.execute(text("SELECT 42")).scalar_one()

        assert database.read(work) == 42
        execute(database_url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tests'")
        assert database.read(work) == 42
        assert len(calls) == 3

    def test_a_connection_that_lay_idle_is_tried_before_a_write(self, database, database_url, monkeypatch) -> None:
        monkeypatch.setattr("cronwright_core.store.session.PING_AFTER_SECONDS", 0.0)
        database.ping()
        execute(database_url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tests'")
        with database.transaction() as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1
