"""Creating a task: reserve a row, create the resource, activate the row."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from starlette.concurrency import run_in_threadpool

from cronwright_api.bodies import Form, invalid, read_form, required
from cronwright_api.deps import Backends
from cronwright_api.idempotency import creation_key
from cronwright_api.schemas.tasks import TaskCreate
from cronwright_api.services.creation import NameOccupied, create_reserved
from cronwright_api.tokens import User
from cronwright_core.domain.errors import Conflict, FieldError, Message, NotFound, Unavailable
from cronwright_core.domain.schedule import Schedule, next_time, parse_schedule
from cronwright_core.domain.task import TaskSpec
from cronwright_core.domain.ticks import start_offset
from cronwright_core.domain.times import whole_seconds
from cronwright_core.domain.validation import (
    check_image,
    check_overrides,
    check_schedule_not_past,
    check_task,
    unknown_project,
)
from cronwright_core.kube import codec
from cronwright_core.kube.errors import KubeNotFound
from cronwright_core.kube.ports import Json
from cronwright_core.kube.resources import SCHEDULED_TASKS
from cronwright_core.store.records.projects import ProjectRecord
from cronwright_core.store.records.tasks import CreationKey, ReservedTask, TaskDraft, TaskRecord

_PLACEHOLDERS = {"name": "placeholder", "project_id": 0, "schedule_type": "ONCE"}
_MAX_ID = 2**63 - 1
_ATTEMPTS = 5
"""How many ids are tried where the cluster knows more tasks than the database."""
_GIVEN_UP = Message(
    "任务创建超时，请稍后查询任务列表", "creating the task took too long; look into the list of tasks in a while"
)
_IDS_OCCUPIED = Message(
    "数据库与集群中的任务编号不一致，请稍后重试", "the database lags behind the cluster's task ids; try again later"
)


async def create_task(
    backends: Backends, user: User, raw: Mapping[str, Any], idempotency_key: str | None = None
) -> TaskRecord:
    """Endpoint 1. The task is visible to the caller's next read.

    The same request with the same key, within a day, is answered with the task that the first one made, as it is now;
    where the first one broke off it is completed.

    Raises:
        InvalidInput: with every wrong field.
        Conflict: the caller has a task of this name, or used the key for another request.
        Unavailable, KubeUnreachable: the caller may try again; a half-made task is finished or dropped by the operator.
    """
    now = backends.clock()
    key = creation_key(user.name, idempotency_key, raw)
    # Before anything is judged: what was right then, such as a date to come, need not be right any more.
    known = await run_in_threadpool(backends.tasks.find_created, key, now) if key is not None else None
    if known is not None:
        return await _complete(backends, user, known)
    form = read_form(TaskCreate, raw, _PLACEHOLDERS)
    project = await run_in_threadpool(usable_project, backends, user, form.body.project_id)
    project_name = (project.cr_name or "") if project else ""
    spec = form.body.to_spec(owner=user.name, project_name=project_name, default_time_zone=backends.default_time_zone)
    schedule, errors = _judge(form, spec, project, user, now)
    if errors or schedule is None or project is None or project.namespace is None:
        raise invalid(errors)
    draft = TaskDraft(owner=user.name, project_id=project.project_id, spec=spec)
    for _ in range(_ATTEMPTS):
        try:
            return await _complete(backends, user, await run_in_threadpool(_reserve, backends, draft, key, now))
        except NameOccupied:
            continue
    raise Unavailable(_IDS_OCCUPIED)


def _reserve(backends: Backends, draft: TaskDraft, key: CreationKey | None, now: datetime) -> ReservedTask:
    if key is not None:
        return backends.tasks.reserve_once(draft, key, now)
    task_id = backends.tasks.reserve(draft, now)
    return ReservedTask(task_id=task_id, active=False, project_id=draft.project_id, spec=draft.spec)


async def _complete(backends: Backends, user: User, reserved: ReservedTask) -> TaskRecord:
    """From a reserved row to the task. Any number of requests may do so for one row at the same time: its id names the
    resource, and activating it twice changes nothing.

    Raises:
        NameOccupied: the id is another resource's.
    """
    task_id, spec = reserved.task_id, reserved.spec
    if reserved.active:
        return await run_in_threadpool(lambda: backends.tasks.get(task_id, owner=user.owner_filter))
    project = await run_in_threadpool(usable_project, backends, user, reserved.project_id or 0)
    if project is None or project.namespace is None:
        raise invalid([unknown_project(reserved.project_id)])
    schedule = parse_schedule(spec.schedule_type, spec.schedule, spec.time_zone)
    created = await _create_resource(backends, project.namespace, task_id, spec)
    # If we die here the row stays pending, and the operator activates it: the resource carries the id.
    return await run_in_threadpool(_activate, backends, task_id, created, schedule, spec)


def usable_project(backends: Backends, user: User, project_id: int) -> ProjectRecord | None:
    """The project if it exists and the user may create tasks in it, else None: a stranger learns nothing of it."""
    if not 0 < project_id <= _MAX_ID:
        return None
    try:
        project = backends.projects.get(project_id)
    except NotFound:
        return None
    return project if project.may_use(user.name, is_admin=user.is_admin) else None


def first_run(schedule: Schedule, spec: TaskSpec, uid: str, *, since: datetime) -> datetime | None:
    """When a task that became active at `since` starts first, its share of the spread included; None while paused."""
    since = whole_seconds(since)
    tick = None if spec.suspend else next_time(schedule, base=first_base(schedule, since), anchor=since)
    return None if tick is None else tick + start_offset(schedule, uid, spec.spread_seconds)


def first_base(schedule: Schedule, since: datetime) -> datetime:
    """The base of a schedule's first tick when it becomes active at `since`."""
    # A ONCE without a time has its tick at the anchor itself, so the base lies just before it.
    return since - timedelta(seconds=1) if getattr(schedule, "at", since) is None else since


