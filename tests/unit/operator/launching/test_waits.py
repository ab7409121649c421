"""Who waits for what, and who is told when that changes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from cronwright_core.domain.cluster import JobFacts, StopIntent, StopReason
from cronwright_core.domain.gate import Limits
from cronwright_operator.launching.ledger import Ledger
from cronwright_operator.launching.waits import Waits
from support.builders import at, make_job


class Place:
    """A ledger with two runs of a task of which one may run, and what was told."""

    def __init__(self) -> None:
        self.tasks = {"t": 1}
        self.projects: dict[str, int] = {}
        limits = Limits(tasks=self.tasks, projects=self.projects)
        self.ledger = Ledger(limits, priority_of=lambda _: 0)
        self.told: list[str] = []
        self.waits = Waits(self.ledger, limits, lambda job_uid, task_uid: self.told.append(f"{job_uid} of {task_uid}"))
        self.see("first")
        self.see("second", suspended=True)

    def see(self, name: str, **changes: Any) -> JobFacts:
        job = make_job(name, task_uid="t", project="p", has_finalizer=True, tick=at("10:00:00"), **changes)
        self.ledger.see(job)
        return job

    def refresh(self) -> list[str]:
        """Lets the gate look, then refreshes; returns who was told."""
        self.told.clear()
        self.ledger.admissions()
        asyncio.run(self.waits.refresh())
        return self.told


@pytest.fixture
def place() -> Place:
    return Place()


def test_a_run_says_what_it_waits_for(place: Place) -> None:
    waiting = place.see("second", suspended=True)
    assert place.refresh() == ["uid-second of t"]
    wait = place.waits.of(waiting)
    assert wait is not None
    assert (wait.reason, "no more than 1 may run at a time" in wait.message) == ("MaxInstances", True)


def test_it_is_told_again_only_when_it_changes(place: Place) -> None:
    place.refresh()
    assert place.refresh() == []
    # Another limit, another number: the sentence is another one, though the block may be the same.
    place.see("third")
    place.tasks["t"] = 2
    assert place.refresh() == ["uid-second of t"]
    place.tasks["t"] = 5
    place.projects["team-a/p"] = 2
    assert place.refresh() == ["uid-second of t"]
    wait = place.waits.of(place.see("second", suspended=True))
    assert wait is not None
    assert wait.reason == "ProjectLimit"
    # Once it is let go there is nothing to tell: the Job itself changes.
    place.projects.clear()
    assert place.refresh() == []


def test_what_does_not_wait_has_no_answer(place: Place) -> None:
    job = make_job("x", task_uid="t", project="p", suspended=True)
    stop = StopIntent(StopReason.SUSPENDED, "operator", at("10:00:00"), "its task was suspended")
    for other in (
        replace(job, suspended=False),
        replace(job, complete_time=at("10:00:00")),
        replace(job, stop=stop),
        replace(job, deletion_time=at("10:00:00")),
    ):
        assert place.waits.of(other) is None


def test_kueues_jobs_wait_for_kueue_and_not_for_us(place: Place) -> None:
    job = place.see("queued", suspended=True, queue_name="team-queue")
    assert "uid-queued of t" not in place.refresh()
    wait = place.waits.of(job)
    assert wait is not None
    assert (wait.reason, "team-queue" in wait.message) == ("KueueAdmission", True)
