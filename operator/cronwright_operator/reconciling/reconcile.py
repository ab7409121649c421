"""The heart of the operator: what is seen of a task -> what to do. Pure: no await, no clock, no log.

Order matters and is kept by `apply`: Jobs first (their names are the lock), then the CronJob, then the task's status.
A crash between two of them repeats the decision; the names make the repetition harmless.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from cronwright_core.domain import naming
from cronwright_core.domain.errors import FieldError
from cronwright_core.domain.project import Project
from cronwright_core.domain.schedule import CronSchedule, OnceSchedule, Schedule
from cronwright_core.domain.task import ScheduledTask, TaskStatus
from cronwright_core.domain.times import lags, latest, whole_seconds
from cronwright_core.domain.validation import (
    check_overrides,
    check_schedule_not_past,
    check_task,
    name_taken,
    project_not_ready,
    unknown_project,
)
from cronwright_operator.reconciling.actions import (
    AcceptJob,
    Action,
    CreateCronJob,
    CreateJob,
    Decision,
    DeleteJob,
    Event,
    MoveCronJobWatermark,
    RemoveRequest,
    UpdateCronJob,
    WriteStatus,
)
from cronwright_operator.reconciling.cancels import decide_cancels
from cronwright_operator.reconciling.leftovers import end_all, retire
from cronwright_operator.reconciling.manifests import build_cronjob, build_request_job, outline_cronjob
from cronwright_operator.reconciling.observed import Observed
from cronwright_operator.reconciling.passed_over import (
    ACTIVE,
    REFUSED,
    SUSPENDED,
    UNACCEPTED,
    missed_before,
    passed_over,
    state_of,
)
from cronwright_operator.reconciling.requests import read_request, refuse_requests, request_annotation, waits_since
from cronwright_operator.reconciling.task_status import ready_message, with_observed_runs, with_ready
from cronwright_operator.reconciling.ticks import HANDS_OFF, check_ticks, decide_ticks, tick_candidate

_CREATION_SLACK = timedelta(seconds=1)
"""Times of the cluster have whole seconds, and the watermark is cut to them."""


def reconcile(seen: Observed) -> Decision:
    """Decides everything about one task at one moment."""
    task = seen.task
    if task.deleting:
        # Garbage collection deletes CronJob and Jobs with it; but somebody's finalizer may keep it, for ever maybe.
        return Decision(end_all(seen.cronjob, [view.job for view in seen.jobs], seen.now))
    if not task.triggers and not task.cancels:
        return _reconcile(seen)
    cancels = decide_cancels(seen)
    refusals = refuse_requests(cancels.triggers, seen.now)
    decided = _reconcile(replace(seen, task=replace(task, triggers=refusals.triggers)))
    # Records last: those of runs that never had a Job may have to wait for PostgreSQL, and nothing else may for them.
    return replace(
        decided,
        actions=(*decided.actions, *cancels.actions, *refusals.records, *cancels.records),
        events=(*decided.events, *refusals.events, *cancels.events),
    )


def _reconcile(seen: Observed) -> Decision:
    task = seen.task
    schedule, errors = _check(seen)
    if errors or schedule is None or seen.project is None:
        return _not_ready(seen, schedule, errors)
    status = _with_current_schedule(seen, schedule)
    passed = passed_over(seen, schedule, status, HANDS_OFF)
    actions: list[Action] = [*_accept(seen)]
    if passed.unsure and _kind(task.status.schedule_hash or "") != _kind(status.schedule_hash or ""):
        # While the CronJob stands as it does it tells which ticks these are. If we die before the edit is carried out,
        # it is seen anew, and so are they.
        return Decision((*actions, *check_ticks(seen, passed.unsure)), seen.now + HANDS_OFF)
    # The CronJob before anything that the API server may refuse: a pause must not wait for a Job that is over a quota.
    if isinstance(schedule, CronSchedule):
        actions += _cronjob(seen, seen.project, schedule, suspend=task.spec.suspend)
    else:
        # A CronJob of an earlier type is kept, suspended: deleting it would take its Jobs and their output with it.
        actions += retire(seen.cronjob)
    if passed.unsure:
        # A pause: the CronJob is suspended first, so that it makes no Job right after the answer. Or the task can run
        # again, and its CronJob goes on already: its time is moved. The status keeps the watermark until all is
        # answered.
        actions += _taken(seen, passed.unsure[-1])
        return Decision((*actions, *check_ticks(seen, passed.unsure)), seen.now + HANDS_OFF)
    actions += passed.skipped
    ticks = decide_ticks(seen, seen.project, schedule, status)
    actions += ticks.actions
    actions += _requests(seen, seen.project)
    new = with_observed_runs(seen, ticks.status)
    new = replace(
        new,
        task_id=seen.registration.task_id or task.status.task_id,
        observed_generation=task.generation,
        next_schedule_time=ticks.next_start,
        conditions=with_ready(task, True, "Scheduled", ready_message(seen, schedule, new), seen.now),
    )
    return replace(_with_status(task, new, actions, wake_at=ticks.wake_at), reserve=ticks.reserve)


def schedule_hash(task: ScheduledTask) -> str:
    """What the watermark belongs to: `<schedule>-active` or `<schedule>-suspended`.

    `<schedule>-refused` or `-new` stands in the status of a task that cannot run: it is an edit when it can again.
    """
    spec = task.spec
    kind = naming.short_hash(*spec.timing)
    return f"{kind}-{SUSPENDED if spec.suspend else ACTIVE}"


def _check(seen: Observed) -> tuple[Schedule | None, list[tuple[str, FieldError]]]:
    """The schedule, and what is wrong, each with the condition's reason; the first one is shown as the reason."""
    schedule, fields = check_task(seen.task.spec)
    errors = [
        ("InvalidSpec" if e.field not in ("schedule_config", "time_zone") else "InvalidSchedule", e) for e in fields
    ]
    if seen.project is None or seen.project.deleting:
        errors.append(("ProjectNotFound", unknown_project(seen.task.spec.project_name)))
    elif seen.project_refused:
        errors.append(("ProjectNotReady", project_not_ready(seen.task.spec.project_name)))
    else:
        errors += [("OverrideNotAllowed", e) for e in check_overrides(seen.task.spec, seen.project.spec)]
    if seen.registration.name_taken:
        errors.append(("NameTaken", name_taken(seen.task.spec.display_name)))
    kind, state = state_of(seen.task.status.schedule_hash or f"-{UNACCEPTED}")
    unedited = kind in ("", _kind(schedule_hash(seen.task)))
    if schedule is not None and (state == UNACCEPTED or not unedited):
        # "In the past" is judged at the moment that the date was set: for a new task its creation, which stands even if
        # the operator was away; for an edit the moment of seeing it.
        set_at = seen.task.creation_time if unedited else seen.now
        errors += [("InvalidSchedule", e) for e in check_schedule_not_past(schedule, set_at)]
    return schedule, errors


