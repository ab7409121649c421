"""Which tick of a task runs now, which is skipped and why, and how the next one is kept from running twice. Pure.

A Cron tick has two that could start it: we, and the CronJob controller. Some seconds before the tick it is settled
whose it is. If it will find room under every limit, a slot is *reserved* for it in memory: then it does not matter who
makes the Job, as its name is the lock and the Job the same. If it may have to wait or be skipped - or starts later than
its minute, by `spreadSeconds` - it is *claimed*: the CronJob's `lastScheduleTime` is set to it, and the controller
leaves it alone. Before that the claim is noted in our own status. So if we die, a successor can tell a tick that we
took and never ran from one that the controller ran and whose Job somebody has deleted.

Each pass decides one step and leaves its mark in the cluster; the next pass goes on from what stands there. A tick:

    its Job is made (its name is the lock)  ->  the CronJob's status holds the tick  ->  the task's status holds it
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import OPERATOR, CronJobFacts, StopIntent, StopReason
from cronwright_core.domain.gate import Candidate, Instance, TickVerdict, Verdict, judge_tick
from cronwright_core.domain.project import Project
from cronwright_core.domain.schedule import CronSchedule, OnceSchedule, Schedule, next_time, ticks_between
from cronwright_core.domain.task import ScheduledTask, TaskStatus
from cronwright_core.domain.ticks import TOO_LATE, DueTicks, Skip, due_ticks, is_single, never_comes, start_offset
from cronwright_core.domain.times import lags, latest, to_rfc3339, whole_seconds
from cronwright_operator.reconciling.actions import (
    Action,
    CheckTick,
    CoverTick,
    CreateJob,
    RecordSkipped,
    StopExecution,
)
from cronwright_operator.reconciling.manifests import build_cron_tick_job, build_tick_job
from cronwright_operator.reconciling.observed import Observed
from cronwright_operator.reconciling.passed_over import JOB_DELETED
from cronwright_operator.reconciling.refused import with_refusals

LEAD = timedelta(seconds=10)
"""So long before a Cron tick a slot is reserved for it, or it is claimed."""
HANDS_OFF = timedelta(minutes=5)
"""With `stepIn: false` a tick without a Job is the controller's for so long; its queue may be long (1000 due at once
take it two minutes at its default rate). Then it counts as missed."""


@dataclass(frozen=True, slots=True)
class TickDecision:
    """What to do about a task's ticks, and the status that follows.

    `reserve`: the tick for which a slot is to be held from now on, None if for none. `claim`: the tick to take from the
    CronJob controller. `next_start`: when the next tick starts, its share of the spread included. `wake_at`: when to
    look again although nothing changed.
    """

    actions: tuple[Action, ...]
    status: TaskStatus
    reserve: datetime | None = None
    claim: datetime | None = None
    next_start: datetime | None = None
    wake_at: datetime | None = None


def decide_ticks(seen: Observed, project: Project, schedule: Schedule, status: TaskStatus) -> TickDecision:
    """Decides about all ticks of a task that is valid; `status` belongs to the schedule as it is now."""
    task = seen.task
    if task.spec.suspend or status.completion_time is not None:
        return TickDecision((*_cover(seen, None), *_withdraw_waiting(seen)), _with_ran(seen, schedule, status))
    offset = start_offset(schedule, task.uid, task.spec.spread_seconds)
    due = _due(seen, schedule, status, offset)
    upcoming = _upcoming(seen, schedule, status, due, offset)
    claim = upcoming.claim
    skips = with_refusals(task, due.skipped, offset)
    controllers = due.run is not None and _was_the_controllers(seen, schedule, due.run, status)
    if due.run is not None and controllers and due.run in seen.gone_ticks:
        skips.append(Skip(due.run, StopReason.DELETED.value, JOB_DELETED))
    elif due.run is not None:
        if controllers:
            # Its Job has not come to our eyes yet, or it is gone for good: the API server itself is asked.
            return replace(
                upcoming, actions=(*_cover(seen, claim), *check_ticks(seen, (due.run,))), reserve=seen.reserved
            )
        verdict = _judge(seen, due.run)
        if verdict.verdict is not Verdict.SKIP:
            start = _start(seen, project, schedule, due.run, verdict)
            reserve = due.run if seen.reserved == due.run else None
            noted = upcoming.status
            if _may_be_fired(seen, schedule, due.run):
                # Should its Job be refused, it is claimed with the next attempt: later the gate may have no room.
                claim = claim if lags(status.claimed_time, due.run) else latest(claim, due.run)
                noted = replace(noted, claimed_time=latest(noted.claimed_time, due.run))
            # The watermark stays: the tick is decided when its Job stands.
            return replace(upcoming, actions=(*_cover(seen, claim), *start), status=noted, reserve=reserve)
        if _may_be_fired(seen, schedule, due.run):
            return _taken_first(seen, status, upcoming, due.run)
        skips.append(Skip(due.run, verdict.reason, verdict.message))
    elif skips and skips[-1].reason == TOO_LATE and _may_be_fired(seen, schedule, skips[-1].tick):
        return _taken_first(seen, status, upcoming, skips[-1].tick)
    recorded = tuple(RecordSkipped(skip.tick, skip.reason, skip.message, skip.count) for skip in skips)
    return replace(
        upcoming,
        actions=(*_cover(seen, claim), *recorded),
        status=_decided(seen, schedule, upcoming.status, due),
    )


def _taken_first(seen: Observed, status: TaskStatus, upcoming: TickDecision, tick: datetime) -> TickDecision:
    """Before the history says that a tick is skipped it is taken from the controller; noted first, as any claim. If the
    controller has made its Job meanwhile, the next pass sees it."""
    if lags(status.claimed_time, tick):
        noted = replace(upcoming.status, claimed_time=latest(upcoming.status.claimed_time, tick))
        return replace(upcoming, actions=_cover(seen, upcoming.claim), status=noted)
    return replace(upcoming, actions=_cover(seen, latest(upcoming.claim, tick)))


def check_ticks(seen: Observed, ticks: Iterable[datetime]) -> tuple[CheckTick, ...]:
    """Asks the API server for the controller's Jobs of these ticks."""
    task = seen.task
    cronjob = seen.cronjob.name if seen.cronjob is not None else naming.cronjob_name(task.name, task.uid)
    return tuple(CheckTick(task.namespace, naming.cron_tick_job_name(cronjob, tick), tick) for tick in ticks)


