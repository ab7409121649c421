"""Kueue's labels and PriorityClasses on what a task becomes. No Kueue runs here; tested is what it would find."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from cronwright_core.domain.gate import Limits
from cronwright_core.domain.task import ConcurrencyPolicy, Request, ScheduledTask
from cronwright_core.kube.codec import build_task, to_task
from cronwright_operator.launching.ledger import Ledger
from cronwright_operator.reconciling import actions
from cronwright_operator.settings import OperatorSettings
from support.builders import at, make_cronjob, make_job, make_task, settled
from support.decisions import decide, of

QUEUE, PRIORITY = "kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/priority-class"


def every_job(task: ScheduledTask, **seen: Any) -> list[Mapping[str, Any]]:
    """All that makes Pods of the task: the Jobs of a tick and of a request, and the CronJob's template."""
    triggered = replace(task, triggers=(Request("k", "now"),), status=settled(task, last_schedule_time=at("10:00:00")))
    due = decide(triggered, now="10:01:00", cronjob=make_cronjob(), reserved=at("10:01:00"), **seen)
    made = [create.manifest for create in of(due, actions.CreateJob)]
    (new,) = of(decide(task, **seen), actions.CreateCronJob)
    return [*made, new.manifest["spec"]["jobTemplate"]]


@pytest.mark.parametrize(
    ("labels", "passed_on"),
    [
        ({QUEUE: "team", PRIORITY: "high", "other": "x"}, {QUEUE: "team", PRIORITY: "high"}),
        ({QUEUE: "team"}, {QUEUE: "team"}),
        ({PRIORITY: "high", "other": "x"}, {}),
    ],
)
def test_kueues_labels_of_a_task_are_those_of_its_jobs(labels: dict[str, str], passed_on: dict[str, str]) -> None:
    body = build_task("team-a", "nightly-copy", make_task().spec)
    body["metadata"] |= {
        "uid": make_task().uid,
        "resourceVersion": "1",
        "creationTimestamp": "2026-03-02T09:59:30Z",
        "labels": labels,
    }
    jobs = every_job(to_task(body))
    assert len(jobs) == 3
    for job in jobs:
        found = {key: value for key, value in job["metadata"]["labels"].items() if "kueue" in key or key == "other"}
        assert found == passed_on
        assert not any("kueue" in key for key in job["spec"]["template"]["metadata"]["labels"]), "it looks at Jobs"


def test_a_job_of_kueues_waits_for_kueue_however_much_room_there_is() -> None:
    ledger = Ledger(Limits(), priority_of=lambda _: 0)
    job = make_job("queued", tick=at("10:00:00"), has_finalizer=True, suspended=True, queue_name="team")
    ledger.see(job)
    assert ledger.admissions() == ()
    # Once Kueue lets it go it counts as what runs, under every limit.
    ledger.see(replace(job, suspended=False))
    assert ledger.load().total == 1


def test_what_waits_for_kueue_counts_for_the_policy_of_a_tick() -> None:
    task = make_task(concurrency_policy=ConcurrencyPolicy.FORBID)
    task = replace(task, status=settled(task, last_schedule_time=at("10:00:00"), claimed_time=at("10:01:00")))
    waits = make_job("queued", tick=at("10:00:00"), has_finalizer=True, suspended=True, queue_name="team")
    decision = decide(
        task, now="10:01:00", cronjob=make_cronjob(last_schedule_time=at("10:01:00")), jobs=[waits], room=False
    )
    (skipped,) = of(decision, actions.RecordSkipped)
    assert (skipped.reason, "0 executions run and 1 wait" in skipped.message) == ("AlreadyRunning", True)


@pytest.mark.parametrize(
    ("priority", "name"),
    [(-1000, None), (-1, None), (0, "normal"), (9, "normal"), (10, "high"), (999, "high"), (1000, "urgent")],
)
def test_the_class_of_the_highest_minimum_that_is_not_above_the_priority(
    monkeypatch: pytest.MonkeyPatch, priority: int, name: str | None
) -> None:
    # In any order, and as the chart writes it.
    classes = [(10, "high"), (0, "normal"), (1000, "urgent")]
    text = json.dumps([{"minPriority": least, "name": known} for least, known in classes])
    monkeypatch.setenv("CRONWRIGHT_PRIORITY_CLASSES", text)
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@localhost/d")
    assert OperatorSettings().priority_class(priority) == name


def test_every_pod_of_a_task_carries_its_class() -> None:
    for name in ("high", None):
        specs = [job["spec"]["template"]["spec"] for job in every_job(make_task(), priority_class=name)]
        assert [spec.get("priorityClassName") for spec in specs] == [name] * 3
