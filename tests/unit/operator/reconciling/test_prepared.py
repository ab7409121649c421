"""Decisions taken before their tick: carried out as they are if nothing happens until then, and else taken anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cronwright_core.domain.task import Request, ScheduledTask
from cronwright_operator.reconciling import prepared as prepared_module
from cronwright_operator.reconciling.actions import CreateCronJob, CreateJob, Decision
from cronwright_operator.reconciling.observed import Observed, Registration
from cronwright_operator.reconciling.prepared import PreparedDecisions
from cronwright_operator.reconciling.reconcile import reconcile
from cronwright_operator.reconciling.ticks import LEAD
from support.builders import at, make_cronjob, make_job, make_project, make_task, settled
from support.decisions import decide, of, status_of, view

TICK = at("10:01:00")
BEFORE = TICK - LEAD


def _settled_task(**changes: Any) -> ScheduledTask:
    task = make_task(**changes)
    task = replace(task, status=settled(task, last_schedule_time=at("10:00:00")))
    return replace(task, status=status_of(decide(task)))


def _seen(task: ScheduledTask | None = None, **changes: Any) -> Observed:
    """A task whose CronJob stands as it is wanted and for whose tick a slot is held."""
    task = task or _settled_task()
    (create,) = of(decide(replace(task, status=replace(task.status, last_schedule_time=None))), CreateCronJob)
    hash_ = create.manifest["metadata"]["annotations"]["cronwright.dev/spec-hash"]
    return replace(
        Observed(
            task=task,
            project=make_project(),
            cronjob=make_cronjob(spec_hash=hash_, last_schedule_time=at("10:00:00")),
            jobs=(),
            registration=Registration(task_id=1),
            now=BEFORE,
            reserved=TICK,
        ),
        **changes,
    )


@pytest.fixture
def decided(monkeypatch: pytest.MonkeyPatch) -> list[Observed]:
    """What `reconcile` was asked."""
    asked: list[Observed] = []

    def noting(seen: Observed) -> Decision:
        asked.append(seen)
        return reconcile(seen)

    monkeypatch.setattr(prepared_module, "reconcile", noting)
    return asked


def _ready(seen: Observed) -> PreparedDecisions:
    decisions = PreparedDecisions()
    decisions.prepare(seen, TICK)
    return decisions


def test_what_was_prepared_is_carried_out_at_the_tick_without_deciding_again(decided: list[Observed]) -> None:
    seen = _seen()
    decisions = _ready(seen)
    asked = len(decided)
    at_tick = replace(seen, now=TICK + timedelta(seconds=1.5))
    decision = decisions.decide(at_tick)
    assert len(decided) == asked, "it was decided at the tick once more"
    (create,) = of(decision, CreateJob)
    assert create == of(reconcile(at_tick), CreateJob)[0], "at the tick it would have been another Job"
    assert decision == reconcile(replace(seen, now=TICK))


def test_it_serves_once(decided: list[Observed]) -> None:
    seen = _seen()
    decisions = _ready(seen)
    at_tick = replace(seen, now=TICK)
    decisions.decide(at_tick)
    asked = len(decided)
    decisions.decide(at_tick)
    assert len(decided) == asked + 1, "what may have changed meanwhile was not looked at"


def test_a_look_before_the_tick_decides_for_its_own_moment_and_keeps_what_is_prepared(decided: list[Observed]) -> None:
    seen = _seen()
    decisions = _ready(seen)
    early = replace(seen, now=TICK - timedelta(seconds=1))
    assert not of(decisions.decide(early), CreateJob)
    asked = len(decided)
    assert of(decisions.decide(replace(seen, now=TICK)), CreateJob)
    assert len(decided) == asked


def _other_task(seen: Observed) -> Observed:
    return replace(seen, task=replace(seen.task, spec=replace(seen.task.spec, suspend=True)))


def _with_run(seen: Observed) -> Observed:
    job = make_job(tick=TICK, execution_id="x", has_finalizer=True, stepped_in=True)
    return replace(seen, jobs=(view(job),))


def _claimed(seen: Observed) -> Observed:
    assert seen.cronjob is not None
    return replace(seen, cronjob=replace(seen.cronjob, last_schedule_time=TICK, resource_version="51"))


@pytest.mark.parametrize(
    "change",
    [
        _other_task,
        _with_run,
        _claimed,
        lambda seen: replace(seen, project=None),
        lambda seen: replace(seen, project_refused=True),
        lambda seen: replace(seen, reserved=None, room=False),
        lambda seen: replace(seen, priority_class="high"),
    ],
)
def test_whatever_is_seen_otherwise_at_the_tick_is_decided_then(change: Any) -> None:
    seen = _seen()
    decisions = _ready(seen)
    at_tick = replace(change(seen), now=TICK + timedelta(seconds=1))
    assert decisions.decide(at_tick) == reconcile(at_tick)


def test_a_tick_that_has_become_too_late_is_not_run_as_it_was_prepared() -> None:
    task = _settled_task(starting_deadline_seconds=3)
    seen = _seen(task)
    decisions = _ready(seen)
    late = replace(seen, now=TICK + timedelta(seconds=3, milliseconds=1))
    assert not of(decisions.decide(late), CreateJob)


def test_within_its_deadline_it_runs_as_it_was_prepared(decided: list[Observed]) -> None:
    seen = _seen(_settled_task(starting_deadline_seconds=3))
    decisions = _ready(seen)
    asked = len(decided)
    assert of(decisions.decide(replace(seen, now=TICK + timedelta(seconds=2))), CreateJob)
    assert len(decided) == asked


def test_after_a_long_time_it_is_decided_anew(decided: list[Observed]) -> None:
    seen = _seen()
    decisions = _ready(seen)
    asked = len(decided)
    decisions.decide(replace(seen, now=TICK + timedelta(seconds=20)))
    assert len(decided) == asked + 1


def test_prepared_again_it_is_decided_only_if_something_else_is_seen(decided: list[Observed]) -> None:
    seen = _seen()
    decisions = _ready(seen)
    asked = len(decided)
    decisions.prepare(replace(seen, now=BEFORE + timedelta(seconds=2)), TICK)
    assert len(decided) == asked
    decisions.prepare(replace(seen, priority_class="high"), TICK)
    assert len(decided) == asked + 1
    (create,) = of(decisions.decide(replace(seen, now=TICK, priority_class="high")), CreateJob)
    assert create.manifest["spec"]["template"]["spec"]["priorityClassName"] == "high"


def test_a_request_without_a_time_is_of_the_moment_at_which_it_is_read(decided: list[Observed]) -> None:
    request = Request("key-1", "{}")
    seen = _seen()
    seen = replace(seen, task=replace(seen.task, triggers=(request,)))
    decisions = _ready(seen)
    assert not decided
    at_tick = replace(seen, now=TICK + timedelta(seconds=1))
    assert decisions.decide(at_tick) == reconcile(at_tick)


def test_those_beyond_the_bound_are_decided_at_their_tick(
    monkeypatch: pytest.MonkeyPatch, decided: list[Observed]
) -> None:
    monkeypatch.setattr(prepared_module, "_MAX_PREPARED", 1)
    first = _seen()
    second = replace(first, task=replace(first.task, uid="another"))
    decisions = _ready(first)
    decisions.prepare(second, TICK)
    assert len(decided) == 1
    decisions.forget(first.task.uid)
    decisions.prepare(second, TICK)
    assert len(decided) == 2
