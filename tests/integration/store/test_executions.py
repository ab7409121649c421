"""ExecutionStore against PostgreSQL: recording once, requests, reading."""

from __future__ import annotations

import dataclasses
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import event

from cronwright_core.domain.errors import Conflict, NotFound
from cronwright_core.domain.execution import ExecutionKind, ExecutionStatus
from cronwright_core.domain.progress import Progress
from cronwright_core.store.executions import ExecutionStore
from cronwright_core.store.logs import LogStore
from cronwright_core.store.session import Database
from cronwright_core.store.tasks import TaskStore
from support.plans import plans_of
from support.postgres import execute
from support.store_rows import NOW, add_project, add_task, later, make_attempt, make_execution, make_projection

Status = ExecutionStatus
MANY_TASKS = """
INSERT INTO tasks (state, cr_uid, name, owner, schedule_type, schedule_config, time_zone, is_active, timeout_seconds,
    max_instances, retry_count, priority, spec, created_at, updated_at)
SELECT 'active', 'u' || n, 'task ' || n, CASE n % 2 WHEN 0 THEN 'alice' ELSE 'bob' END, 'CRON', '0 2 * * *', 'UTC',
    true, 60, 1, 0, 0, '{}', now(), now() FROM generate_series(1, 5000) AS n
"""
"""Every other one is alice's."""


@pytest.fixture
def store(database: Database) -> ExecutionStore:
    return ExecutionStore(database)


@pytest.fixture
def task_id(database: Database) -> int:
    return add_task(database)


def stats_of(database: Database, task_id: int):
    return TaskStore(database).get(task_id, owner=None).stats


def counts(database: Database, task_id: int) -> tuple[int, ...]:
    stats = stats_of(database, task_id)
    return (stats.waiting, stats.running, stats.success_count, stats.failed_count, stats.cancelled_count)


