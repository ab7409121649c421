"""The books of the gate: what counts where, what is booked before it is seen, and what never leaks."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import JobFacts, StopIntent, StopReason
from cronwright_core.domain.execution import ExecutionKind
from cronwright_core.domain.gate import Block, Candidate, Limits
from cronwright_operator.launching.ledger import Ledger, Place
from cronwright_operator.reconciling.requests import waits_since
from support.builders import at, make_job

T0 = at("10:00:00")
STOP = StopIntent(StopReason.CANCELLED, "alice", T0, "cancelled by alice")


class Timer:
    """The monotonic clock."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def candidate(name: str = "job", *, task: str = "t", project: str = "p", since: datetime = T0) -> Candidate:
    return Candidate(naming.run_key("team-a", name), task, f"team-a/{project}", 0, since)


def job(name: str = "job", *, task: str = "t", project: str = "p", **changes: Any) -> JobFacts:
    return make_job(name, task_uid=task, project=project, has_finalizer=True, tick=T0, **changes)


def ledger(timer: Timer | None = None, **limits: Any) -> Ledger:
    return Ledger(Limits(**limits), priority_of=lambda _: 0, clock=timer or Timer())


class TestWhatTheClusterShows:
    @pytest.mark.parametrize(
        ("changes", "place"),
        [
            ({}, Place.RUNNING),
            ({"suspended": True}, Place.WAITING),
            ({"suspended": True, "stop": STOP}, Place.NOWHERE),
            ({"stop": STOP}, Place.RUNNING),
            ({"stop": STOP, "parallelism": 0}, Place.NOWHERE),
            ({"deletion_time": T0}, Place.RUNNING),
            ({"suspended": True, "deletion_time": T0}, Place.NOWHERE),
            ({"complete_time": T0}, Place.UNRECORDED),
            ({"complete_time": T0, "has_finalizer": False, "recorded_time": T0}, Place.NOWHERE),
        ],
    )
    def test_where_a_job_counts(self, changes: dict[str, Any], place: Place) -> None:
        books = ledger()
        books.see(replace(job(), **changes))
        assert {p: books.count(p) for p in Place if books.count(p)} == ({} if place is Place.NOWHERE else {place: 1})

    def test_a_job_that_goes_leaves_nothing_behind(self) -> None:
        books = ledger()
        books.see(job())
        books.forget(replace(job(), uid="another of that name"))
        assert books.count(Place.RUNNING) == 1
        books.forget(job())
        assert books.load() == ledger().load()

    def test_an_older_picture_does_not_take_back_what_was_let_go(self) -> None:
        books = ledger(total=1)
        books.see(job(suspended=True))
        (entry,) = books.admissions()
        assert entry.job_uid == job().uid
        books.see(job(suspended=True))
        assert (books.count(Place.RUNNING), books.admissions()) == (1, ())
        books.see(job())
        books.see(job(complete_time=T0))
        assert books.count(Place.UNRECORDED) == 1

    def test_a_restart_leaves_a_run_its_age(self) -> None:
        requested = at("09:30:00")
        share = timedelta(hours=12)
        by_hand = naming.execution_id("t", ExecutionKind.ADHOC, requested, "k")
        books = Ledger(Limits(), priority_of=lambda _: 0, offset_of=lambda task: share if task == "t" else timedelta())
        books.see(job("spread", suspended=True))
        books.see(job("not spread", task="u", suspended=True))
        manual = make_job("manual", task_uid="t", request_key="k", execution_id=by_hand, suspended=True)
        books.see(manual)
        ancient = naming.execution_id("t", ExecutionKind.ADHOC, at("00:00:00"), "k")
        books.see(replace(manual, name="ancient", uid="y", execution_id=ancient))
        books.see(replace(manual, name="as it was changed", uid="x", execution_id=by_hand.replace("0930", "0130")))
        ages = {entry.candidate.key.partition("/")[2]: entry.candidate.since for entry in books.entries()}
        assert ages == {
            "spread": T0 + share,
            "not spread": T0,
            "manual": requested,
            "ancient": waits_since(at("00:00:00"), manual.creation_time),
            "as it was changed": manual.creation_time,
        }

    def test_the_age_of_a_run_stays_what_it_was_when_it_came(self) -> None:
        spread = timedelta(minutes=5)
        books = Ledger(Limits(), priority_of=lambda _: 0, offset_of=lambda _: spread)

        def since() -> datetime:
            (entry,) = books.entries()
            return entry.candidate.since

        books.enter(candidate(since=T0 + timedelta(minutes=1)), tick=T0)
        books.see(job(suspended=True))
        assert since() == T0 + timedelta(minutes=1), "as whoever made it said"
        books.see(job(uid="made again", suspended=True))
        assert since() == T0 + spread
        spread = timedelta(hours=1)
        books.see(job(uid="made again", suspended=True))
        assert since() == T0 + timedelta(minutes=5), "an edit of the spread changes it for none that waits"

    def test_one_that_somebody_suspends_again_waits_again(self) -> None:
        books = ledger()
        books.see(job(suspended=True))
        books.admissions()
        books.see(job())
        books.see(job(suspended=True))
        assert (books.count(Place.RUNNING), books.count(Place.WAITING)) == (0, 1)

    def test_an_edit_of_the_priority_changes_the_place_in_the_order(self) -> None:
        priorities = {"t": 0, "u": 0}
        books = Ledger(Limits(total=1), priority_of=priorities.__getitem__)
        for name, task in (("a", "t"), ("b", "u")):
            books.see(job(name, task=task, suspended=True))
        priorities["u"] = 1
        assert [entry.candidate.key for entry in books.admissions()] == ["team-a/b"]
        assert books.waiting_by_block() == {"GlobalLimit": 1}

    def test_what_kueue_admits_is_counted_and_not_let_go(self) -> None:
        books = ledger(total=1)
        assert not books.enter(candidate(), tick=T0, ours=False)
        assert books.waiting_by_block() == {}, "no limit of ours holds it back"
        books.see(job(suspended=True, queue_name="team"))
        assert books.admissions() == ()
        books.see(job(queue_name="team"))
        assert not books.room(candidate("other", task="u"))

    def test_what_waits_in_kueue_holds_up_nobody(self) -> None:
        books = ledger(total=1, projects={"team-a/p": 1}, tasks={"t": 1})
        books.see(job(suspended=True, queue_name="team"))
        assert books.count(Place.WAITING) == 1
        assert books.room(candidate("of the same task"))
        books.forget(job())
        books.see(job(suspended=True))
        assert not books.room(candidate("of the same task")), "one that waits for the gate is before it"
        books.see(job(suspended=True, queue_name="team"))
        assert books.enter(candidate("other", task="u"), tick=T0)