def _judge(
    form: Form[TaskCreate], spec: TaskSpec, project: ProjectRecord | None, user: User, now: datetime
) -> tuple[Schedule | None, list[FieldError]]:
    body = form.body
    schedule, rules = check_task(spec)
    if "schedule_config" not in body.model_fields_set and body.schedule_type != "ONCE":
        rules = [rule for rule in rules if rule.field != "schedule_config"] + [required("schedule_config")]
    if schedule is not None:
        rules += check_schedule_not_past(schedule, now)
    if project is None:
        rules.append(unknown_project(body.project_id))
    else:
        rules += check_overrides(spec, project.spec)
    if body.image is not None:
        rules += check_image(body.image)
    rules += check_env_sources(spec, user)
    return schedule, form.with_rules(*rules)


def check_env_sources(spec: TaskSpec, user: User) -> list[FieldError]:
    """Lets administrators only take variables from Secrets and ConfigMaps.

    The task runs in a namespace to which its owner need have no right at all; by `valueFrom` anybody who may create a
    task could read every Secret there, and print it to the log.
    """
    if user.is_admin or not any("valueFrom" in variable for variable in spec.overrides.env):
        return []
    message = Message("仅管理员可使用valueFrom", "only administrators may use valueFrom")
    return [FieldError("env", message, "spec.overrides.env")]


async def _create_resource(backends: Backends, namespace: str, task_id: int, spec: TaskSpec) -> Json:
    manifest = codec.build_task(namespace, f"task-{task_id}", spec, task_id=task_id)

    def is_ours(found: Json) -> bool:
        task = codec.to_task(found)
        return task.task_id_label == task_id and task.spec == spec and not task.deleting

    try:
        return await create_reserved(
            backends.objects,
            SCHEDULED_TASKS,
            namespace,
            manifest,
            is_ours=is_ours,
            discard=lambda: backends.tasks.discard(task_id),
        )
    except KubeNotFound as error:
        # The project's namespace is gone, and the project with it; the store has not heard of it yet.
        raise invalid([unknown_project("")]) from error


def _activate(backends: Backends, task_id: int, created: Json, schedule: Schedule, spec: TaskSpec) -> TaskRecord:
    metadata = created["metadata"]
    try:
        return backends.tasks.activate(
            task_id,
            cr_uid=metadata["uid"],
            namespace=metadata["namespace"],
            cr_name=metadata["name"],
            generation=int(metadata.get("generation") or 1),
            next_run_time=first_run(schedule, spec, metadata["uid"], since=codec.creation_time(created)),
            now=backends.clock(),
        )
    except (NotFound, Conflict) as error:
        # The row was given up while the API server took its time; the resource is there, and the operator registers it.
        raise Unavailable(_GIVEN_UP) from error