def _not_ready(seen: Observed, schedule: Schedule | None, errors: list[tuple[str, FieldError]]) -> Decision:
    """Nothing runs: the CronJob is suspended, and the condition says why."""
    task = seen.task
    accepted = _accept(seen)
    newest = _accepted_tick(seen, accepted)
    status = _moved(task.status, newest)
    reason = errors[0][0] if errors else "InvalidSpec"
    message = "; ".join(f"{error.kube_field}: {error.message.en}" for _, error in errors)
    new = replace(
        with_observed_runs(seen, status),
        task_id=seen.registration.task_id or task.status.task_id,
        observed_generation=task.generation,
        schedule_hash=_refused_hash(task),
        next_schedule_time=None,
        conditions=with_ready(task, False, reason, message, seen.now),
    )
    missed = missed_before(seen, schedule, schedule_hash(task), newest)
    actions = [*accepted, *retire(seen.cronjob), *missed, *_fulfilled(seen)]
    return _with_status(task, new, actions, wake_at=None)


def _with_current_schedule(seen: Observed, schedule: Schedule) -> TaskStatus:
    """Moves the watermark to now if schedule, type, zone or suspend changed, or the task can run again: an edit and a
    resume fire nothing."""
    task = seen.task
    status, current = task.status, schedule_hash(task)
    if status.schedule_hash == current:
        return status
    if status.schedule_hash is None:
        # New to us, maybe not new: ticks since its creation that nobody ran are missed ticks and not forgotten.
        return replace(status, schedule_hash=current, anchor_time=task.creation_time)
    moment = whole_seconds(seen.now)
    same_kind = _kind(status.schedule_hash) == _kind(current)
    completion_time = status.completion_time if same_kind else None
    claimed = status.claimed_time
    if not same_kind and (seen.cronjob is None or lags(seen.cronjob.last_schedule_time, claimed)):
        claimed = None  # noted under another schedule, and taken from nobody
    if same_kind and isinstance(schedule, OnceSchedule) and schedule.at is None:
        # Its Job may stand while we died before that was noted: a pause and a resume must not run it once more.
        anchor = status.anchor_time or task.creation_time
        ran = any(view.job.tick == anchor for view in seen.jobs)
        completion_time = completion_time or (moment if ran else None)
    return replace(
        status,
        schedule_hash=current,
        anchor_time=moment,
        last_schedule_time=latest(status.last_schedule_time, moment),
        completion_time=completion_time,
        claimed_time=claimed,
    )