def tick_candidate(task: ScheduledTask, job_name: str, since: datetime) -> Candidate:
    """A run of the task as the launch gate knows it."""
    project = naming.project_key(task.namespace, task.spec.project_name)
    return Candidate(naming.run_key(task.namespace, job_name), task.uid, project, task.spec.priority, since)


def _due(seen: Observed, schedule: Schedule, status: TaskStatus, offset: timedelta) -> DueTicks:
    task, now = seen.task, seen.now
    made = {view.job.tick for view in seen.jobs if view.job.tick is not None}
    anchor = status.anchor_time or task.creation_time
    if isinstance(schedule, OnceSchedule) and schedule.at is None:
        # As soon as it is active: the anchor is the tick, and what tells that it ran is completionTime. An anchor that
        # an edit has moved must stand in the status first: the next pass would move it again, to another Job's name.
        moved = task.status.schedule_hash is not None and task.status.anchor_time != status.anchor_time
        if anchor > now or moved:
            return DueTicks()
        return DueTicks(None if anchor in made else anchor, (), anchor)
    until = now
    if isinstance(schedule, CronSchedule) and not seen.step_in and offset == timedelta():
        # The clock is the controller's: up to what it has made, what we have claimed, and what it had its time for.
        settled = [tick for tick in (*made, status.claimed_time) if tick is not None and tick <= now]
        until = max(now - HANDS_OFF, *settled) if settled else now - HANDS_OFF
    base = status.last_schedule_time or anchor
    due = due_ticks(
        schedule,
        base=base,
        anchor=anchor,
        now=until,
        offset=offset,
        made=made,
        deadline_seconds=task.spec.starting_deadline_seconds,
    )
    return due if due.run is not None else _with_early(due, schedule, base, anchor, made)


def _with_early(
    due: DueTicks, schedule: Schedule, base: datetime, anchor: datetime, made: Collection[datetime]
) -> DueTicks:
    """Decides ticks at once whose Jobs stand although their time has not come, as long as none before them is open.

    The CronJob controller makes them: its clock is ahead of ours, or nobody was there to claim a tick that was to start
    later (`spreadSeconds`). Left for their time they would run once more, if their Jobs were recorded and deleted until
    then, and the controller has made the next one meanwhile.
    """
    mark = due.watermark or base
    while (tick := next_time(schedule, base=mark, anchor=anchor)) is not None and tick in made:
        mark = tick
    return due if mark == base else replace(due, watermark=mark)


