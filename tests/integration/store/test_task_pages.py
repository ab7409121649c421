"""Lists of tasks against PostgreSQL: search, filters, orders, totals, and the indexes that serve them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from alembic import command
from sqlalchemy import create_engine

from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.store import schema
from cronwright_core.store.session import Database, parse_url
from cronwright_core.store.tasks import TaskStore
from support.plans import plans_of
from support.postgres import execute
from support.store_rows import NOW, add_project, add_task, later, make_draft, make_projection

COUNTED = "SELECT owner, count(*) FROM tasks WHERE state = 'active' GROUP BY owner ORDER BY owner"
KEPT = "SELECT owner, active FROM owner_tasks WHERE active <> 0 ORDER BY owner"
FILL = (
    "INSERT INTO tasks (state, cr_uid, namespace, cr_name, generation, name, owner, schedule_type, schedule_config,"
    " time_zone, is_active, timeout_seconds, max_instances, retry_count, priority, spec, created_at, updated_at)"
    " SELECT 'active', 'uid-' || i, 'ns', 'c' || i, 1, 'task ' || i, 'owner ' || i % 100, 'CRON', '* * * * *', 'UTC',"
    " true, 60, 1, 0, 0, (SELECT spec FROM tasks), timestamptz '2026-01-01+00' + i * interval '1 s', now()"
    " FROM generate_series(1, 50000) i"
)


@pytest.fixture
def store(database: Database) -> TaskStore:
    return TaskStore(database)


def names(store: TaskStore, **query: object) -> list[str]:
    page = store.list(owner="alice", page=1, size=20, **query)
    assert page.total == len(page.items)
    return [task.name for task in page.items]


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("back", ["Backup", "nightly BACKUP"]),
        ("NIGHT", ["nightly BACKUP"]),
        ("100%", ["100% done"]),
        ("%", ["100% done"]),
        ("_", ["under_score"]),
        ("\\", ["back\\slash"]),
        ("'", ["it's"]),
        ("数据", ["数据备份任务"]),
        ("ÉTÉ", ["été"]),
        ("x" * 100, []),
        ("", ["Backup", "nightly BACKUP", "100% done", "under_score", "back\\slash", "it's", "数据备份任务", "été"]),
    ],
)
def test_search_is_a_part_of_the_name_and_nothing_in_it_is_special(database, store, search, expected) -> None:
    everything = ["Backup", "nightly BACKUP", "100% done", "under_score", "back\\slash", "it's", "数据备份任务", "été"]
    for name in everything:
        add_task(database, name)
    add_task(database, "backup of bob", owner="bob")
    found = [name for name in expected if name != "back\\slash" or search != "back"]
    if search == "back":
        found.append("back\\slash")
    assert sorted(names(store, search=search)) == sorted(found)


def test_filters_by_project_and_schedule_type_together_with_others(database, store) -> None:
    first, second = add_project(database, "first"), add_project(database, "second")
    add_task(database, "cron one", project_id=first)
    add_task(database, "date one", project_id=first, schedule_type=ScheduleType.DATE, schedule="2027-01-01T00:00:00Z")
    add_task(database, "cron two", project_id=second, suspend=True)
    assert names(store, project_id=first) == ["date one", "cron one"]
    assert names(store, schedule_type=ScheduleType.CRON) == ["cron two", "cron one"]
    assert names(store, schedule_type=ScheduleType.CRON, is_active=False) == ["cron two"]
    assert names(store, project_id=first, search="CRON") == ["cron one"]
    assert names(store, project_id=2**63 - 1) == []


def test_orders(database, store) -> None:
    made = {"b": (5, 3, 60), "a": (0, 1, None), "d": (0, 2, 30), "c": (-5, 2, 10)}
    for name, (priority, age, next_run) in made.items():
        add_task(database, name * 3, priority=priority, creation_time=later(age))
        if next_run is not None:
            store.set_next_run(f"uid-alice-{name * 3}", later(next_run), generation=1)
    # A paused task shows no next run, whatever the row says.
    store.register(make_projection("ccc", generation=2, priority=-5, creation_time=later(2), suspend=True), NOW)

    def order(sort: str) -> str:
        return "".join(name[0] for name in names(store, sort=sort))

    assert order("name") == "abcd"
    assert order("-name") == "dcba"
    assert order("created_at") == "adcb", "d and c are of one second: the id decides"
    assert order("-created_at") == "bcda" == "".join(name[0] for name in names(store))
    assert order("priority") == "cadb"
    assert order("-priority") == "bdac"
    assert order("next_run_time") == "dbac"
    assert order("-next_run_time") == "bdca"


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "priority", "-next_run_time"])
def test_pages_of_equals_hold_every_task_once(database, store, sort) -> None:
    for number in range(11):
        add_task(database, f"task {number}")
    pages = [store.list(owner="alice", page=page, size=3, sort=sort) for page in range(1, 6)]
    ids = [task.task_id for page in pages for task in page.items]
    assert sorted(ids) == sorted(set(ids))
    assert len(ids) == 11
    assert {page.total for page in pages} == {11}


def test_the_totals_follow_every_way_in_and_out(database, database_url, store) -> None:
    add_task(database, "plain")
    project_id = add_project(database)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store.register(make_projection(f"task {number}"), NOW), range(40)))
    pending = store.reserve(make_draft(project_id, "by REST"), NOW)
    assert execute(database_url, KEPT) == execute(database_url, COUNTED) == [("alice", 41)]
    store.activate(pending, cr_uid="u", namespace="n", cr_name="c", generation=1, next_run_time=None, now=later(1))
    store.discard(store.reserve(make_draft(project_id, "given up"), NOW))
    assert execute(database_url, KEPT) == execute(database_url, COUNTED) == [("alice", 42)]
    store.register(make_projection("plain", uid="uid-alice-plain", owner="bob", generation=2), NOW)
    assert execute(database_url, KEPT) == execute(database_url, COUNTED) == [("alice", 41), ("bob", 1)]
    for _ in range(2):
        store.mark_deleted("uid-alice-task 7", NOW)
    assert execute(database_url, KEPT) == execute(database_url, COUNTED) == [("alice", 40), ("bob", 1)]
    store.register(make_projection("task 7", generation=3), NOW + timedelta(minutes=11))
    assert execute(database_url, KEPT) == execute(database_url, COUNTED) == [("alice", 41), ("bob", 1)]
    execute(database_url, "DELETE FROM tasks WHERE owner = 'bob'")
    assert execute(database_url, KEPT) == execute(database_url, COUNTED) == [("alice", 41)]
    assert [store.list(owner=owner, page=1, size=1).total for owner in ("alice", "bob", None)] == [41, 0, 41]


def test_the_migration_counts_what_is_there(database, database_url) -> None:
    for owner in ("alice", "bob"):
        for number in range(3):
            add_task(database, f"task {number}", owner=owner)
    engine = create_engine(parse_url(database_url))
    with engine.connect() as connection:
        command.downgrade(schema.alembic_config(connection), "0005")
        connection.commit()
        schema.upgrade(connection, NOW)
    engine.dispose()
    assert execute(database_url, KEPT) == [("alice", 3), ("bob", 3)]
    add_task(database, "another")
    assert execute(database_url, KEPT) == [("alice", 4), ("bob", 3)]


def test_of_fifty_thousand_lists_are_served_by_indexes(database, database_url, store) -> None:
    add_task(database)
    execute(database_url, FILL)
    execute(database_url, "ANALYZE")

    def plan_of(**query: object) -> str:
        (plan,) = plans_of(database, database_url, lambda: store.list(**{"page": 1, "size": 20, **query}))
        assert "Seq Scan on tasks" not in plan
        return plan

    plan = plan_of(owner="owner 3")
    assert "ix_tasks_active_owner_created" in plan
    assert "pk_owner_tasks" in plan, "the total is kept, not counted"
    plan = plan_of(owner=None)
    assert "ix_tasks_active_created" in plan
    assert "on owner_tasks" in plan
    assert "uq_tasks_live_owner_name" in plan_of(owner="owner 3", sort="name")
    assert plan_of(owner="nobody"), "one statement also where there is nothing"
    plan = plan_of(owner="owner 3", search="42", sort="-priority")
    assert "ix_tasks_active_owner_created" in plan or "uq_tasks_live_owner_name" in plan
