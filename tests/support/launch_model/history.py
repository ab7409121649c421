"""Watches everything that happens in the simulated cluster and says what must never be: the invariants."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import JobFacts, StopReason
from cronwright_core.domain.execution import ExecutionKind
from cronwright_core.domain.schedule import OnceSchedule, Schedule, ScheduleType, parse_schedule, ticks_between
from cronwright_core.domain.task import ScheduledTask, TaskStatus
from cronwright_core.domain.times import from_rfc3339, to_rfc3339
from cronwright_core.kube.codec import to_task
from cronwright_core.kube.ports import Json
from cronwright_core.kube.resources import CRON_JOBS, JOBS, PODS, PROJECTS, SCHEDULED_TASKS
from cronwright_core.kube.workloads import to_job
from cronwright_operator.reconciling.observed import execution_id_of
from cronwright_operator.reconciling.passed_over import state_of
from cronwright_operator.reconciling.reconcile import schedule_hash
from support.launch_model.database import Database
from support.launch_model.link import LATE
from support.launch_model.operator import DECIDED_ON

RECENT_SECONDS = 4.0
"""What somebody has just changed may not have come to the operator's eyes yet."""
CALM_SECONDS = 14.0
"""So long before a tick nothing may go wrong, if its slot shall have been reserved or claimed in time."""


class Present(Protocol):
    """What of the world the judge must know."""

    database: Database
    clock_was_wrong: bool

    def seconds(self) -> float: ...
    def now(self) -> datetime: ...
    def last_disturbance(self) -> float: ...
    def deaf_until(self) -> float: ...


@dataclass
class Values:
    """A limit over time."""

    changes: list[tuple[float, int | None]] = field(default_factory=list)

    def set(self, time: float, value: int | None) -> None:
        self.changes.append((time, value))

    def allowed(self, since: float) -> int | None:
        """The highest value in force after `since`; None: no limit."""
        before = [value for time, value in self.changes if time <= since][-1:]
        values = before + [value for time, value in self.changes if time > since]
        known = [value for value in values if value is not None]
        return max(known) if len(known) == len(values) and known else None