class TestRecord:
    def test_twice_writes_once(self, database, store, task_id) -> None:
        batch = [make_execution(task_id, later(60 * number)) for number in range(3)]
        assert store.record(batch).changed == 3
        before = store.list(task_id, owner="alice", page=1, size=20)
        assert store.record(batch).changed == 0
        assert store.list(task_id, owner="alice", page=1, size=20) == before
        assert before.total == 3
        assert counts(database, task_id) == (0, 0, 3, 0, 0)

    def test_a_later_releases_column_is_left_alone(self, database_url, store, task_id) -> None:
        execution = make_execution(task_id, status=Status.RUNNING, attempts=(make_attempt(1, "a", Status.RUNNING),))
        store.record([execution])
        for table in ("executions", "attempts"):
            execute(database_url, f"ALTER TABLE {table} ADD COLUMN later text DEFAULT 'kept'")
        ended = make_execution(task_id, attempts=(make_attempt(1, "a", Status.SUCCESS),))
        assert store.record([ended]).executions[0].status is Status.SUCCESS
        assert execute(database_url, "SELECT status, later FROM executions") == [("SUCCESS", "kept")]
        assert execute(database_url, "SELECT status, later FROM attempts") == [("SUCCESS", "kept")]

    def test_nothing_is_nothing(self, store) -> None:
        assert store.record([]).executions == ()

    def test_every_field_comes_back(self, database, store, task_id) -> None:
        execution = make_execution(
            task_id,
            status=Status.FAILED,
            request_key="k1",
            exit_code=3,
            reason="BackoffLimitExceeded",
            project_id=add_project(database),
            job_uid="job-uid",
            requested_by="alice",
            output_summary="42 rows\x00",
            error_message="exit \ud800 3",
            progress=Progress(1, "load", 40),
        )
        store.record([execution])
        record = store.get(execution.execution_id, owner="alice")
        assert (record.task_id, record.task_name, record.project_name) == (task_id, "nightly backup", "data")
        assert (record.kind, record.time, record.scheduled_time) == (ExecutionKind.ADHOC, NOW, None)
        assert (record.status, record.reason, record.exit_code) == (Status.FAILED, "BackoffLimitExceeded", 3)
        assert (record.start_time, record.end_time, record.duration_seconds) == (NOW, later(45), 45)
        assert (record.job_name, record.job_uid, record.requested_by) == (execution.job_name, "job-uid", "alice")
        assert (record.output_summary, record.error_message) == ("42 rows", "exit ? 3")
        assert (record.max_memory_mb, record.avg_cpu_percent, record.log_incomplete) == (None, None, False)
        assert (record.progress_step, record.progress_percent, record.progress_attempt) == ("load", 40, 1)

    @pytest.mark.parametrize("final", [status for status in Status if status.ended])
    @pytest.mark.parametrize("later_report", list(Status))
    def test_the_first_final_status_stays(self, database, store, task_id, final, later_report) -> None:
        store.record([make_execution(task_id, status=final, reason="First")])
        before = counts(database, task_id)
        store.record([make_execution(task_id, status=later_report, seconds=99, reason="Later")])
        record = store.list(task_id, owner=None, page=1, size=1).items[0]
        assert (record.status, record.reason, record.end_time) == (final, "First", later(45))
        assert counts(database, task_id) == before

    def test_what_a_final_record_left_open_is_filled(self, store, task_id) -> None:
        first = make_execution(task_id, status=Status.FAILED, seconds=None)
        store.record([first])
        store.record([make_execution(task_id, status=Status.FAILED, exit_code=1, reason="Error", output_summary="x")])
        record = store.get(first.execution_id, owner=None)
        assert (record.exit_code, record.reason, record.output_summary, record.start_time) == (1, "Error", "x", NOW)

    def test_times_are_never_forgotten(self, store, task_id) -> None:
        running = make_execution(task_id, status=Status.RUNNING, job_uid="u1")
        store.record([running])
        store.record([make_execution(task_id, status=Status.RUNNING, seconds=None)])
        record = store.get(running.execution_id, owner=None)
        assert (record.start_time, record.admitted_time, record.job_uid) == (NOW, NOW, "u1")

    def test_a_passed_reason_goes(self, store, task_id) -> None:
        waiting = make_execution(task_id, status=Status.PENDING, reason="Unschedulable")
        store.record([waiting])
        store.record([make_execution(task_id, status=Status.RUNNING)])
        assert store.get(waiting.execution_id, owner=None).reason is None

    def test_a_batch_may_report_an_execution_several_times(self, database, store, task_id) -> None:
        reports = [
            make_execution(task_id, status=status) for status in (Status.PENDING, Status.RUNNING, Status.SUCCESS)
        ]
        result = store.record(reports)
        assert [execution.status for execution in result.executions] == [Status.SUCCESS]
        assert counts(database, task_id) == (0, 0, 1, 0, 0)

    def test_the_record_outlives_the_task(self, database, store, task_id) -> None:
        execution = make_execution(task_id)
        TaskStore(database).mark_deleted("uid-alice-nightly backup", NOW)
        store.record([execution])
        assert store.get(execution.execution_id, owner="alice").task_name == "nightly backup"

    def test_few_statements_however_large_the_batch(self, database, store, task_id) -> None:
        attempts = tuple(make_attempt(number, f"p{number}") for number in (1, 2))
        batch = [
            make_execution(task_id, later(60 * number), Status.RUNNING, attempts=attempts) for number in range(500)
        ]
        store.record(batch[:250])
        statements: list[str] = []
        event.listen(database._engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
        batch = [dataclasses.replace(run, state=dataclasses.replace(run.state, status=Status.SUCCESS)) for run in batch]
        store.record(batch)
        assert len(statements) <= 12
        assert counts(database, task_id) == (0, 0, 500, 0, 0)

    def test_recorders_in_parallel_do_not_deadlock_and_count_right(self, database, store) -> None:
        tasks = [add_task(database, f"task {number}") for number in range(4)]
        runs = [(task, later(60 * number)) for task in tasks for number in range(25)]
        chooser = random.Random(7)
        orders = [chooser.sample(runs, len(runs)) for _ in range(12)]

        def record(order: list) -> None:
            for start in range(0, len(order), 20):
                part = order[start : start + 20]
                store.record([make_execution(task, time, Status.RUNNING) for task, time in part])
                store.record([make_execution(task, time, Status.SUCCESS) for task, time in part])

        with ThreadPoolExecutor(12) as pool:
            list(pool.map(record, orders))
        assert [counts(database, task) for task in tasks] == [(0, 0, 25, 0, 0)] * 4
        assert [stats_of(database, task).duration_sum_seconds for task in tasks] == [25 * 45] * 4


class TestStatistics:
    def test_follow_every_change(self, database, store, task_id) -> None:
        def set_to(status: Status, **fields: object) -> tuple[int, ...]:
            store.record([make_execution(task_id, status=status, **fields)])
            return counts(database, task_id)

        assert set_to(Status.PENDING) == (1, 0, 0, 0, 0)
        assert set_to(Status.RUNNING) == (0, 1, 0, 0, 0)
        assert set_to(Status.PENDING) == (1, 0, 0, 0, 0)
        assert set_to(Status.TIMEOUT) == (0, 0, 0, 1, 0)
        store.record(
            [make_execution(task_id, later(60), seconds=15), make_execution(task_id, later(120), Status.CANCELLED)]
        )
        stats = stats_of(database, task_id)
        assert counts(database, task_id) == (0, 0, 1, 1, 1)
        assert stats.total_executions == 2
        assert stats.average_duration_seconds == (45 + 15) / 2
        assert (stats.last_success, stats.last_failure) == (later(75), later(45))

    def test_the_last_execution_is_the_one_of_the_latest_time(self, database, store, task_id) -> None:
        newest = make_execution(task_id, later(600), Status.RUNNING)
        store.record([newest])
        store.record([make_execution(task_id, later(60))])
        last = TaskStore(database).get(task_id, owner=None).last_execution
        assert last is not None
        assert (last.execution_id, last.status, last.duration_seconds) == (newest.execution_id, Status.RUNNING, None)
        store.record([make_execution(task_id, later(600), Status.FAILED, seconds=30)])
        last = TaskStore(database).get(task_id, owner=None).last_execution
        assert last is not None
        assert (last.status, last.time, last.duration_seconds) == (Status.FAILED, later(600), 30)

    def test_equal_a_count_over_the_rows(self, database, database_url, store, task_id) -> None:
        chooser = random.Random(11)
        for _ in range(20):
            store.record(
                [
                    make_execution(task_id, later(60 * chooser.randrange(40)), chooser.choice(list(Status)))
                    for _ in range(chooser.randrange(1, 15))
                ]
            )
        rows = execute(
            database_url,
            "SELECT count(*) FILTER (WHERE status = 'PENDING'), count(*) FILTER (WHERE status = 'RUNNING'),"
            " count(*) FILTER (WHERE status = 'SUCCESS'), count(*) FILTER (WHERE status IN ('FAILED', 'TIMEOUT')),"
            " count(*) FILTER (WHERE status = 'CANCELLED') FROM executions",
        )
        assert rows == [counts(database, task_id)]


class TestAttempts:
    def test_come_back_in_order(self, store, task_id) -> None:
        attempts = (
            make_attempt(1, "a", exit_code=1, node_name="node-1", start_time=NOW, end_time=later(5), reason="Error"),
            make_attempt(2, "b", Status.RUNNING, start_time=later(15)),
        )
        execution = make_execution(task_id, status=Status.RUNNING, attempts=attempts)
        store.record([execution])
        assert tuple(store.attempts(execution.execution_id)) == attempts

    def test_keep_their_number_when_earlier_pods_are_gone(self, store, task_id) -> None:
        store.record(
            [make_execution(task_id, status=Status.RUNNING, attempts=(make_attempt(1, "a"), make_attempt(2, "b")))]
        )
        result = store.record(
            [make_execution(task_id, status=Status.RUNNING, attempts=(make_attempt(1, "b"), make_attempt(2, "c")))]
        )
        (recorded,) = result.executions
        assert recorded.attempt_numbers == {"b": 2, "c": 3}
        assert [(run.number, run.pod_uid) for run in store.attempts(recorded.execution_id)] == [
            (1, "a"),
            (2, "b"),
            (3, "c"),
        ]

    def test_a_final_attempt_stays(self, store, task_id) -> None:
        def report(status: Status, **fields: object) -> None:
            attempt = make_attempt(1, "a", status, **fields)
            store.record([make_execution(task_id, status=Status.RUNNING, attempts=(attempt,))])

        report(Status.RUNNING, start_time=NOW, node_name="node-1")
        report(Status.FAILED, exit_code=7)
        report(Status.RUNNING)
        (attempt,) = store.attempts(make_execution(task_id).execution_id)
        assert (attempt.status, attempt.exit_code, attempt.start_time, attempt.node_name) == (
            Status.FAILED,
            7,
            NOW,
            "node-1",
        )

    @pytest.mark.parametrize("id_", ["", "exec-1", "exec-20260310120000-0123456789abcdef", "'; DROP TABLE tasks"])
    def test_of_an_unknown_execution_are_none(self, store, id_) -> None:
        assert store.attempts(id_) == []


class TestRequest:
    def draft(self, task_id: int, key: str, time=NOW):
        return make_execution(task_id, time, Status.PENDING, request_key=key, requested_by="alice")

    def test_makes_a_pending_row(self, database, store, task_id) -> None:
        draft = self.draft(task_id, "k1")
        requested = store.request(draft)
        assert (requested.execution_id, requested.time, requested.created) == (draft.execution_id, NOW, True)
        assert store.get(draft.execution_id, owner="alice").status is Status.PENDING
        assert counts(database, task_id) == (1, 0, 0, 0, 0)

    def test_the_same_request_again_is_the_first_one(self, database, store, task_id) -> None:
        first = store.request(self.draft(task_id, "k1"))
        again = store.request(self.draft(task_id, "k1", later(40 * 24 * 3600)))
        assert (again.execution_id, again.time, again.created) == (first.execution_id, NOW, False)
        assert counts(database, task_id) == (1, 0, 0, 0, 0)

    def test_twenty_at_once_are_one(self, database, store, task_id) -> None:
        with ThreadPoolExecutor(20) as pool:
            outcomes = list(pool.map(lambda number: store.request(self.draft(task_id, "k", later(number))), range(20)))
        assert sum(outcome.created for outcome in outcomes) == 1
        assert len({outcome.execution_id for outcome in outcomes}) == 1

    def test_the_limit_holds_also_in_parallel(self, database, store, task_id) -> None:
        def request(number: int) -> bool:
            try:
                return store.request(self.draft(task_id, f"k{number}"), max_waiting=5).created
            except Conflict:
                return False

        with ThreadPoolExecutor(10) as pool:
            assert sum(pool.map(request, range(20))) == 5
        assert counts(database, task_id) == (5, 0, 0, 0, 0)

    def test_a_known_request_is_answered_also_at_the_limit(self, store, task_id) -> None:
        store.request(self.draft(task_id, "k1"), max_waiting=1)
        assert not store.request(self.draft(task_id, "k1"), max_waiting=1).created

    def test_what_waits_as_a_suspended_job_counts_and_what_runs_does_not(self, store, task_id) -> None:
        store.record([make_execution(task_id, later(1), Status.PENDING, job_uid="u1")])
        store.record([make_execution(task_id, later(2), Status.PENDING, request_key="by-hand", job_uid="u2")])
        with pytest.raises(Conflict):
            store.request(self.draft(task_id, "k1"), max_waiting=2)
        store.record([make_execution(task_id, later(2), Status.RUNNING, request_key="by-hand", job_uid="u2")])
        assert store.request(self.draft(task_id, "k1"), max_waiting=2).created

    def test_the_operator_records_into_the_same_row(self, database, store, task_id) -> None:
        requested = store.request(self.draft(task_id, "k1"))
        store.record([make_execution(task_id, status=Status.SUCCESS, request_key="k1", job_uid="u")])
        record = store.get(requested.execution_id, owner=None)
        assert (record.status, record.requested_by, record.job_uid) == (Status.SUCCESS, "alice", "u")
        assert counts(database, task_id) == (0, 0, 1, 0, 0)

    def test_withdraw_takes_it_back(self, database, store, task_id) -> None:
        store.record([make_execution(task_id, later(-60))])
        requested = store.request(self.draft(task_id, "k1"))
        store.withdraw(requested.execution_id)
        with pytest.raises(NotFound):
            store.get(requested.execution_id, owner=None)
        task = TaskStore(database).get(task_id, owner=None)
        assert counts(database, task_id) == (0, 0, 1, 0, 0)
        assert task.last_execution is not None
        assert task.last_execution.time == later(-60)
        store.withdraw(requested.execution_id)
        assert counts(database, task_id) == (0, 0, 1, 0, 0)

    def test_withdraw_leaves_what_has_begun(self, store, task_id) -> None:
        requested = store.request(self.draft(task_id, "k1"))
        store.record([make_execution(task_id, status=Status.PENDING, request_key="k1", job_uid="u")])
        store.withdraw(requested.execution_id)
        assert store.get(requested.execution_id, owner=None).job_uid == "u"


class TestReading:
    def test_another_owners_execution_is_not_there(self, store, task_id) -> None:
        execution = make_execution(task_id)
        store.record([execution])
        with pytest.raises(NotFound):
            store.get(execution.execution_id, owner="bob")

    @pytest.mark.parametrize(
        "id_", ["", "x", "exec-20260310120000-0123456789abcdef", "exec-99999999999999-0123456789abcdef"]
    )
    def test_an_unknown_id_is_not_found(self, store, id_) -> None:
        with pytest.raises(NotFound):
            store.get(id_, owner=None)

    def test_lists_newest_first_with_filters(self, store, task_id) -> None:
        day = 24 * 3600
        statuses = [Status.SUCCESS, Status.FAILED, Status.SUCCESS, Status.SUCCESS]
        runs = [make_execution(task_id, later(day * 20 * number), status) for number, status in enumerate(statuses)]
        store.record(runs)

        def ids(**filters: object) -> tuple[int, list[str]]:
            found = store.list(task_id, owner="alice", page=1, size=2, **filters)
            return found.total, [run.execution_id for run in found.items]

        newest = [run.execution_id for run in reversed(runs)]
        assert ids() == (4, newest[:2])
        assert ids(status=Status.SUCCESS) == (3, [newest[0], newest[1]])
        assert ids(start=runs[1].key.time) == (3, newest[:2])
        assert ids(end=runs[1].key.time) == (2, newest[2:])
        assert ids(start=runs[1].key.time, end=runs[1].key.time, status=Status.FAILED) == (1, [newest[2]])
        assert ids(start=later(day * 900)) == (0, [])
        assert [run.execution_id for run in store.list(task_id, owner=None, page=2, size=3).items] == newest[3:]

    @pytest.mark.parametrize("asked", [0, 99, 10**30])
    def test_an_unknown_task_is_not_found(self, store, asked) -> None:
        with pytest.raises(NotFound):
            store.list(asked, owner=None, page=1, size=20)

    def test_somebody_elses_or_a_deleted_task_is_not_found(self, database, store, task_id) -> None:
        with pytest.raises(NotFound):
            store.list(task_id, owner="bob", page=1, size=20)
        TaskStore(database).mark_deleted("uid-alice-nightly backup", NOW)
        with pytest.raises(NotFound):
            store.list(task_id, owner="alice", page=1, size=20)

    def test_unfinished_are_the_pending_and_running_ones(self, store, task_id) -> None:
        runs = [make_execution(task_id, later(60 * number), status) for number, status in enumerate(Status)]
        store.record(runs)
        found = store.unfinished()
        assert [(run.execution_id, run.status) for run in found] == [
            (runs[0].execution_id, Status.PENDING),
            (runs[1].execution_id, Status.RUNNING),
        ]
        assert (found[0].task_id, found[0].job_name, found[0].time) == (task_id, runs[0].job_name, NOW)


class TestPlans:
    def test_a_span_of_time_leaves_other_months_out(self, store, database_url, task_id) -> None:
        store.record([make_execution(task_id, NOW + timedelta(days=31 * number)) for number in range(4)])
        plan = str(
            execute(
                database_url,
                "EXPLAIN SELECT * FROM executions WHERE task_id = 1 AND execution_time >= '2026-04-01+00'"
                " AND execution_time < '2026-05-01+00' ORDER BY execution_time DESC, execution_id DESC LIMIT 20",
            )
        )
        assert "executions_y2026m04" in plan
        assert "y2026m03" not in plan
        assert "y2026m05" not in plan

    def test_lists_and_unfinished_use_their_indexes(self, store, database_url, task_id) -> None:
        store.record([make_execution(task_id)])
        indexes = execute(
            database_url,
            "SELECT parent.relname, child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid"
            " JOIN pg_class parent ON parent.oid = inhparent WHERE child.relname LIKE 'executions_y2026m03%%idx'",
        )
        names = dict(indexes)
        newest = execute(
            database_url,
            "SET enable_seqscan = off; SET enable_bitmapscan = off; EXPLAIN SELECT * FROM executions WHERE task_id = 1"
            " AND execution_time BETWEEN '2026-03-01+00' AND '2026-03-31+00'"
            " ORDER BY execution_time DESC, execution_id DESC LIMIT 20",
        )
        assert names["ix_executions_task_newest"] in str(newest)
        assert "Sort" not in str(newest)
        unfinished = execute(
            database_url,
            "SET enable_seqscan = off; EXPLAIN SELECT * FROM executions WHERE status IN ('PENDING', 'RUNNING')",
        )
        assert names["ix_executions_unfinished"] in str(unfinished)


def test_a_renamed_task_keeps_the_name_in_its_past(database, store) -> None:
    task_id = TaskStore(database).register(make_projection("before"), NOW)
    execution = make_execution(task_id, task_name="before", status=Status.RUNNING)
    store.record([execution])
    store.record([dataclasses.replace(make_execution(task_id), task_name="after")])
    assert store.get(execution.execution_id, owner=None).task_name == "before"


class TestHandedOn:
    """The owner of a task changes, as when its Project, which says whose it is, gets another owner."""

    @pytest.fixture
    def running(self, database, store, task_id) -> str:
        execution = make_execution(task_id, status=Status.RUNNING)
        store.record([execution])
        TaskStore(database).register(make_projection(uid="uid-alice-nightly backup", owner="pia"), NOW)
        return execution.execution_id

    def readers(self, database: Database, execution_id: str) -> set[str]:
        """Who can read the execution; all ways of reading must agree."""
        executions, logs = ExecutionStore(database), LogStore(database)
        found: list[set[str]] = [set(), set(), set()]
        for user in ("alice", "pia", "eve"):
            for number, read in enumerate(
                (
                    lambda user=user: executions.get(execution_id, owner=user),
                    lambda user=user: logs.show(execution_id, owner=user, log_type="output", lines=1),
                )
            ):
                with suppress(NotFound):
                    read()
                    found[number].add(user)
            if execution_id in [row.execution_id for row in executions.running(owner=user, limit=9).items]:
                found[2].add(user)
        assert found[0] == found[1] == found[2]
        return found[0]

    def test_the_new_owner_reads_and_the_former_does_not(self, database, running) -> None:
        assert self.readers(database, running) == {"pia"}
        TaskStore(database).register(make_projection(uid="uid-alice-nightly backup", owner=""), NOW)
        assert self.readers(database, running) == set(), "a task of nobody's"

    def test_a_deletion_does_not_give_it_back(self, database, running) -> None:
        TaskStore(database).mark_deleted("uid-alice-nightly backup", NOW)
        assert self.readers(database, running) == {"pia"}

    def test_without_the_tasks_row_the_snapshot_counts(self, database, database_url, running) -> None:
        execute(database_url, "DELETE FROM tasks")
        assert self.readers(database, running) == {"alice"}


class TestRunning:
    def test_lists_what_runs_the_latest_started_first(self, database, store, task_id) -> None:
        store.record([make_execution(task_id, later(60 * number), Status.RUNNING) for number in range(3)])
        his = add_task(database, owner="bob")
        bobs = make_execution(his, later(300), Status.RUNNING, owner="bob", progress=Progress(1, "load", 40))
        store.record([bobs, make_execution(task_id, later(400)), make_execution(task_id, later(500), Status.PENDING)])
        found = store.running(owner=None, limit=10)
        assert [row.start_time for row in found.items] == [later(300), later(120), later(60), NOW]
        assert (found.items[0].progress_step, found.items[0].progress_percent) == ("load", 40)
        assert [row.execution_id for row in store.running(owner="bob", limit=10).items] == [bobs.execution_id]
        first = store.running(owner=None, limit=1)
        assert (first.total, len(first.items)) == (4, 1)
        nobody = store.running(owner="carol", limit=1)
        assert (nobody.total, nobody.items) == (0, ())

    def test_looks_up_each_running_executions_task_and_scans_no_table(self, database, database_url, store) -> None:
        execute(database_url, MANY_TASKS)
        store.record([make_execution(number, status=Status.RUNNING) for number in range(1, 301)])
        execute(database_url, "ANALYZE")
        (plan,) = plans_of(database, database_url, lambda: store.running(owner="alice", limit=10))
        assert store.running(owner="alice", limit=10).total == 150
        assert "Index Scan using pk_tasks" in plan
        assert "Seq Scan on tasks" not in plan

    def test_takes_one_statement(self, database, store) -> None:
        statements: list[str] = []
        event.listen(database._engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
        store.running(owner="alice", limit=10)
        assert len([text for text in statements if "executions" in text]) == 1