class TestBooking:
    def test_a_run_of_unknown_outcome_counts_and_keeps_its_answer(self) -> None:
        books = ledger(total=1)
        assert books.enter(candidate(), tick=T0)
        assert books.enter(candidate(), tick=T0), "asked again after an answer was lost"
        assert not books.enter(candidate("other", task="u"), tick=T0)
        books.see(job())
        assert books.count(Place.RUNNING) == 1, "the same run, now seen"

    def test_what_was_asked_for_anew_is_not_withdrawn_by_an_older_look(self) -> None:
        timer = Timer()
        books = ledger(timer)
        books.enter(candidate(), tick=T0)
        timer.seconds = 100
        (stale,) = books.unresolved(60)
        # The API server has just said that there is no such Job, and another attempt to make it is under way.
        books.enter(candidate(), tick=T0)
        books.withdraw(stale.candidate.key, stale)
        assert books.count(Place.RUNNING) == 1
        timer.seconds = 150
        assert books.unresolved(60) == []
        timer.seconds = 200
        (entry,) = books.unresolved(60)
        books.withdraw(entry.candidate.key, entry)
        assert books.count(Place.RUNNING) == 0

    def test_a_run_whose_job_is_refused_gives_its_place_back(self) -> None:
        books = ledger(total=1)
        assert books.enter(candidate(), tick=T0)
        books.withdraw(candidate().key)
        assert books.enter(candidate("other", task="u"), tick=T0)

    def test_a_job_that_was_seen_is_not_withdrawn(self) -> None:
        books = ledger()
        books.enter(candidate(), tick=T0)
        books.see(job())
        books.withdraw(candidate().key)
        assert books.count(Place.RUNNING) == 1

    def test_what_waits_goes_on_waiting_also_if_it_is_asked_for_anew(self) -> None:
        books = ledger(total=0)
        for _ in range(2):
            assert not books.enter(candidate(), tick=T0)
            books.see(job(suspended=True))
        assert (books.count(Place.RUNNING), books.count(Place.WAITING)) == (0, 1)

    @pytest.mark.parametrize(
        ("limits", "block"),
        [
            ({"total": 1}, Block.TOTAL),
            ({"projects": {"team-a/p": 1}}, Block.PROJECT),
            ({"tasks": {"t": 1}}, Block.TASK),
        ],
    )
    def test_who_comes_later_queues_behind_those_that_wait(self, limits: dict[str, Any], block: Block) -> None:
        books = ledger(**limits)
        books.see(job("runs"))
        assert not books.enter(candidate("first"), tick=None)
        books.see(job("runs", complete_time=T0))
        assert not books.enter(candidate("second"), tick=None)
        assert books.block_of(candidate("second").key) is block

    def test_one_that_queued_cautiously_is_looked_at_once_its_job_is_known(self) -> None:
        told: list[int] = []
        limits = Limits(total=2, projects={"team-a/full": 0})
        books = Ledger(limits, priority_of=lambda _: 0, changed=lambda: told.append(1))
        books.see(job("runs"))
        books.see(job("waits for its Project", task="u", project="full", suspended=True))
        assert not books.enter(candidate("new", task="v"), tick=None), "somebody waits, maybe for what it needs"
        assert books.admissions() == (), "there is no Job yet that could be let go"
        told.clear()
        for _ in range(2):
            books.see(job("new", task="v", suspended=True))
            assert len(told) == 1
        assert [entry.candidate.key for entry in books.admissions()] == [candidate("new").key]

    def test_one_name_with_another_uid_is_another_run(self) -> None:
        books = ledger()
        books.see(job(suspended=True))
        books.admissions()
        books.see(job(uid="new", suspended=True))
        assert (books.count(Place.RUNNING), books.count(Place.WAITING)) == (0, 1)

    def test_changes_are_told(self) -> None:
        told: list[int] = []
        books = Ledger(Limits(total=1), priority_of=lambda _: 0, changed=lambda: told.append(1))
        books.see(job())
        books.see(job())
        assert len(told) == 1
        books.hold(candidate(), T0)
        books.release("t")
        assert len(told) == 2, "a slot that is given back may be another's"


