"""The books of the launch gate: what runs, what waits, and what has just been let go. In memory, one event loop.

Rebuilt from the complete list of Jobs at every start. A run is booked *before* the request that starts it is sent, and
stays booked when the answer is lost: a start of unknown outcome counts as running until it has been read again. So
the limits hold at every instant, and `enter`, `hold` and `admissions` decide without an `await` in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from time import monotonic

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import JobFacts
from cronwright_core.domain.gate import Admission, Block, Candidate, Limits, Load, Queue, admit, at_once
from cronwright_operator.reconciling.observed import execution_id_of
from cronwright_operator.reconciling.requests import waits_since


class Place(StrEnum):
    """Where a run is for the gate."""

    WAITING = "Waiting"
    RUNNING = "Running"
    UNRECORDED = "Unrecorded"
    NOWHERE = "Nowhere"


@dataclass(frozen=True, slots=True)
class Entry:
    """One run in the books. `booked_at` (monotonic seconds): let go by us, and not yet seen so in the cluster.

    `job_uid` is None for a Job that is about to be made. `ours`: it is we who let it start, and not Kueue.
    """

    candidate: Candidate
    place: Place
    job_uid: str | None = None
    ours: bool = True
    booked_at: float | None = None


class Ledger:
    """Counts runs by task, project and in all. `changed` is called when something that waits may start now."""

    def __init__(
        self,
        limits: Limits,
        *,
        priority_of: Callable[[str], int],
        offset_of: Callable[[str], timedelta] = lambda _: timedelta(),
        changed: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._limits = limits
        self._priority_of = priority_of
        self._offset_of = offset_of
        self._changed = changed
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        self._waiting: set[str] = set()
        self._held: dict[str, tuple[datetime, Candidate]] = {}
        self._held_in = Counter[str]()
        self._counts = {place: (Counter[str](), Counter[str]()) for place in Place}
        self._totals = Counter[Place]()
        self._queued = (Counter[str](), Counter[str]())
        self._queued_total = 0
        self._blocked: dict[str, Block] = {}

    # What the cluster shows

    def see(self, job: JobFacts) -> None:
        """Takes over what a Job shows now."""
        key = naming.run_key(job.namespace, job.name)
        old = self._entries.get(key)
        place = _place(job)
        booked_at = old.booked_at if old is not None and old.job_uid == job.uid else None
        if booked_at is not None and place is Place.WAITING:
            place = Place.RUNNING  # let go, and this is an older picture of it
        else:
            booked_at = None
        project = naming.project_key(job.namespace, job.project)
        since = self._since(job)
        if old is not None and old.job_uid in (None, job.uid):
            since = old.candidate.since
        candidate = Candidate(key, job.task_uid, project, self._priority_of(job.task_uid), since)
        self._set(key, Entry(candidate, place, job.uid, job.queue_name is None, booked_at))

    def forget(self, job: JobFacts) -> None:
        """The Job is gone."""
        key = naming.run_key(job.namespace, job.name)
        entry = self._entries.get(key)
        if entry is not None and entry.job_uid == job.uid:
            self._set(key, None)

    # What is decided

    def room(self, candidate: Candidate) -> bool:
        """Whether such a run would start at once if it were made now."""
        return self._block_of(candidate) is None

    def hold(self, candidate: Candidate, tick: datetime | None) -> None:
        """Holds a slot for a tick of the candidate's task, in place of one held before; None: gives it back."""
        if tick is None:
            self.release(candidate.task)
            return
        self._give_back(candidate.task)
        self._held[candidate.task] = (tick, candidate)
        self._held_in[candidate.project] += 1

    def release(self, task_uid: str) -> None:
        """Gives back the slot that is held for a task, if one is."""
        if self._give_back(task_uid):
            self._changed()

    def held(self, task_uid: str) -> datetime | None:
        """The tick for which a slot is held; None also if a limit was lowered since, and the slot is beyond it."""
        found = self._held.get(task_uid)
        return found[0] if found is not None and self._block_of(found[1], slot=True) is None else None

    def held_ticks(self) -> Iterable[datetime]:
        """The ticks for which a slot is held."""
        return (tick for tick, _ in self._held.values())

    def enter(self, candidate: Candidate, *, tick: datetime | None, ours: bool = True) -> bool:
        """Takes a run into the books that is about to be made; returns whether it starts at once.

        Called again for the same Job it says the same: the first attempt may have made it.
        """
        entry = self._entries.get(candidate.key)
        if entry is not None:
            if entry.job_uid is None:
                # Asked for anew: who looks for those of which nothing was seen has to wait for this answer, too.
                self._entries[candidate.key] = replace(entry, booked_at=self._clock())
            return entry.place is not Place.WAITING
        held = self._held.get(candidate.task)
        slot = tick is not None and held is not None and held[0] == tick and held[1].project == candidate.project
        block = self._block_of(candidate, slot=slot)
        if slot:
            self._give_back(candidate.task)
        starts = ours and block is None
        place = Place.RUNNING if starts else Place.WAITING
        self._set(candidate.key, Entry(candidate, place, None, ours, self._clock()))
        if block is not None:
            self._blocked[candidate.key] = block
        return starts

    def withdraw(self, key: str, unchanged: Entry | None = None) -> None:
        """The run was refused and will not be made, or does not exist; `unchanged`: only if this still stands in the
        books."""
        entry = self._entries.get(key)
        if entry is not None and entry.job_uid is None and unchanged in (None, entry):
            self._set(key, None)

    def admissions(self) -> tuple[Entry, ...]:
        """Books all that may start now, most urgent first, and returns it; each is now to be let go."""
        waiting = [
            replace(entry.candidate, priority=self._priority_of(entry.candidate.task))
            for entry in (self._entries[key] for key in self._waiting)
            if entry.ours and entry.job_uid is not None
        ]
        decided: Admission = admit(waiting, self.load(), self._limits) if waiting else Admission()
        self._blocked = dict(decided.blocked)
        started = []
        for key in decided.admitted:
            entry = replace(self._entries[key], place=Place.RUNNING, booked_at=self._clock())
            self._set(key, entry)
            started.append(entry)
        return tuple(started)

    def unresolved(self, seconds: float) -> list[Entry]:
        """Runs that were to be made so long ago, and of which nothing has been seen."""
        limit = self._clock() - seconds
        return [
            entry
            for entry in self._entries.values()
            if entry.job_uid is None and entry.booked_at is not None and entry.booked_at < limit
        ]

    # What is told

    def load(self) -> Load:
        """What runs, slots that are held included."""
        tasks, projects = self._counts[Place.RUNNING]
        if self._held:
            tasks, projects = tasks + Counter(self._held.keys()), projects + self._held_in
        total = self._totals[Place.RUNNING] + len(self._held)
        return Load(tasks, projects, total, self._totals[Place.UNRECORDED])

    def block_of(self, key: str) -> Block | None:
        """Why a run waits, as the gate last saw it."""
        return self._blocked.get(key)

    def waiting_by_block(self) -> dict[str, int]:
        """How many wait for what."""
        return dict(Counter(block.value for block in self._blocked.values()))

    def count(self, place: Place) -> int:
        """How many runs are in a place."""
        return self._totals[place]

    def entries(self) -> Iterable[Entry]:
        """All runs in the books."""
        return self._entries.values()

    def _since(self, job: JobFacts) -> datetime:
        """When the run was due, as whoever entered it said: a restart must not change its place in the order."""
        if job.tick is not None:
            return job.tick + self._offset_of(job.task_uid)
        asked = naming.execution_time(execution_id_of(job) or "")
        return job.creation_time if asked is None else waits_since(asked, job.creation_time)

    def _block_of(self, candidate: Candidate, *, slot: bool = False) -> Block | None:
        """`slot`: it has the slot that is held for its task, and goes before those that wait; yet the limits may have
        been lowered since it was given."""
        tasks, projects = self._counts[Place.RUNNING]
        load = Load(
            {candidate.task: tasks[candidate.task] + (candidate.task in self._held) - slot},
            {candidate.project: projects[candidate.project] + self._held_in[candidate.project] - slot},
            self._totals[Place.RUNNING] + len(self._held) - slot,
            self._totals[Place.UNRECORDED],
        )
        # What waits in Kueue is no queue of ours: nobody waits behind it.
        queue = Queue() if slot else Queue(*self._queued, self._queued_total)
        return at_once(candidate, load, queue, self._limits)

    def _give_back(self, task_uid: str) -> bool:
        before = self._held.pop(task_uid, None)
        if before is None:
            return False
        project = before[1].project
        self._held_in[project] -= 1
        if not self._held_in[project]:
            del self._held_in[project]
        return True

    def _set(self, key: str, entry: Entry | None) -> None:
        old = self._entries.pop(key, None)
        if old is not None:
            self._count(old, -1)
            self._waiting.discard(key)
        if entry is not None and entry.place is not Place.NOWHERE:
            self._entries[key] = entry
            self._count(entry, 1)
            if entry.place is Place.WAITING:
                self._waiting.add(key)
        # One that queued while its Job was being made could not be let go then, although there may have been room.
        can_be_let_go = entry is not None and entry.job_uid is not None and entry.place is Place.WAITING
        could_not = old is not None and old.job_uid is None
        if _place_of(old) is not _place_of(entry) or (can_be_let_go and could_not):
            self._changed()

    def _count(self, entry: Entry, by: int) -> None:
        _add(self._counts[entry.place], entry.candidate, by)
        self._totals[entry.place] += by
        if entry.place is Place.WAITING and entry.ours:
            _add(self._queued, entry.candidate, by)
            self._queued_total += by


def _add(counters: tuple[Counter[str], Counter[str]], candidate: Candidate, by: int) -> None:
    for counter, name in zip(counters, (candidate.task, candidate.project), strict=True):
        counter[name] += by
        if not counter[name]:
            del counter[name]


def _place_of(entry: Entry | None) -> Place:
    return entry.place if entry is not None else Place.NOWHERE


def _place(job: JobFacts) -> Place:
    if job.finished:
        return Place.UNRECORDED if job.has_finalizer else Place.NOWHERE
    if job.suspended:
        # One that is being ended never gets a Pod.
        return Place.NOWHERE if job.stopping else Place.WAITING
    if job.stop is not None and job.parallelism == 0:
        return Place.NOWHERE  # ended while it waited (`stopping.apply`): the controller may make no Pod of it
    return Place.RUNNING
