"""TaskStore against PostgreSQL: ids, unique names, the life of a row, lists."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from cronwright_core.domain.errors import Conflict, InvalidInput, NotFound
from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.domain.task import ConcurrencyPolicy, Overrides
from cronwright_core.kube.codec import to_task_spec
from cronwright_core.store.executions import ExecutionStore
from cronwright_core.store.projection import REVIVE_AFTER
from cronwright_core.store.session import Database
from cronwright_core.store.tasks import TaskStore
from support.store_rows import (
    NOW,
    add_project,
    add_task,
    later,
    make_draft,
    make_execution,
    make_projection,
    make_spec,
)

Status = ExecutionStatus


@pytest.fixture
def store(database: Database) -> TaskStore:
    return TaskStore(database)


def activate(store: TaskStore, task_id: int, uid: str = "uid-1", now=NOW):
    return store.activate(
        task_id,
        cr_uid=uid,
        namespace="team",
        cr_name=f"task-{task_id}",
        generation=1,
        next_run_time=later(3600),
        now=now,
    )


def test_what_was_projected_is_read_back_for_a_starting_operator(database, store) -> None:
    project_id = add_project(database)
    task_id = store.register(make_projection(uid="uid-9", project_id=project_id), NOW)
    seen = {"next_run_time": later(60), "ready": True, "reason": "Accepted", "message": "ok", "completed": False}
    store.set_observed("uid-9", generation=1, **seen)
    (row,) = store.projected()
    assert dataclasses.asdict(row) == {
        "cr_uid": "uid-9",
        "task_id": task_id,
        "generation": 1,
        "owner": "alice",
        "project_id": project_id,
        **seen,
    }
    store.mark_deleted("uid-9", NOW)
    assert store.projected() == []


class TestReserve:
    def test_a_pending_row_is_invisible_until_activated(self, database, store) -> None:
        task_id = store.reserve(make_draft(add_project(database)), NOW)
        with pytest.raises(NotFound):
            store.get(task_id, owner=None)
        assert store.list(owner=None, page=1, size=20).total == 0
        record = activate(store, task_id)
        assert (record.task_id, record.owner, record.project_name) == (task_id, "alice", "data")
        assert record == store.get(task_id, owner="alice")
        assert record.next_run_time == later(3600)

    def test_fifty_at_once_with_one_name_make_one(self, database, store) -> None:
        project_id = add_project(database)

        def attempt(_: int) -> int | None:
            try:
                return store.reserve(make_draft(project_id), NOW)
            except Conflict:
                return None

        with ThreadPoolExecutor(50) as pool:
            outcomes = list(pool.map(attempt, range(50)))
        assert len([outcome for outcome in outcomes if outcome is not None]) == 1

    def test_a_taken_name_is_a_conflict_on_name(self, database, store) -> None:
        project_id = add_project(database)
        store.reserve(make_draft(project_id), NOW)
        with pytest.raises(Conflict) as caught:
            store.reserve(make_draft(project_id), later(30))
        assert [error.field for error in caught.value.errors] == ["name"]

    def test_two_owners_may_use_the_same_name(self, database, store) -> None:
        project_id = add_project(database)
        assert store.reserve(make_draft(project_id), NOW) != store.reserve(make_draft(project_id, owner="bob"), NOW)

    def test_a_pending_row_of_which_nothing_came_is_replaced(self, database, store) -> None:
        project_id = add_project(database)
        first = store.reserve(make_draft(project_id), NOW)
        second = store.reserve(make_draft(project_id), later(61))
        assert second != first
        with pytest.raises(NotFound):
            activate(store, first)

    def test_an_active_row_is_never_replaced(self, database, store) -> None:
        project_id = add_project(database)
        activate(store, store.reserve(make_draft(project_id), NOW))
        with pytest.raises(Conflict):
            store.reserve(make_draft(project_id), later(3600))

    def test_an_unknown_project_is_invalid_input(self, store) -> None:
        with pytest.raises(InvalidInput) as caught:
            store.reserve(make_draft(4711), NOW)
        assert [error.field for error in caught.value.errors] == ["project_id"]

    def test_discard_frees_the_name_of_a_pending_row_only(self, database, store) -> None:
        project_id = add_project(database)
        store.discard(store.reserve(make_draft(project_id), NOW))
        task_id = store.reserve(make_draft(project_id), NOW)
        activate(store, task_id)
        store.discard(task_id)
        assert store.get(task_id, owner="alice").spec.display_name == "nightly backup"

    def test_stale_pending_lists_the_old_ones(self, database, store) -> None:
        project_id = add_project(database)
        old = store.reserve(make_draft(project_id, "old one"), NOW)
        store.reserve(make_draft(project_id, "new one"), later(50))
        assert [task.task_id for task in store.stale_pending(later(40))] == [old]

    def test_a_name_with_nul_can_be_stored(self, database, store) -> None:
        task_id = store.reserve(make_draft(add_project(database), "a\x00b\ud800c", description="\x00"), NOW)
        assert activate(store, task_id).spec.display_name == "ab?c"


class TestActivate:
    def test_is_idempotent(self, database, store) -> None:
        task_id = store.reserve(make_draft(add_project(database)), NOW)
        assert activate(store, task_id) == activate(store, task_id, now=later(5))

    def test_another_resource_is_a_conflict(self, database, store) -> None:
        task_id = store.reserve(make_draft(add_project(database)), NOW)
        activate(store, task_id)
        with pytest.raises(Conflict):
            activate(store, task_id, uid="uid-2")

    def test_after_the_operator_was_first(self, database, store) -> None:
        project_id = add_project(database)
        task_id = store.reserve(make_draft(project_id), NOW)
        assert (
            store.register(make_projection(uid="uid-1", project_id=project_id, labelled_task_id=task_id), NOW)
            == task_id
        )
        assert activate(store, task_id).next_run_time == later(3600)
        observed = {"ready": True, "reason": "Ready", "message": "", "completed": False}
        store.set_observed("uid-1", generation=1, next_run_time=later(7200), **observed)
        assert activate(store, task_id).next_run_time == later(7200)


class TestRegister:
    def test_round_trip_of_every_field(self, database, store) -> None:
        spec = make_spec(
            description="every night",
            owner="alice",
            time_zone="Asia/Shanghai",
            suspend=True,
            timeout_seconds=60,
            max_instances=3,
            retry_count=2,
            priority=-5,
            concurrency_policy=ConcurrencyPolicy.QUEUE,
            max_queued=7,
            starting_deadline_seconds=90,
            pending_deadline_seconds=120,
            spread_seconds=30,
            overrides=Overrides(
                image="python:3",
                command=(),
                args=("-c", "print(1)"),
                env=(
                    {"name": "A", "value": "1"},
                    {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "x"}}},
                ),
                resources={"limits": {"cpu": "1"}},
            ),
        )
        projection = dataclasses.replace(make_projection(project_id=add_project(database)), spec=spec)
        record = store.get(store.register(projection, NOW), owner="alice")
        assert record.spec == spec
        assert (record.cr_uid, record.namespace, record.cr_name) == (projection.cr_uid, "team", projection.cr_name)
        assert (record.generation, record.created_at) == (1, NOW)
        assert not record.is_active

    def test_again_changes_nothing(self, database, store) -> None:
        projection = make_projection(overrides=Overrides(args=("a",)))
        task_id = store.register(projection, NOW)
        before = store.get(task_id, owner=None)
        assert store.register(projection, later(60)) == task_id
        assert store.get(task_id, owner=None) == before

    def test_updated_at_moves_only_with_what_users_see(self, database, store) -> None:
        task_id = store.register(make_projection(), NOW)
        store.register(make_projection(generation=2), later(10))
        record = store.get(task_id, owner=None)
        assert (record.generation, record.updated_at) == (2, NOW)
        store.register(make_projection(generation=3, priority=1), later(20))
        record = store.get(task_id, owner=None)
        assert (record.generation, record.updated_at, record.spec.priority) == (3, later(20), 1)

    def test_an_older_generation_changes_nothing(self, database, store) -> None:
        task_id = store.register(make_projection(generation=5, priority=5), NOW)
        store.register(make_projection(generation=4, priority=4), later(10))
        assert store.get(task_id, owner=None).spec.priority == 5

    def test_the_api_does_not_undo_what_the_operator_has_written_of_the_same_generation(self, database, store) -> None:
        project_id = add_project(database)
        as_read = make_projection(generation=2)
        task_id = store.register(make_projection(), NOW)
        handed_on = dataclasses.replace(as_read, owner="pia", project_id=project_id)
        assert store.register(handed_on, NOW) == task_id
        assert store.register(as_read, NOW, only_newer=True) == task_id
        assert (store.get(task_id, owner="pia").project_id, store.get(task_id, owner=None).generation) == (
            project_id,
            2,
        )
        store.register(dataclasses.replace(as_read, generation=3), NOW, only_newer=True)
        assert store.get(task_id, owner="alice").generation == 3

    def test_a_task_whose_project_has_gone_stays_its_owners(self, database, store) -> None:
        task_id = store.register(make_projection(uid="u"), NOW)
        store.register(make_projection(uid="u", owner=None, generation=2, priority=7), later(10))
        record = store.get(task_id, owner="alice")
        assert (record.owner, record.spec.priority) == ("alice", 7)
        # One that has never had an owner is nobody's, until its Project says whose.
        other = store.register(make_projection("other task", uid="v", owner=None), NOW)
        assert store.get(other, owner=None).owner == ""
        store.register(make_projection("other task", uid="v", owner="bob"), later(10))
        assert store.get(other, owner="bob").owner == "bob"

    def test_a_rename_to_a_taken_name_is_refused_and_changes_nothing(self, database, store) -> None:
        store.register(make_projection("first"), NOW)
        second = store.register(make_projection("second"), NOW)
        with pytest.raises(Conflict):
            store.register(make_projection("first", uid="uid-alice-second", generation=2, priority=9), later(5))
        assert store.get(second, owner=None).spec == make_spec("second")

    def test_a_new_resource_with_a_taken_name_is_refused(self, database, store) -> None:
        store.register(make_projection(), NOW)
        with pytest.raises(Conflict):
            store.register(make_projection(uid="other"), NOW)

    def test_so_is_one_whose_name_is_spelt_of_other_characters(self, store) -> None:
        applied = to_task_spec({"displayName": "cafe\u0301 job", "projectName": "project-1"}, "twin")
        store.register(make_projection("caf\u00e9 job"), NOW)
        with pytest.raises(Conflict):
            store.register(dataclasses.replace(make_projection(uid="twin"), spec=applied), NOW)

    def test_a_stale_reservation_does_not_keep_the_name(self, database, store) -> None:
        store.reserve(make_draft(add_project(database)), NOW)
        with pytest.raises(Conflict):
            store.register(make_projection(), later(30))
        assert store.register(make_projection(), later(90)) > 0

    def test_a_name_held_for_a_rename_is_its_resources_alone(self, database, store) -> None:
        project_id = add_project(database)
        first = store.register(make_projection("first"), NOW)
        held = dataclasses.replace(make_draft(project_id, "wanted"), namespace="team", cr_name="first")
        reserved = store.reserve(held, NOW)
        renamed = dataclasses.replace(make_projection("first", generation=2), spec=make_spec("wanted"))
        other = dataclasses.replace(make_projection("second", labelled_task_id=reserved), spec=make_spec("wanted"))
        for taking in (
            lambda: store.reserve(make_draft(project_id, "wanted"), NOW),
            lambda: store.register(other, NOW),
        ):
            with pytest.raises(Conflict):
                taking()
        again = store.reserve(held, NOW)
        assert again != reserved, "the same request once more"
        assert store.register(renamed, NOW) == first
        assert store.get(first, owner="alice").spec.display_name == "wanted"
        assert store.stale_pending(later(3600)) == []
        with pytest.raises(Conflict):
            store.reserve(make_draft(project_id, "wanted"), NOW)

    def test_the_name_is_at_no_moment_free(self, database, store) -> None:
        project_id = add_project(database)
        store.register(make_projection("first"), NOW)
        held = dataclasses.replace(make_draft(project_id, "name 0"), namespace="team", cr_name="first")

        def try_to_take(name: str) -> bool:
            try:
                store.reserve(make_draft(project_id, name), NOW)
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(4) as pool:
            for number in range(20):
                name = f"name {number}"
                store.reserve(dataclasses.replace(held, spec=make_spec(name)), NOW)
                taken = [pool.submit(try_to_take, name) for _ in range(3)]
                store.register(
                    dataclasses.replace(make_projection("first", generation=number + 2), spec=make_spec(name)), NOW
                )
                assert [future.result() for future in taken] == [False] * 3

    def test_a_lost_database_is_rebuilt_with_the_same_ids(self, database, store) -> None:
        for task_id in (7, 3, 12):
            assert store.register(make_projection(f"task {task_id}", task_id=task_id), NOW) == task_id
        assert store.register(make_projection("new one"), NOW) == 13
        assert store.reserve(make_draft(add_project(database), "by rest"), NOW) == 14

    def test_an_id_of_another_resource_is_not_taken_over(self, database, store) -> None:
        first = store.register(make_projection("first"), NOW)
        second = store.register(make_projection("second", task_id=first), NOW)
        assert second != first
        assert store.get(first, owner=None).spec.display_name == "first"

    def test_a_label_completes_only_ones_own_reservation(self, database, store) -> None:
        project_id = add_project(database)
        reserved = store.reserve(make_draft(project_id), NOW)
        assert store.register(make_projection(owner="mallory", labelled_task_id=reserved), NOW) != reserved
        assert store.register(make_projection("other name", labelled_task_id=reserved), NOW) != reserved
        assert store.register(make_projection(labelled_task_id=reserved), NOW) == reserved

    def test_a_label_cannot_choose_an_id(self, database, store) -> None:
        assert store.register(make_projection(labelled_task_id=2**52), NOW) < 1000
        assert store.register(make_projection("another", task_id=2**62), NOW) < 1000

    def test_an_unknown_project_may_be_left_open(self, database, store) -> None:
        task_id = store.register(make_projection(), NOW)
        record = store.get(task_id, owner=None)
        assert (record.project_id, record.project_name) == (None, None)

    def test_many_at_once_for_one_resource_make_one_row(self, database, store) -> None:
        with ThreadPoolExecutor(10) as pool:
            ids = set(pool.map(lambda _: store.register(make_projection(), NOW), range(30)))
        assert len(ids) == 1
        assert store.list(owner=None, page=1, size=10).total == 1


class TestDeletion:
    def test_a_deleted_task_is_gone_and_its_name_free(self, database, store) -> None:
        task_id = add_task(database)
        store.mark_deleted("uid-alice-nightly backup", NOW)
        store.mark_deleted("uid-alice-nightly backup", later(1))
        store.mark_deleted("never seen", NOW)
        with pytest.raises(NotFound):
            store.get(task_id, owner="alice")
        assert store.live() == []
        assert store.register(make_projection(uid="uid-2"), NOW) != task_id

    def test_an_operator_with_an_older_view_does_not_bring_it_back(self, database, store) -> None:
        task_id = add_task(database)
        store.mark_deleted("uid-alice-nightly backup", NOW)
        assert store.register(make_projection(generation=2), later(20)) == task_id
        with pytest.raises(NotFound):
            store.get(task_id, owner=None)

    def test_a_resource_that_is_evidently_there_gets_its_row_back(self, database, store) -> None:
        task_id = add_task(database)
        store.mark_deleted("uid-alice-nightly backup", NOW)
        assert store.register(make_projection(), NOW + REVIVE_AFTER + timedelta(seconds=1)) == task_id
        assert store.get(task_id, owner="alice").task_id == task_id

    def test_live_names_the_resources(self, database, store) -> None:
        task_id = add_task(database)
        (live,) = store.live()
        assert (live.cr_uid, live.namespace, live.cr_name, live.task_id) == (
            "uid-alice-nightly backup",
            "team",
            "nightly-backup",
            task_id,
        )

    def test_find_by_uid_finds_deleted_ones_too(self, database, store) -> None:
        task_id = add_task(database)
        store.mark_deleted("uid-alice-nightly backup", NOW)
        found = store.find_by_uid("uid-alice-nightly backup")
        assert found is not None
        assert (found.task_id, found.owner) == (task_id, "alice")
        assert store.find_by_uid("never seen") is None


class TestReading:
    def test_another_owners_task_is_not_there(self, database, store) -> None:
        task_id = add_task(database)
        with pytest.raises(NotFound):
            store.get(task_id, owner="bob")
        assert store.get(task_id, owner=None).task_id == task_id

    @pytest.mark.parametrize("task_id", [0, -1, 999, 2**63, 10**40])
    def test_an_id_of_any_size_may_be_asked_for(self, store, task_id) -> None:
        with pytest.raises(NotFound):
            store.get(task_id, owner=None)

    def test_lists_newest_first_by_pages(self, database, store) -> None:
        ids = [add_task(database, f"task {number}") for number in range(5)]
        add_task(database, "of bob", owner="bob")
        page = store.list(owner="alice", page=2, size=2)
        assert (page.total, page.page, page.size) == (5, 2, 2)
        assert [task.task_id for task in page.items] == [ids[2], ids[1]]
        assert store.list(owner=None, page=1, size=100).total == 6

    @pytest.mark.parametrize("page", [4, 10**30])
    def test_a_page_past_the_end_is_empty_with_the_true_total(self, database, store, page) -> None:
        add_task(database)
        found = store.list(owner="alice", page=page, size=20)
        assert (found.total, found.items) == (1, ())

    def test_filters_by_activity(self, database, store) -> None:
        active = add_task(database, "active")
        paused = add_task(database, "paused", suspend=True)
        for is_active, expected in ((True, [active]), (False, [paused]), (None, [paused, active])):
            page = store.list(owner="alice", page=1, size=20, is_active=is_active)
            assert [task.task_id for task in page.items] == expected
            assert page.total == len(expected)

    def test_next_run_time_is_null_while_paused_and_after_the_only_run(self, database, store) -> None:
        task_id = add_task(database)
        uid = "uid-alice-nightly backup"
        store.set_next_run(uid, later(60), generation=1)
        assert store.get(task_id, owner=None).next_run_time == later(60)
        judged = {"generation": 1, "next_run_time": later(60), "ready": True, "reason": None, "message": None}
        store.set_observed(uid, **judged, completed=True)
        assert store.get(task_id, owner=None).next_run_time is None
        store.set_observed(uid, **judged, completed=False)
        store.register(make_projection(generation=2, suspend=True), later(5))
        assert store.get(task_id, owner=None).next_run_time is None

    def test_the_api_writes_the_next_run_until_the_operator_has_judged_that_generation(self, database, store) -> None:
        task_id = add_task(database)
        uid = "uid-alice-nightly backup"
        judged = {"ready": True, "reason": None, "message": None, "completed": False}
        refused = {"ready": False, "reason": "r", "message": "m", "completed": False}
        store.set_observed(uid, generation=1, next_run_time=later(60), **refused)
        store.register(make_projection(generation=2, priority=1), later(5))
        record = store.get(task_id, owner=None)
        assert (record.ready, record.ready_reason, record.ready_message) == (None, None, None)
        store.set_next_run(uid, later(120), generation=1)
        assert store.get(task_id, owner=None).next_run_time == later(60), "an edit that another one has overtaken"
        # An operator that has not seen the edit yet: what it says of the old generation would keep the API's word out.
        store.set_observed(uid, generation=1, next_run_time=later(90), **judged)
        store.set_next_run(uid, later(180), generation=2)
        assert store.get(task_id, owner=None).next_run_time == later(180)
        store.set_observed(uid, generation=2, next_run_time=later(240), **judged)
        store.set_next_run(uid, later(180), generation=2)
        assert store.get(task_id, owner=None).next_run_time == later(240)

    def test_observation_is_shown_and_leaves_updated_at(self, database, store) -> None:
        task_id = add_task(database)
        store.set_observed(
            "uid-alice-nightly backup",
            generation=1,
            next_run_time=None,
            ready=False,
            reason="UnknownProject",
            message="there is no such project",
            completed=False,
        )
        record = store.get(task_id, owner=None)
        assert (record.ready, record.ready_reason, record.updated_at) == (False, "UnknownProject", NOW)
        assert record.ready_message == "there is no such project"


class TestStatus:
    """RUNNING while one runs, PENDING as long as one waits or will come, else the last one's; also as a filter."""

    @pytest.mark.parametrize(
        ("completed", "runs", "expected"),
        [
            (False, [], Status.PENDING),
            (True, [], Status.PENDING),
            (False, [Status.FAILED], Status.PENDING),
            (True, [Status.FAILED], Status.FAILED),
            (True, [Status.TIMEOUT], Status.TIMEOUT),
            (True, [Status.FAILED, Status.SUCCESS], Status.SUCCESS),
            (True, [Status.CANCELLED], Status.CANCELLED),
            (True, [Status.SUCCESS, Status.PENDING], Status.PENDING),
            (True, [Status.RUNNING, Status.PENDING], Status.RUNNING),
            (False, [Status.RUNNING, Status.SUCCESS], Status.RUNNING),
        ],
    )
    def test_of_a_task(self, database, store, completed, runs, expected) -> None:
        task_id = add_task(database, schedule_type=ScheduleType.DATE, schedule="2026-03-10T12:00:00Z")
        judged = {"generation": 1, "ready": True, "reason": None, "message": None}
        store.set_observed("uid-alice-nightly backup", next_run_time=None, completed=completed, **judged)
        ExecutionStore(database).record(
            [make_execution(task_id, later(60 * number), status) for number, status in enumerate(runs)]
        )
        assert store.get(task_id, owner=None).status is expected
        for status in Status:
            page = store.list(owner="alice", page=1, size=20, status=status)
            assert (page.total, len(page.items)) == ((1, 1) if status is expected else (0, 0))
