"""The launch gate: which of the runs that are due start now, which wait, and which never will. Pure.

Two questions, asked at two moments. `judge_tick`: a tick is due - does it run at all, given what its task has already
(concurrencyPolicy)? `admit`: of all that waits, what may start under the limits of task, project and whole?

Waiting adds priority slowly. As it adds the same to all, the order of two that wait never changes, and one sort decides
it: nothing that comes later than `priority difference x AGEING_SECONDS` overtakes, so nothing starves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cronwright_core.domain.task import ConcurrencyPolicy

AGEING_SECONDS = 60
"""So long a wait weighs as much as one point of priority."""


class Block(StrEnum):
    """Why a run waits; the order is the order in which they are told."""

    TASK = "MaxInstances"
    PROJECT = "ProjectLimit"
    TOTAL = "GlobalLimit"
    UNRECORDED = "TooManyUnrecorded"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run that waits, or is about to be made. `key` is its Job's name with the namespace; `since` when it was due."""

    key: str
    task: str
    project: str
    priority: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Limits:
    """How many may run at a time; a task, project or whole that is not named has no limit.

    `unrecorded`: at so many finished and not yet recorded executions nothing starts any more.
    """

    tasks: Mapping[str, int] = field(default_factory=dict)
    projects: Mapping[str, int] = field(default_factory=dict)
    total: int | None = None
    unrecorded: int | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """What runs, by task and project and in all: admitted or booked, and not ended. `unrecorded` as in `Limits`."""

    tasks: Mapping[str, int] = field(default_factory=dict)
    projects: Mapping[str, int] = field(default_factory=dict)
    total: int = 0
    unrecorded: int = 0


@dataclass(frozen=True, slots=True)
class Admission:
    """What may start now, most urgent first, and why each of the others waits."""

    admitted: tuple[str, ...] = ()
    blocked: Mapping[str, Block] = field(default_factory=dict)


def precedence(candidate: Candidate) -> tuple[float, str]:
    """Sorts the most urgent first. Priority as it grows with the wait, without the part that is equal for all."""
    return candidate.since.timestamp() / AGEING_SECONDS - candidate.priority, candidate.key


def admit(waiting: Iterable[Candidate], load: Load, limits: Limits) -> Admission:
    """Decides on everything that waits: in order of precedence, each that fits starts; one that does not fit holds up
    nobody outside of what it waits for. O(n log n)."""
    tasks, projects, total = Counter(load.tasks), Counter(load.projects), load.total
    admitted: list[str] = []
    blocked: dict[str, Block] = {}
    for candidate in sorted(waiting, key=precedence):
        reason = _block(candidate, tasks[candidate.task], projects[candidate.project], total, load.unrecorded, limits)
        if reason is not None:
            blocked[candidate.key] = reason
            continue
        admitted.append(candidate.key)
        tasks[candidate.task] += 1
        projects[candidate.project] += 1
        total += 1
    return Admission(tuple(admitted), blocked)


@dataclass(frozen=True, slots=True)
class Queue:
    """How many wait, by task and project and in all."""

    tasks: Mapping[str, int] = field(default_factory=dict)
    projects: Mapping[str, int] = field(default_factory=dict)
    total: int = 0


def at_once(candidate: Candidate, load: Load, queue: Queue, limits: Limits) -> Block | None:
    """Whether a run may be made unsuspended: None, or why it has to queue. O(1).

    Cautious: where anybody waits for what it needs itself, it queues behind, and `admit` decides in order.
    """
    return _block(
        candidate,
        load.tasks.get(candidate.task, 0) + queue.tasks.get(candidate.task, 0),
        load.projects.get(candidate.project, 0) + queue.projects.get(candidate.project, 0),
        load.total + queue.total,
        load.unrecorded,
        limits,
    )


def _block(
    candidate: Candidate, of_task: int, of_project: int, total: int, unrecorded: int, limits: Limits
) -> Block | None:
    if limits.unrecorded is not None and unrecorded >= limits.unrecorded:
        return Block.UNRECORDED
    if of_task >= limits.tasks.get(candidate.task, of_task + 1):
        return Block.TASK
    if of_project >= limits.projects.get(candidate.project, of_project + 1):
        return Block.PROJECT
    if limits.total is not None and total >= limits.total:
        return Block.TOTAL
    return None


@dataclass(frozen=True, slots=True)
class Instance:
    """An execution of the task that waits or runs. `stopping`: its end is decided already."""

    key: str
    since: datetime
    waiting: bool
    scheduled: bool
    stopping: bool = False


class Verdict(StrEnum):
    """What becomes of a tick that is due."""

    RUN = "Run"
    QUEUE = "Queue"
    SKIP = "Skip"
    REPLACE = "Replace"


@dataclass(frozen=True, slots=True)
class TickVerdict:
    """`reason` and `message` say why it is skipped; `replaced` are the keys of those that must end for it."""

    verdict: Verdict
    reason: str = ""
    message: str = ""
    replaced: tuple[str, ...] = ()


def judge_tick(instances: Sequence[Instance], *, limit: int, policy: ConcurrencyPolicy, max_queued: int) -> TickVerdict:
    """What the task's concurrencyPolicy says of a tick. Waiting and running executions of any kind count.

    RUN: below the limit (whether it starts at once is asked of the gate). With Replace, waiting scheduled runs go
    first, then the oldest running ones; waiting manual runs stay, as somebody asked for each of them.
    """
    staying = [instance for instance in instances if not instance.stopping]
    if len(instances) < limit:
        return TickVerdict(Verdict.RUN)
    if policy is ConcurrencyPolicy.QUEUE:
        queued = sum(1 for instance in staying if instance.waiting and instance.scheduled)
        if queued < max_queued:
            return TickVerdict(Verdict.QUEUE)
        return TickVerdict(Verdict.SKIP, "QueueFull", f"{queued} scheduled runs wait already (maxQueued {max_queued})")
    if policy is ConcurrencyPolicy.REPLACE:
        surplus = len(staying) - limit + 1
        order = sorted(staying, key=lambda instance: (not instance.waiting, instance.since, instance.key))
        candidates = [instance.key for instance in order if instance.scheduled or not instance.waiting]
        return TickVerdict(Verdict.REPLACE, replaced=tuple(candidates[: max(surplus, 0)]))
    waits = sum(1 for instance in instances if instance.waiting)
    message = (
        f"{len(instances) - waits} executions run and {waits} wait (maxInstances {limit}, concurrencyPolicy Forbid)"
    )
    return TickVerdict(Verdict.SKIP, "AlreadyRunning", message)