def _refused_hash(task: ScheduledTask) -> str:
    """`scheduleHash` of a task that cannot run: what comes due from now on is not made up for when it can again."""
    kind, state = state_of(task.status.schedule_hash or f"-{UNACCEPTED}")
    if state == UNACCEPTED:
        return f"{_kind(schedule_hash(task))}-{UNACCEPTED}"
    return f"{kind}-{SUSPENDED if task.spec.suspend else REFUSED}"


def _kind(hash_: str) -> str:
    return state_of(hash_)[0]


def _accept(seen: Observed) -> list[Action]:
    """Takes on the Jobs that the CronJob controller or `kubectl create job --from` made."""
    watermark = seen.task.status.last_schedule_time
    actions: list[Action] = []
    fresh = [view for view in seen.jobs if not view.job.accepted and view.job.deletion_time is None]
    for view in sorted(fresh, key=lambda view: (view.job.creation_time, view.job.name)):
        tick = view.job.tick
        # One that carries its execution's id was accepted once, and `cronwright release` let go of it.
        released = view.job.execution_id is not None
        made = view.job.creation_time - _CREATION_SLACK
        if tick is not None and watermark is not None and tick <= watermark < made and not released:
            # Its tick was decided before it was made: the controller made the name again. It must not run twice. A Job
            # that stood when an edit moved the watermark past its tick is a run like any other (docs/adr/0006).
            actions.append(DeleteJob(view.job))
        else:
            # If we die after this, a successor sees the finalizer; before it, the Job is still above the watermark.
            actions.append(AcceptJob(view.job, view.execution_id))
    return actions


def _accepted_tick(seen: Observed, actions: list[Action]) -> datetime | None:
    """The newest tick whose Job is accepted, now or before: also if the status could not be written then."""
    before = [view.job.tick for view in seen.jobs if view.job.accepted]
    return latest(*before, *(action.job.tick for action in actions if isinstance(action, AcceptJob)))


def _fulfilled(seen: Observed) -> list[Action]:
    """When the Job of a trigger stands the annotation goes."""
    made = _requests_made(seen)
    return [RemoveRequest(request_annotation(request)) for request in seen.task.triggers if request.key in made]


def _requests_made(seen: Observed) -> set[str]:
    return {view.job.request_key for view in seen.jobs if view.job.request_key is not None}