@dataclass
class History:
    """`violations` in words; empty is what is wanted."""

    world: Present
    total: int | None
    violations: list[str] = field(default_factory=list)
    started: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Execution id -> uids of the Jobs of it that got a Pod."""
    running: dict[str, JobFacts] = field(default_factory=dict)
    let_go: dict[str, float] = field(default_factory=dict)
    """Job uid -> when it could first get a Pod."""
    excused: set[str] = field(default_factory=set)
    unforeseen: dict[str, float] = field(default_factory=dict)
    """Job uid -> when it began, of those that the operator could not foresee: a person made them, or a write that came
    late. Each of these may pass a limit; once the operator has seen it, it counts for all others."""
    cronjobs_gone: set[str] = field(default_factory=set)
    cronjob_times: dict[str, datetime] = field(default_factory=dict)
    """CronJob uid -> its lastScheduleTime."""
    limits: dict[str, Values] = field(default_factory=lambda: defaultdict(Values))
    schedules: dict[str, Schedule] = field(default_factory=dict)
    """By the first part of `scheduleHash`, which outlasts an edit while the task cannot run."""
    edits: dict[str, list[tuple[int, datetime]]] = field(default_factory=lambda: defaultdict(list))
    decided: dict[str, set[datetime]] = field(default_factory=lambda: defaultdict(set))
    """Ticks that a task's watermark has passed, while nobody edited it."""

    def changed(self, plural: str, by: str, old: Json | None, new: Json | None) -> None:
        """A hook of the API server."""
        if plural == CRON_JOBS.plural and new is not None:
            last = (new.get("status") or {}).get("lastScheduleTime")
            if last is not None:
                self.cronjob_times[new["metadata"]["uid"]] = from_rfc3339(last)
        elif plural == CRON_JOBS.plural and old is not None:
            self.cronjobs_gone.add(old["metadata"]["uid"])
        elif plural == JOBS.plural:
            self._job(by, to_job(old) if old else None, to_job(new) if new else None)
        elif plural == PODS.plural and old is None and new is not None:
            self._pod(new)
        elif plural == SCHEDULED_TASKS.plural and new is not None:
            self._task(to_task(old) if old else None, to_task(new))
        elif plural == PROJECTS.plural and (body := new or old) is not None:
            name = naming.project_key(body["metadata"]["namespace"], body["metadata"]["name"])
            # What waits of a Project that is gone has no limit any more.
            limit = None if new is None else new["spec"].get("maxConcurrentExecutions")
            self.limits[name].set(self.world.seconds(), limit)

    def _tell(self, text: str) -> None:
        self.violations.append(f"{to_rfc3339(self.world.now())} {text}")

    def _pod(self, pod: Json) -> None:
        uid = pod["metadata"]["ownerReferences"][0]["uid"]
        job = self.running.get(uid)
        id_ = execution_id_of(job) if job is not None else None
        if id_ is None:
            self._tell(f"a Pod of {uid}, which should not run")
            return
        if uid in self.world.database.came_late:
            return
        self.started[id_].add(uid)
        if len(self.started[id_]) > 1:
            self._tell(f"{id_} ran twice: {sorted(self.started[id_])}")
        row = self.world.database.rows.get(id_)
        if row is not None and not self.world.database.is_excused(uid, row):
            self._tell(f"{id_} runs although the history says {row.status} {row.reason}")

    def _job(self, by: str, old: JobFacts | None, new: JobFacts | None) -> None:
        job = new or old
        assert job is not None
        id_ = execution_id_of(job)
        if old is None and by == "controller" and job.tick is not None and job.owner_uid is not None:
            last = self.cronjob_times.get(job.owner_uid)
            if last is not None and last >= job.tick:
                self.world.database.from_old_looks.add(job.uid)
        if old is None and LATE.get():
            self.world.database.came_late.add(job.uid)
        if new is None and not job.accepted and job.owner_uid in self.cronjobs_gone and id_ is not None:
            # Nobody had taken it on, and who deleted its CronJob has taken away all that told of it: nobody can know.
            self.started[id_].discard(job.uid)
        if old is not None and new is not None and old.stop is None and new.stop is not None:
            self._stopped(new, new.stop.reason)
        if new is None or new.finished or new.suspended or (new.stop is not None and new.parallelism == 0):
            self.running.pop(job.uid, None)
            return
        starts = job.uid not in self.running
        self.running[job.uid] = job
        if starts:
            self.let_go[job.uid] = self.world.seconds()
            self._start(by, job)
        if old is None and by == "operator" and job.tick is not None:
            self._made(job)

    def _stopped(self, job: JobFacts, reason: StopReason) -> None:
        """What it waited for its turn is not its fault."""
        since = self.world.seconds() - self.let_go.get(job.uid, self.world.seconds())
        if self.world.clock_was_wrong:
            return  # its patience is counted from the cluster's time to ours
        if reason is StopReason.CANNOT_START and since < job.pending_deadline_seconds - 1:
            self._tell(f"{job.name} was ended as one that cannot start {since:.1f} s after it was let go")

    def _start(self, by: str, job: JobFacts) -> None:
        if by == "user" or LATE.get():
            self.unforeseen[job.uid] = self.world.seconds()
            return
        if by == "controller" and job.tick is not None:
            age = (self.world.now() - job.tick).total_seconds()
            if self.world.last_disturbance() > self.world.seconds() - age - CALM_SECONDS:
                self.excused.add(job.uid)
                return
        counted = [other for uid, other in self.running.items() if uid not in self.excused and self._is_seen(uid)]
        since = self.world.seconds() - RECENT_SECONDS
        key = f"{job.namespace}/{job.project}"
        for name, count, limit in (
            ("task", sum(1 for other in counted if other.task_uid == job.task_uid), self._limit(job.task_uid, since)),
            ("project", sum(1 for other in counted if other.project == job.project), self._limit(key, since)),
            ("total", len(counted), self.total),
        ):
            if limit is not None and count > limit:
                self._tell(f"{job.name} was started by the {by}: {count} run, the {name}'s limit is {limit}")

    def _is_seen(self, job_uid: str) -> bool:
        began, now = self.unforeseen.get(job_uid), self.world.seconds()
        return began is None or max(began, min(self.world.deaf_until(), now)) + RECENT_SECONDS < now

    def fits(self, job: JobFacts) -> bool:
        """Whether the Job's own task and Project have room for one more."""
        runs = [other for other in self.running.values() if other.uid != job.uid]
        of_task = sum(1 for other in runs if other.task_uid == job.task_uid)
        of_project = sum(1 for other in runs if other.project == job.project)
        limits = ((of_task, job.task_uid), (of_project, f"{job.namespace}/{job.project}"))
        return all(
            (limit := self._limit(name, self.world.seconds())) is None or count < limit for count, name in limits
        )

    def _limit(self, name: str, since: float) -> int | None:
        return self.limits[name].allowed(since) if name in self.limits else None

    def _made(self, job: JobFacts) -> None:
        """An edit or a resume fires nothing for times before it."""
        assert job.tick is not None
        for generation, time in self.edits.get(job.task_uid, ()):
            if generation <= DECIDED_ON.get() and job.tick <= time and not self.world.clock_was_wrong:
                self._tell(f"{job.name}: tick {to_rfc3339(job.tick)} was started after an edit at {to_rfc3339(time)}")

    def _task(self, old: ScheduledTask | None, new: ScheduledTask) -> None:
        spec = new.spec
        self.limits[new.uid].set(self.world.seconds(), spec.max_instances)
        schedule = parse_schedule(spec.schedule_type, spec.schedule, spec.time_zone)
        self.schedules[state_of(schedule_hash(new))[0]] = schedule
        if old is not None and schedule_hash(old) != schedule_hash(new):
            at_once = isinstance(schedule, OnceSchedule) and schedule.at is None
            seen = new.status.observed_generation or 0
            if new.status.schedule_hash == schedule_hash(new):
                # Back to what the operator knows: an edit and its contrary that it has not seen are none.
                self.edits[new.uid] = [edit for edit in self.edits[new.uid] if edit[0] <= seen]
            elif at_once:
                self.edits[new.uid].clear()  # it runs at once, at this very second
            else:
                self.edits[new.uid].append((new.generation, self.world.now()))
        before, after = (old.status if old else new.status), new.status
        if _is_pause(before.schedule_hash, after.schedule_hash):
            if spec.schedule_type is not ScheduleType.ONCE:  # that of a Once comes when it is resumed
                self._pass(new, before, after)
            return
        if after.schedule_hash is None or not after.schedule_hash.endswith("active"):
            return  # suspended, or it cannot run: what comes due is told when it can again
        if before.schedule_hash not in (None, after.schedule_hash):
            return  # an edit was seen: what lies before that moment is nobody's
        if after.last_schedule_time is None or after.last_schedule_time == before.last_schedule_time:
            return
        if before.last_schedule_time is not None and after.last_schedule_time < before.last_schedule_time:
            self._tell(f"the watermark of {new.name} went back")
            return
        self._pass(new, replace(before, anchor_time=after.anchor_time), after)

    def _pass(self, task: ScheduledTask, before: TaskStatus, after: TaskStatus) -> None:
        """The ticks between the two watermarks are decided."""
        schedule = self.schedules[state_of(after.schedule_hash or "")[0]]
        anchor = before.anchor_time or task.creation_time
        base, until = before.last_schedule_time or anchor, after.last_schedule_time
        if until is not None:
            passed = ticks_between(schedule, base=base, until=until, anchor=anchor, limit=100_000)
            self.decided[task.uid] |= set(passed.newest)

    # When all has come to rest

    def unaccounted(self, task_uid: str) -> list[datetime]:
        """Ticks that are decided and of which the history says nothing."""
        rows = self.world.database.rows
        spans = [span for row in rows.values() if (span := _span(row.message)) is not None]
        return [
            tick
            for tick in sorted(self.decided.get(task_uid, ()))
            if naming.execution_id(task_uid, ExecutionKind.SCHEDULED, tick, "") not in rows
            and not any(first <= tick <= last for first, last in spans)
        ]

    def overdue(self, task: ScheduledTask, patience: timedelta) -> datetime | None:
        """A tick of an active task that is due so long and was not decided."""
        if task.spec.suspend or task.deleting or task.status.completion_time is not None:
            return None
        if any(condition.reason == "InvalidSchedule" for condition in task.status.conditions):
            return None  # a date that had passed when the operator saw the edit
        schedule = parse_schedule(task.spec.schedule_type, task.spec.schedule, task.spec.time_zone)
        anchor = task.status.anchor_time or task.creation_time
        base = task.status.last_schedule_time or anchor
        if isinstance(schedule, OnceSchedule) and schedule.at is None:
            return anchor
        due = ticks_between(schedule, base=base, until=self.world.now() - patience, anchor=anchor, limit=1)
        return due.newest[-1] if due.newest else None


def _span(message: str | None) -> tuple[datetime, datetime] | None:
    """The times of a summary: `7 runs from A to B: ...`."""
    words = (message or "").split()
    if len(words) < 6 or words[1:3] != ["runs", "from"]:
        return None
    return from_rfc3339(words[3]), from_rfc3339(words[5].rstrip(":"))


def _is_pause(before: str | None, after: str | None) -> bool:
    return before is not None and before.endswith("-active") and after == before.removesuffix("active") + "suspended"
