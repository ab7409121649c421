"""Editing, pausing, resuming and deleting a task: the resource first, then the row; the resource is the truth.

An edit starts from the resource as it is now and patches what differs, under its resourceVersion: what somebody else
changes by kubectl at the same time is neither lost nor overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from starlette.concurrency import run_in_threadpool

from cronwright_api import messages
from cronwright_api.bodies import Form, invalid, read_form, required
from cronwright_api.deps import Backends
from cronwright_api.preconditions import Precondition
from cronwright_api.schemas.tasks import TaskUpdate
from cronwright_api.services.edits import ATTEMPTS, delete_resource, merge_difference
from cronwright_api.services.rejections import to_invalid_input
from cronwright_api.services.tasks import check_env_sources, first_run, usable_project
from cronwright_api.tokens import User
from cronwright_core.domain.errors import Conflict, FieldError, Message, NotFound, Unavailable
from cronwright_core.domain.schedule import ScheduleType, parse_schedule
from cronwright_core.domain.task import ScheduledTask, TaskSpec
from cronwright_core.domain.ticks import start_offset
from cronwright_core.domain.validation import (
    check_image,
    check_overrides,
    check_schedule,
    check_schedule_not_past,
    check_task,
    unknown_project,
)
from cronwright_core.kube import codec
from cronwright_core.kube.errors import KubeConflict, KubeInvalid, KubeNotFound, KubeUnreachable
from cronwright_core.kube.resources import SCHEDULED_TASKS
from cronwright_core.store.records.projects import ProjectRecord
from cronwright_core.store.records.tasks import TaskDraft, TaskProjection, TaskRecord

_PLACEHOLDERS: Mapping[str, Any] = {}
_ALREADY_PAUSED = Message("任务已处于暂停状态", "the task is paused already")
_NOT_PAUSED = Message("任务未处于暂停状态", "the task is not paused")
_FINISHED = Message("任务已执行完毕，无法恢复", "the task has had its run and cannot be resumed")
Edit = Callable[[TaskSpec], TaskSpec]


async def update_task(
    backends: Backends, user: User, task_id: int, raw: Mapping[str, Any], precondition: Precondition | None = None
) -> TaskRecord:
    """Endpoint 4: absent fields stay, and a body that changes nothing writes nothing.

    Raises:
        InvalidInput: with every wrong field.
        Conflict: the name is taken, or the task is being changed by others all the time.
        PreconditionFailed: it is not the version that `precondition` asks for.
        NotFound, Unavailable, KubeUnreachable
    """
    form = read_form(TaskUpdate, raw, _PLACEHOLDERS)
    task = await run_in_threadpool(lambda: backends.tasks.get(task_id, owner=user.owner_filter))
    project = await run_in_threadpool(_project, backends, user, task, form)
    name = project.cr_name if project is not None else None

    def edit(current: TaskSpec) -> TaskSpec:
        wanted = form.body.changed(current, project_name=name)
        errors = _judge(form, current, wanted, task, project, user, backends)
        if errors:
            raise invalid(errors)
        return wanted

    moved_to = project.project_id if project is not None else task.project_id
    return await _apply(backends, task, moved_to, edit, precondition)


async def pause_task(
    backends: Backends, user: User, task_id: int, precondition: Precondition | None = None
) -> TaskRecord:
    """Endpoint 6. Raises Conflict if the task is paused already."""

    def edit(current: TaskSpec) -> TaskSpec:
        if current.suspend:
            raise Conflict(_ALREADY_PAUSED)
        return replace(current, suspend=True)

    task = await run_in_threadpool(lambda: backends.tasks.get(task_id, owner=user.owner_filter))
    return await _apply(backends, task, task.project_id, edit, precondition)


async def resume_task(
    backends: Backends, user: User, task_id: int, precondition: Precondition | None = None
) -> TaskRecord:
    """Endpoint 7. Raises Conflict if the task is not paused, or has had its only run and was given no other since."""
    task = await run_in_threadpool(lambda: backends.tasks.get(task_id, owner=user.owner_filter))

    def edit(current: TaskSpec) -> TaskSpec:
        if _had_run(task, current):
            raise Conflict(_FINISHED)
        if not current.suspend:
            raise Conflict(_NOT_PAUSED)
        return replace(current, suspend=False)

    return await _apply(backends, task, task.project_id, edit, precondition)


async def delete_task(backends: Backends, user: User, task_id: int, precondition: Precondition | None = None) -> None:
    """Endpoint 5: the task is gone for readers at once; the operator ends what runs.

    Raises:
        PreconditionFailed: it is not the version that `precondition` asks for.
        Conflict: with a precondition only, if the task is being changed by others all the time.
        NotFound, Unavailable, KubeUnreachable
    """
    task = await run_in_threadpool(lambda: backends.tasks.get(task_id, owner=user.owner_filter))
    namespace, name, uid = _address(task)

    async def version() -> str:
        current = await _read(backends, task)
        if precondition is not None:
            precondition.check(current.uid, current.generation)
        return current.resource_version

    await delete_resource(
        backends.objects, SCHEDULED_TASKS, namespace, name, uid, None if precondition is None else version
    )
    # If we die here the operator marks the row when it sees that the resource is gone.
    await run_in_threadpool(backends.tasks.mark_deleted, uid, backends.clock())


async def _apply(
    backends: Backends, task: TaskRecord, project_id: int | None, edit: Edit, precondition: Precondition | None = None
) -> TaskRecord:
    for _ in range(ATTEMPTS):
        current = await _read(backends, task)
        if precondition is not None:
            # Judged on what the patch is conditional on, so nothing can come between the two.
            precondition.check(current.uid, current.generation)
        wanted = edit(current.spec)
        if wanted == current.spec:
            if current.generation == task.generation:
                return task
            # The row lags behind: kubectl was first, or the answer to this very request was lost. What is answered is
            # the task as it is, under the version that it has.
            return await run_in_threadpool(_project_edit, backends, task, project_id, current)
        reserved = await _reserve_name(backends, task, wanted)
        try:
            changed = await _patch(backends, current, wanted)
            # If we die here the operator projects the edit: the resource has it, and the name is held for it.
            return await run_in_threadpool(_project_edit, backends, task, project_id, changed)
        except KubeConflict:
            continue
        except (KubeUnreachable, Unavailable):
            # The resource may have the name, or has it and its row has not. Held for a minute, it is nobody else's
            # until that is settled: the operator's look takes it over, or the same request once more.
            reserved = None
            raise
        finally:
            if reserved is not None:
                await run_in_threadpool(backends.tasks.discard, reserved)
    raise Conflict(messages.CHANGED_MEANWHILE)


async def _read(backends: Backends, task: TaskRecord) -> ScheduledTask:
    namespace, name, uid = _address(task)
    try:
        found = codec.to_task(await backends.objects.get(SCHEDULED_TASKS, namespace, name))
    except KubeNotFound as error:
        raise NotFound(messages.NO_SUCH_TASK) from error
    if found.uid != uid or found.deleting:
        raise NotFound(messages.NO_SUCH_TASK)
    return found


async def _reserve_name(backends: Backends, task: TaskRecord, wanted: TaskSpec) -> int | None:
    """Holds a new name for the resource until its row has it: a resource cannot be unpatched once its name turns out
    taken."""
    if wanted.display_name == task.spec.display_name or task.project_id is None:
        return None
    draft = TaskDraft(
        owner=task.owner,
        project_id=task.project_id,
        spec=wanted,
        namespace=task.namespace,
        cr_name=task.cr_name,
    )
    return await run_in_threadpool(backends.tasks.reserve, draft, backends.clock())


async def _patch(backends: Backends, current: ScheduledTask, wanted: TaskSpec) -> ScheduledTask:
    difference = merge_difference(codec.from_task_spec(current.spec), codec.from_task_spec(wanted))
    metadata = {"uid": current.uid, "resourceVersion": current.resource_version}
    patch = {"metadata": metadata, "spec": difference}
    try:
        return codec.to_task(await backends.objects.patch(SCHEDULED_TASKS, current.namespace, current.name, patch))
    except KubeNotFound as error:
        raise NotFound(messages.NO_SUCH_TASK) from error
    except KubeInvalid as error:
        raise to_invalid_input(error) from error


def _project_edit(backends: Backends, task: TaskRecord, project_id: int | None, changed: ScheduledTask) -> TaskRecord:
    """Brings the row, as it was read in `task`, up to the resource, and returns it."""
    now, spec, before = backends.clock(), changed.spec, task.spec
    backends.tasks.register(
        TaskProjection(
            cr_uid=changed.uid,
            namespace=changed.namespace,
            cr_name=changed.name,
            generation=changed.generation,
            creation_time=changed.creation_time,
            owner=task.owner,
            project_id=project_id,
            spec=spec,
            task_id=task.task_id,
        ),
        now,
        only_newer=True,
    )
    if spec.timing != before.timing or spec.suspend != before.suspend:
        # kubectl may have made it a schedule that never fires: it has no next run, and can be paused all the same.
        schedule, _ = check_schedule(spec.schedule_type, spec.schedule, spec.time_zone)
        had_run = _had_run(task, spec)
        next_run = None if had_run or schedule is None else first_run(schedule, spec, changed.uid, since=now)
        backends.tasks.set_next_run(changed.uid, next_run, generation=changed.generation, completed=had_run)
    elif spec.spread_seconds != before.spread_seconds and task.next_run_time is not None:
        # The same tick starts at another time.
        schedule = parse_schedule(spec.schedule_type, spec.schedule, spec.time_zone)
        old, new = (start_offset(schedule, changed.uid, given.spread_seconds) for given in (before, spec))
        next_run = task.next_run_time - old + new
        backends.tasks.set_next_run(changed.uid, next_run, generation=changed.generation)
    return backends.tasks.get(task.task_id, owner=None)


def _project(backends: Backends, user: User, task: TaskRecord, form: Form[TaskUpdate]) -> ProjectRecord | None:
    """The project that the task shall belong to; None if it is unknown, or not one that the caller may move it to."""
    wanted = form.body.project_id
    if "project_id" in form.body.model_fields_set and wanted != task.project_id:
        return usable_project(backends, user, wanted)
    try:
        return None if task.project_id is None else backends.projects.get(task.project_id)
    except NotFound:
        return None


def _judge(
    form: Form[TaskUpdate],
    current: TaskSpec,
    wanted: TaskSpec,
    task: TaskRecord,
    project: ProjectRecord | None,
    user: User,
    backends: Backends,
) -> list[FieldError]:
    given = form.body.model_fields_set
    schedule, rules = check_task(wanted)
    if wanted.schedule_type is not current.schedule_type and "schedule_config" not in given:
        if wanted.schedule_type is not ScheduleType.ONCE:
            rules = [rule for rule in rules if rule.field != "schedule_config"] + [required("schedule_config")]
    elif schedule is not None and wanted.timing != current.timing:
        rules += check_schedule_not_past(schedule, backends.clock())
    moves = "project_id" in given and form.body.project_id != task.project_id
    if moves and (project is None or project.namespace != task.namespace):
        # A resource cannot leave its namespace.
        rules.append(unknown_project(form.body.project_id))
    elif project is not None and (moves or wanted.overrides != current.overrides):
        rules += check_overrides(wanted, project.spec)
    if wanted.overrides.image is not None:
        rules += check_image(wanted.overrides.image)
    if wanted.overrides.env != current.overrides.env:
        rules += check_env_sources(wanted, user)
    return form.with_rules(*rules)


def _had_run(task: TaskRecord, spec: TaskSpec) -> bool:
    """Whether a task that shall be as `spec` says has had its only run: another schedule is another run, a mere pause
    and resume is none."""
    return task.completed and spec.timing == task.spec.timing


def _address(task: TaskRecord) -> tuple[str, str, str]:
    if task.namespace is None or task.cr_name is None or task.cr_uid is None:
        raise NotFound(messages.NO_SUCH_TASK)
    return task.namespace, task.cr_name, task.cr_uid