def _requests(seen: Observed, project: Project) -> list[Action]:
    """Each trigger becomes a Job."""
    task = seen.task
    actions: list[Action] = _fulfilled(seen)
    made = _requests_made(seen)
    for request in task.triggers:
        if request.key in made:
            continue
        asked = read_request(request, seen.now)
        manifest = build_request_job(
            task,
            project,
            request_key=request.key,
            time=asked.time,
            requested_by=asked.by,
            parameters=asked.parameters,
            priority_class=seen.priority_class,
        )
        # The Job first, then the annotation: if we die in between, the next one finds the Job under the same name.
        candidate = tick_candidate(task, manifest["metadata"]["name"], waits_since(asked.time, seen.now))
        actions.append(CreateJob(manifest, frozenset({task.uid}), candidate))
    return actions


def _cronjob(seen: Observed, project: Project, schedule: CronSchedule, *, suspend: bool) -> list[Action]:
    task, current, cron_line, priority = seen.task, seen.cronjob, schedule.expression.canonical, seen.priority_class
    wanted = outline_cronjob(task, project, cron_line=cron_line, suspend=suspend, priority_class=priority)
    if current is not None and (current.deleting or wanted.fits(current)):
        return []
    manifest = build_cronjob(task, project, cron_line=cron_line, suspend=suspend, priority_class=priority)
    if current is None:
        if task.status.last_schedule_time is not None:
            # Suspended: it knows nothing of the ticks that are decided, and one of them may lie ahead by the
            # controller's clock. The next pass moves its time past them and lets it go, as at any resume.
            manifest["spec"] = {**manifest["spec"], "suspend": True}
        return [CreateCronJob(manifest)]
    actions: list[Action] = []
    rescheduled = (
        current.schedule != wanted.schedule
        or current.time_zone != wanted.time_zone
        or (current.suspend and not suspend)
    )
    # Past what is decided also if our clock is behind that of whoever decided or made it.
    moment = max(whole_seconds(seen.now), task.status.last_schedule_time or task.creation_time)
    if rescheduled and lags(current.last_schedule_time, moment):
        # Status before spec: the reverse lets the controller fire a stale run (kubernetes/kubernetes#130838).
        actions.append(MoveCronJobWatermark(current.namespace, current.name, current.resource_version, moment))
    patch = {
        "metadata": {"uid": current.uid, "annotations": {naming.SPEC_HASH_ANNOTATION: wanted.spec_hash}},
        # Whole: merged, a ServiceAccount or a volume that the Project gives up would stay for ever, as the hash says
        # that all is done. The API server fills in its defaults anew.
        "spec": {"$patch": "replace", **manifest["spec"]},
    }
    actions.append(UpdateCronJob(current.namespace, current.name, patch))
    return actions


def _taken(seen: Observed, tick: datetime) -> list[Action]:
    """Keeps a live CronJob's controller from making Jobs up to a tick. To a time that is no tick: one there that is not
    claimed says that the controller has run it."""
    current = seen.cronjob
    if seen.task.spec.suspend or current is None or current.suspend or current.deleting:
        return []
    time = max(whole_seconds(seen.now), tick + timedelta(seconds=1))
    if not lags(current.last_schedule_time, tick):
        return []
    return [MoveCronJobWatermark(current.namespace, current.name, current.resource_version, time)]


def _with_status(task: ScheduledTask, new: TaskStatus, actions: list[Action], *, wake_at: datetime | None) -> Decision:
    events: tuple[Event, ...] = ()
    old, ready = task.status.ready, new.ready
    if ready is not None and not ready.status and (old is None or old.status or old.message != ready.message):
        events = (Event("Warning", ready.reason, ready.message),)
    if new != task.status or any(isinstance(action, CreateJob) for action in actions):
        # With a Job to be made also if nothing else differs: the status is where a refusal is told. Where none is
        # refused, it is left to the next pass, which sees the Jobs.
        actions = [*actions, WriteStatus(new)]
    return Decision(tuple(actions), wake_at, events)


def _moved(status: TaskStatus, watermark: datetime | None) -> TaskStatus:
    return replace(status, last_schedule_time=latest(status.last_schedule_time, watermark))