class TestSlots:
    def test_a_slot_that_is_held_counts_for_all_but_its_own_tick(self) -> None:
        books = ledger(tasks={"t": 1}, projects={"team-a/p": 1}, total=1)
        books.hold(candidate(""), T0)
        assert books.held("t") == T0
        assert books.load().total == 1
        assert not books.enter(candidate("earlier"), tick=T0 - timedelta(minutes=1))
        assert not books.enter(candidate("manual"), tick=None)
        assert not books.enter(candidate("other", task="u"), tick=T0)
        assert books.enter(candidate("tick"), tick=T0), "it goes before those that came after it was held"
        assert books.held("t") is None

    @pytest.mark.parametrize(
        ("limits", "other"),
        [
            ({"total": 1}, candidate("other", task="u", project="q")),
            ({"projects": {"team-a/p": 1}}, candidate("other", task="u")),
            ({"tasks": {"t": 1}}, candidate("other")),
        ],
    )
    def test_a_slot_that_is_held_is_nobody_elses(self, limits: dict[str, Any], other: Candidate) -> None:
        books = ledger(**limits)
        assert books.room(other)
        books.hold(candidate(""), T0)
        assert not books.room(other)
        books.see(job(other.key.partition("/")[2], task=other.task, project=other.project[7:], suspended=True))
        assert books.admissions() == ()

    def test_a_slot_is_moved_and_given_back(self) -> None:
        books = ledger()
        books.hold(candidate(project="p"), T0)
        books.hold(candidate(project="q"), at("10:01:00"))
        assert books.load().projects == {"team-a/q": 1}
        books.hold(candidate(), None)
        assert (books.held("t"), books.load().total) == (None, 0)

    @pytest.mark.parametrize("lowered", [{"tasks": {"t": 1}}, {"projects": {"team-a/p": 1}}, {"total": 1}])
    def test_a_slot_beyond_a_limit_that_was_lowered_is_none(self, lowered: dict[str, Any]) -> None:
        limits: dict[str, Any] = {"tasks": {}, "projects": {}}
        books = ledger(**limits)
        books.see(job("runs"))
        books.hold(candidate(""), T0)
        assert books.held("t") == T0
        for name, value in lowered.items():
            if name == "total":
                object.__setattr__(books._limits, name, value)
            else:
                limits[name].update(value)
        assert books.held("t") is None
        assert not books.enter(candidate("tick"), tick=T0)
        assert books.load().total == 1

    def test_a_slot_held_for_another_project_does_not_count_for_this_one(self) -> None:
        books = ledger(projects={"team-a/q": 0})
        books.hold(candidate("", project="p"), T0)
        assert not books.enter(candidate("tick", project="q"), tick=T0)


