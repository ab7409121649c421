"""The launch gate: limits, order, ageing, and what a tick does at its task's limit."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cronwright_core.domain.gate import (
    AGEING_SECONDS,
    Block,
    Candidate,
    Instance,
    Limits,
    Load,
    Queue,
    TickVerdict,
    Verdict,
    admit,
    at_once,
    judge_tick,
    precedence,
)
from cronwright_core.domain.task import ConcurrencyPolicy

T0 = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def waits(key: str, task: str = "t", project: str = "p", priority: int = 0, after: int = 0) -> Candidate:
    return Candidate(key, task, project, priority, T0 + timedelta(seconds=after))


def test_without_limits_everything_starts_in_order() -> None:
    admission = admit([waits("b", after=1), waits("c", priority=5, after=1), waits("a")], Load(), Limits())
    assert admission.admitted == ("c", "a", "b")
    assert admission.blocked == {}


def test_of_equals_the_order_is_always_the_same() -> None:
    for waiting in ([waits("a"), waits("b")], [waits("b"), waits("a")]):
        assert admit(waiting, Load(), Limits(total=1)).admitted == ("a",)


def test_each_limit_holds_and_is_named() -> None:
    waiting = [
        waits("1", task="one"),
        waits("2", task="one"),
        waits("3", task="two", after=1),
        waits("4", task="two", after=2),
        waits("5", task="three", project="q", after=3),
        waits("6", task="four", project="q", after=4),
    ]
    limits = Limits(tasks={"one": 1}, projects={"p": 2}, total=3)
    admission = admit(waiting, Load(), limits)
    assert admission.admitted == ("1", "3", "5")
    assert admission.blocked == {"2": Block.TASK, "4": Block.PROJECT, "6": Block.TOTAL}


def test_who_is_at_a_limit_holds_up_nobody_else() -> None:
    waiting = [waits("first", task="busy", after=0), waits("second", task="free", after=1)]
    assert admit(waiting, Load(tasks={"busy": 1}, total=1), Limits(tasks={"busy": 1})).admitted == ("second",)


def test_what_runs_counts() -> None:
    load = Load(tasks={"t": 1}, projects={"p": 3}, total=9)
    assert admit([waits("a")], load, Limits(tasks={"t": 1})).blocked == {"a": Block.TASK}
    assert admit([waits("a")], load, Limits(projects={"p": 3})).blocked == {"a": Block.PROJECT}
    assert admit([waits("a")], load, Limits(total=9)).blocked == {"a": Block.TOTAL}
    assert admit([waits("a")], load, Limits({"t": 2}, {"p": 4}, 10)).admitted == ("a",)


def test_with_nothing_there_a_run_starts_at_once_under_a_limit_of_one() -> None:
    one = Limits({"t": 1}, {"p": 1}, 1)
    assert at_once(waits("a"), Load(), Queue(), one) is None
    assert at_once(waits("a"), Load({"t": 1}), Queue(), one) is Block.TASK
    assert at_once(waits("a"), Load(), Queue(projects={"p": 1}), one) is Block.PROJECT


def test_nothing_starts_while_too_much_is_unrecorded() -> None:
    limits = Limits(unrecorded=5)
    assert admit([waits("a")], Load(unrecorded=4), limits).admitted == ("a",)
    assert admit([waits("a")], Load(unrecorded=5), limits).blocked == {"a": Block.UNRECORDED}
    assert at_once(waits("a"), Load(unrecorded=5), Queue(), limits) is Block.UNRECORDED


def test_waiting_outweighs_priority_in_time() -> None:
    old = waits("old", priority=0)
    rival = waits("rival", priority=3, after=3 * AGEING_SECONDS - 1)
    assert admit([old, rival], Load(), Limits(total=1)).admitted == ("rival",)
    late = replace(rival, since=T0 + timedelta(seconds=3 * AGEING_SECONDS + 1))
    assert admit([old, late], Load(), Limits(total=1)).admitted == ("old",)


candidates = st.lists(
    st.builds(
        Candidate,
        key=st.uuids().map(str),
        task=st.sampled_from("abc"),
        project=st.sampled_from("pq"),
        priority=st.integers(-3, 3),
        since=st.integers(0, 600).map(lambda s: T0 + timedelta(seconds=s)),
    ),
    max_size=30,
    unique_by=lambda c: c.key,
)
limits_ = st.builds(
    Limits,
    tasks=st.dictionaries(st.sampled_from("abc"), st.integers(1, 4)),
    projects=st.dictionaries(st.sampled_from("pq"), st.integers(1, 6)),
    total=st.none() | st.integers(1, 8),
)


@settings(deadline=None)  # a busy machine
@given(candidates, limits_)
def test_never_over_a_limit_never_idle_and_in_order(waiting: list[Candidate], limits: Limits) -> None:
    by_key = {candidate.key: candidate for candidate in waiting}
    admission = admit(waiting, Load(), limits)
    assert set(admission.admitted) | set(admission.blocked) == set(by_key)
    admitted = [by_key[key] for key in admission.admitted]
    assert admitted == sorted(admitted, key=precedence)
    tasks = Counter(c.task for c in admitted)
    projects = Counter(c.project for c in admitted)
    assert all(tasks[t] <= n for t, n in limits.tasks.items())
    assert all(projects[p] <= n for p, n in limits.projects.items())
    assert limits.total is None or len(admitted) <= limits.total
    # Whoever waits could not have started beside these: some limit of its own is used up.
    load = Load(tasks, projects, len(admitted))
    assert all(at_once(by_key[key], load, Queue(), limits) is not None for key in admission.blocked)
    # The order in which they are told makes no difference.
    assert admit(reversed(waiting), Load(), limits) == admission


@settings(deadline=None)  # a busy machine
@given(candidates, limits_, st.integers(0, 29))
def test_who_starts_at_once_overtakes_nobody(waiting: list[Candidate], limits: Limits, pick: int) -> None:
    if not waiting:
        return
    newcomer = waiting.pop(pick % len(waiting))
    queue = Queue(Counter(c.task for c in waiting), Counter(c.project for c in waiting), len(waiting))
    if at_once(newcomer, Load(), queue, limits) is None:
        before = admit(waiting, Load(), limits)
        beside = admit([*waiting, newcomer], Load(), limits)
        assert set(beside.admitted) == {*before.admitted, newcomer.key}


def test_ten_thousand_that_wait_are_decided_quickly() -> None:
    waiting = [waits(str(n), task=f"t{n % 3000}", project=f"p{n % 40}", priority=n % 7, after=n) for n in range(10_000)]
    limits = Limits({f"t{n}": 2 for n in range(3000)}, {f"p{n}": 50 for n in range(40)}, 1500)
    began = time.process_time()
    assert len(admit(waiting, Load(), limits).admitted) == 1500
    assert time.process_time() - began < 5, "a guard against quadratic work, not a measurement"


def instance(key: str, *, waiting: bool = False, scheduled: bool = True, after: int = 0, **more: bool) -> Instance:
    return Instance(key, T0 + timedelta(seconds=after), waiting, scheduled, **more)


RUNS = instance("runs")


@pytest.mark.parametrize("policy", list(ConcurrencyPolicy))
def test_below_the_limit_a_tick_runs(policy: ConcurrencyPolicy) -> None:
    assert judge_tick([RUNS], limit=2, policy=policy, max_queued=1) == TickVerdict(Verdict.RUN)


def test_forbid_skips_and_says_why() -> None:
    found = judge_tick(
        [RUNS, instance("m", waiting=True, scheduled=False)], limit=2, policy=ConcurrencyPolicy.FORBID, max_queued=10
    )
    assert (found.verdict, found.reason) == (Verdict.SKIP, "AlreadyRunning")
    assert found.message == "1 executions run and 1 wait (maxInstances 2, concurrencyPolicy Forbid)"


def test_queue_waits_up_to_its_length() -> None:
    queued = [RUNS, instance("manual", waiting=True, scheduled=False), instance("q1", waiting=True)]
    judged = judge_tick(queued, limit=1, policy=ConcurrencyPolicy.QUEUE, max_queued=2)
    assert judged.verdict is Verdict.QUEUE, "manual runs have a queue of their own"
    full = judge_tick([*queued, instance("q2", waiting=True)], limit=1, policy=ConcurrencyPolicy.QUEUE, max_queued=2)
    assert (full.verdict, full.reason) == (Verdict.SKIP, "QueueFull")


def test_replace_ends_what_waits_first_and_the_oldest_next() -> None:
    def replaced(*instances: Instance, limit: int = 1) -> tuple[str, ...]:
        found = judge_tick(instances, limit=limit, policy=ConcurrencyPolicy.REPLACE, max_queued=1)
        assert found.verdict is Verdict.REPLACE
        return found.replaced

    assert replaced(instance("old"), instance("new", after=5), limit=2) == ("old",)
    assert replaced(instance("old"), instance("next", waiting=True, after=5), limit=1) == ("next", "old")
    assert replaced(instance("old", stopping=True)) == (), "its end is decided already"
    asked_for = instance("asked for", waiting=True, scheduled=False)
    assert replaced(asked_for) == ()
    assert replaced(instance("manual", scheduled=False)) == ("manual",)