def _upcoming(seen: Observed, schedule: Schedule, status: TaskStatus, due: DueTicks, offset: timedelta) -> TickDecision:
    """What has to be settled about the next tick already now, and when to look again."""
    now, cronjob = seen.now, seen.cronjob
    next_tick = _next_tick(seen, schedule, status, now - offset)
    if next_tick is None:
        return TickDecision((), status)
    start = next_tick + offset
    if not isinstance(schedule, CronSchedule) and offset:
        # For an edit that drops it while it waits for its share: the old schedule is not known any more by then.
        status = replace(status, claimed_time=next_tick)
    if not isinstance(schedule, CronSchedule) or cronjob is None or cronjob.deleting or cronjob.suspend:
        return TickDecision((), status, next_start=start, wake_at=start)
    nominal = next_tick if offset == timedelta() else _next_tick(seen, schedule, status, now)
    wakes = [start]
    if not seen.step_in:
        # A tick whose Job stands is not open, also if the status that says so is not written yet: its slot goes back.
        made = due.watermark if due.run is None else None
        base = latest(status.last_schedule_time, status.anchor_time, made) or now
        open_tick = _next_tick(seen, schedule, status, base)
        if open_tick is not None and open_tick <= now and not _is_claimed(cronjob, status, open_tick):
            wakes.append(open_tick + HANDS_OFF)
            late = _late(seen, schedule, status, open_tick, offset)
            return replace(late, next_start=start, wake_at=min(wake for wake in wakes if wake > now))
    reserve = claim = None
    if nominal is not None and nominal - LEAD > now:
        wakes.append(nominal - LEAD)
    elif nominal is not None and lags(cronjob.last_schedule_time, nominal):
        if offset == timedelta() and (seen.reserved == nominal or seen.room) and due.run is None:
            reserve = nominal
        elif status.claimed_time != nominal:
            # First noted, then taken, in the next pass: if we die in between, the controller runs it.
            status = replace(status, claimed_time=nominal)
        else:
            claim = nominal
    elif nominal is not None:
        wakes.append(nominal)  # it is claimed, and the one after it may come before it starts
    return TickDecision((), status, reserve, claim, start, min(wakes))


def _late(
    seen: Observed, schedule: Schedule, status: TaskStatus, open_tick: datetime, offset: timedelta
) -> TickDecision:
    """The controller, which has the clock, is late with a tick: its slot is kept, or it is taken from it after all.

    The next tick is not claimed meanwhile: that would take this one, too, although there may be room for it.
    """
    if seen.reserved is not None and seen.reserved >= open_tick:
        return TickDecision((), status, seen.reserved)
    base = status.last_schedule_time or status.anchor_time or seen.task.creation_time
    anchor = status.anchor_time or seen.task.creation_time
    newest = ticks_between(schedule, base=base, until=seen.now, anchor=anchor, limit=1).newest
    if not newest or seen.cronjob is None or not lags(seen.cronjob.last_schedule_time, newest[-1]):
        return TickDecision((), status)  # it has made the Job, which is about to be seen
    if seen.room and offset == timedelta():
        return TickDecision((), status, open_tick)
    if lags(status.claimed_time, newest[-1]):
        return TickDecision((), replace(status, claimed_time=newest[-1]))
    return TickDecision((), status, claim=newest[-1])


def _is_claimed(cronjob: CronJobFacts, status: TaskStatus, tick: datetime) -> bool:
    return not lags(cronjob.last_schedule_time, tick) and not lags(status.claimed_time, tick)


def _next_tick(seen: Observed, schedule: Schedule, status: TaskStatus, after: datetime) -> datetime | None:
    """The first tick after a time, computed from the base that the controller uses where that makes a difference."""
    anchor = status.anchor_time or seen.task.creation_time
    if isinstance(schedule, OnceSchedule) and schedule.at is None:
        return anchor if anchor > after else None  # an API server whose clock is ahead of ours
    base = status.last_schedule_time or anchor
    cronjob = seen.cronjob
    if isinstance(schedule, CronSchedule) and cronjob is not None:
        fired = cronjob.last_schedule_time
        base = latest(base, fired if fired is not None and fired <= after else None) or base
    found = next_time(schedule, base=base, anchor=anchor)
    return next_time(schedule, base=after, anchor=anchor) if found is not None and found <= after else found


def _judge(seen: Observed, tick: datetime) -> TickVerdict:
    if seen.reserved == tick:
        return TickVerdict(Verdict.RUN)
    spec = seen.task.spec
    instances = [
        Instance(
            key=view.job.uid,
            since=view.job.tick or view.job.creation_time,
            waiting=view.job.suspended,
            scheduled=view.job.tick is not None,
            stopping=view.job.stopping,
        )
        for view in seen.jobs
        if not view.job.finished
    ]
    return judge_tick(instances, limit=spec.max_instances, policy=spec.concurrency_policy, max_queued=spec.max_queued)