NAMES = st.sampled_from(["a", "b", "c", "d"])
STEPS = st.tuples(
    st.sampled_from(["enter", "waits", "runs", "ends", "recorded", "gone", "withdraw", "hold", "release", "admit"]),
    NAMES,
    st.sampled_from(["t", "u"]),
)


@given(st.lists(STEPS, max_size=40))
@settings(max_examples=60, deadline=None)
def test_the_counts_are_those_of_what_stands_in_the_books(steps: list[tuple[str, str, str]]) -> None:
    books = ledger(tasks={"t": 1, "u": 2}, projects={"team-a/p": 2}, total=2)
    for step, name, task in steps:
        shown = job(name, task=task, uid=f"{name}-{task}")
        match step:
            case "enter":
                books.enter(candidate(name, task=task), tick=None)
            case "waits":
                books.see(replace(shown, suspended=True))
            case "runs":
                books.see(shown)
            case "ends":
                books.see(replace(shown, complete_time=T0))
            case "recorded":
                books.see(replace(shown, complete_time=T0, has_finalizer=False, recorded_time=T0))
            case "gone":
                books.forget(shown)
            case "withdraw":
                books.withdraw(candidate(name).key)
            case "hold":
                books.hold(candidate("", task=task), T0)
            case "release":
                books.release(task)
            case _:
                before = books.load().total
                let_go = books.admissions()
                assert not let_go or before + len(let_go) <= 2
        entries = list(books.entries())
        for place in Place:
            assert books.count(place) == sum(1 for entry in entries if entry.place is place)
        load = books.load()
        running = [entry for entry in entries if entry.place is Place.RUNNING]
        held = sum(1 for uid in ("t", "u") if uid in books._held)
        assert load.total == len(running) + held
        assert sum(load.tasks.values()) == load.total
        assert sum(load.projects.values()) == load.total
        assert all(count > 0 for count in (*load.tasks.values(), *load.projects.values()))