def _start(seen: Observed, project: Project, schedule: Schedule, tick: datetime, verdict: TickVerdict) -> list[Action]:
    task = seen.task
    since = tick + start_offset(schedule, task.uid, task.spec.spread_seconds)
    message = f"a newer run took its place (concurrencyPolicy Replace, tick {to_rfc3339(tick)})"
    stop = StopIntent(StopReason.REPLACED, OPERATOR, seen.now, message)
    # If we die between these, the tick is judged anew: those that end already are not counted again.
    actions: list[Action] = [StopExecution(uid, stop) for uid in verdict.replaced]
    owners = frozenset({task.uid})
    if isinstance(schedule, CronSchedule):
        if seen.cronjob is None or seen.cronjob.deleting:
            return []  # its CronJob is made first, and wakes us
        manifest = build_cron_tick_job(task, project, seen.cronjob, tick=tick, priority_class=seen.priority_class)
        owners |= {seen.cronjob.uid}
    else:
        manifest = build_tick_job(task, project, tick=tick, priority_class=seen.priority_class)
    # If we die after this and before the status is written, the successor finds the Job under the same name: one run.
    actions.append(CreateJob(manifest, owners, tick_candidate(task, manifest["metadata"]["name"], since), tick))
    return actions


def _decided(seen: Observed, schedule: Schedule, status: TaskStatus, due: DueTicks) -> TaskStatus:
    """The status once every due tick is decided."""
    anchor = status.anchor_time or seen.task.creation_time
    base = status.last_schedule_time or anchor
    done = due.watermark is not None and is_single(schedule)
    if due.watermark is None and not (isinstance(schedule, OnceSchedule) and schedule.at is None):
        # A single date that passed while the task was suspended never comes.
        done = never_comes(schedule, base=base, anchor=anchor)
    return replace(
        status,
        last_schedule_time=latest(status.last_schedule_time, due.watermark),
        completion_time=whole_seconds(seen.now) if done else status.completion_time,
    )


def _cover(seen: Observed, claim: datetime | None) -> tuple[Action, ...]:
    """Brings the CronJob's status up to the Jobs that we made in the controller's place, as it would write it itself,
    and up to a tick that is claimed. Also to a Job that the controller made, if its own write met one of ours and
    failed: it would try that tick, with errors, until the next one.

    Without the tick there the controller would try to make the same Job again; without the Job in `active` it warns of
    an unexpected one.
    """
    cronjob = seen.cronjob
    if cronjob is None or cronjob.deleting:
        return ()
    ours = [
        view.job
        for view in seen.jobs
        if view.job.owner_uid == cronjob.uid
        and (view.job.stepped_in or (view.job.accepted and lags(cronjob.last_schedule_time, view.job.tick)))
    ]
    listed = {uid for _, uid in cronjob.active}
    missing = [job for job in ours if not job.finished and job.deletion_time is None and job.uid not in listed]
    time = latest(cronjob.last_schedule_time, claim, *(job.tick for job in ours))
    if time is None or (time == cronjob.last_schedule_time and not missing):
        return ()
    active = (*cronjob.active, *((job.name, job.uid) for job in missing))
    return (CoverTick(cronjob.namespace, cronjob.name, cronjob.resource_version, time, active),)


def _was_the_controllers(seen: Observed, schedule: Schedule, tick: datetime, status: TaskStatus) -> bool:
    """Whether the CronJob's status holds the tick without a claim of ours: the controller made its Job.

    A later time there than that of the newest tick is none of the controller's: we moved it when the CronJob was
    resumed.
    """
    if seen.cronjob is None or not isinstance(schedule, CronSchedule):
        return False
    return seen.cronjob.last_schedule_time == tick and lags(status.claimed_time, tick)


def _may_be_fired(seen: Observed, schedule: Schedule, tick: datetime) -> bool:
    """Whether the CronJob controller may still make the Job of a tick that is due."""
    cronjob = seen.cronjob
    if cronjob is None or cronjob.deleting or not isinstance(schedule, CronSchedule):
        return False
    return lags(cronjob.last_schedule_time, tick)


def _with_ran(seen: Observed, schedule: Schedule, status: TaskStatus) -> TaskStatus:
    """The status of a suspended task past what ran all the same - it was suspended before it was noted, or somebody let
    its CronJob go by hand: a Job whose tick is not decided is kept for ever."""
    if not seen.task.spec.suspend:
        return status
    ran = [view.job.tick for view in seen.jobs if view.job.accepted]
    if isinstance(schedule, OnceSchedule) and schedule.at is None and status.completion_time is None:
        anchor = status.anchor_time or seen.task.creation_time
        status = replace(status, completion_time=whole_seconds(seen.now) if anchor in ran else None)
    return replace(status, last_schedule_time=latest(status.last_schedule_time, *ran))


def _withdraw_waiting(seen: Observed) -> list[Action]:
    """Suspending a task ends its scheduled runs that wait; manual ones stay, as somebody asked for each of them."""
    if not seen.task.spec.suspend:
        return []
    stop = StopIntent(StopReason.SUSPENDED, OPERATOR, seen.now, "its task was suspended while it waited for its turn")
    return [
        StopExecution(view.job.uid, stop)
        for view in seen.jobs
        if view.job.suspended and view.job.tick is not None and not view.job.finished and not view.job.stopping
    ]
