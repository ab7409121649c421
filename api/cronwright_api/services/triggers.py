"""A manual run: a PENDING row, and the request for it as an annotation of the ScheduledTask, both under one key.

The operator makes the Job and takes the annotation away. The same Idempotency-Key is the same run, however often sent.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from starlette.concurrency import run_in_threadpool

from cronwright_api import messages
from cronwright_api.bodies import invalid, read_form
from cronwright_api.deps import Backends
from cronwright_api.idempotency import digest
from cronwright_api.schemas.triggers import TriggerBody
from cronwright_api.tokens import User
from cronwright_core.domain import naming
from cronwright_core.domain.errors import Conflict, Message, NotFound
from cronwright_core.domain.execution import Execution, ExecutionKey, ExecutionKind, ExecutionState, ExecutionStatus
from cronwright_core.domain.parameters import Variables, check_parameters
from cronwright_core.domain.times import to_rfc3339, whole_seconds
from cronwright_core.kube.errors import KubeConflict, KubeInvalid, KubeNotFound, KubeRejected, is_out_of_annotations
from cronwright_core.kube.resources import SCHEDULED_TASKS
from cronwright_core.store.records.tasks import TaskRecord

MAX_WAITING = 200
"""Manual runs of one task that may wait; every one is an annotation, and an object holds 256 KiB of these."""

ROOM_BYTES = 192 * 1024
"""What a task's annotations may have together after a trigger with variables. The rest is for requests that are small
and must not fail: 200 triggers without variables and some 250 cancels."""

_TOO_MUCH_WAITS = Message(
    "等待执行的触发请求及其参数过多，请稍后再试", "too many runs with parameters wait already; try again later"
)


async def trigger_task(
    backends: Backends, user: User, task_id: int, idempotency_key: str | None, raw: Mapping[str, Any]
) -> str:
    """Endpoint 8; returns the execution's id. Works while the task is paused.

    Raises:
        InvalidInput: a variable of this run is wrong.
        NotFound: there is no such task, or its resource has just been deleted.
        Conflict: 200 manual runs wait already, or fewer that hold many parameters; the operator refuses the task; or
            the key was used with other parameters.
        KubeUnreachable: the request may or may not stand; asking again with the same Idempotency-Key is safe.
    """
    task = await run_in_threadpool(lambda: backends.tasks.get(task_id, owner=user.owner_filter))
    form = read_form(TriggerBody, raw, {})
    variables = form.body.env
    errors = form.with_rules(*check_parameters(variables))
    if errors:
        raise invalid(errors)
    if task.ready is False:
        reason = task.ready_message or task.ready_reason or ""
        raise Conflict(Message(f"任务当前无法运行：{reason}", f"the task cannot run: {reason}"))
    key = idempotency_key or uuid.uuid4().hex
    # Values may be secrets: PostgreSQL gets the names, and of the values what only the holder of the key can compare.
    seal = digest(key, dict(variables)) if variables else None
    draft = replace(
        _draft(task, user, naming.request_key_suffix(key), backends.clock()),
        parameters=tuple(name for name, _ in variables),
    )
    requested = await run_in_threadpool(
        lambda: backends.executions.request(draft, max_waiting=MAX_WAITING, digest=seal)
    )
    if not requested.created and requested.status is not ExecutionStatus.PENDING:
        # It ran already. Asking the operator again could run it a second time, once its Job has been cleaned up.
        return requested.execution_id
    # If we die here the row waits without a request; the same Idempotency-Key repairs it, or the operator ends it.
    try:
        await _annotate(backends, task, draft, requested.time, variables)
    except Conflict:
        await run_in_threadpool(backends.executions.withdraw, requested.execution_id)
        raise
    except KubeRejected as error:
        await run_in_threadpool(backends.executions.withdraw, requested.execution_id)
        if _is_gone(error):
            raise NotFound(messages.NO_SUCH_TASK) from error
        if is_out_of_annotations(error):
            raise Conflict(_TOO_MUCH_WAITS) from error
        raise
    return requested.execution_id


def _draft(task: TaskRecord, user: User, request_key: str, now: datetime) -> Execution:
    if task.cr_uid is None or task.cr_name is None or task.namespace is None:
        raise NotFound(messages.NO_SUCH_TASK)
    time = whole_seconds(now)
    kind = ExecutionKind.ADHOC
    stem = naming.cronjob_name(task.cr_name, task.cr_uid)
    return Execution(
        execution_id=naming.execution_id(task.cr_uid, kind.value, time, request_key),
        key=ExecutionKey(task.cr_uid, kind, time, request_key),
        task_id=task.task_id,
        task_name=task.spec.display_name,
        owner=task.owner,
        project_id=task.project_id,
        namespace=task.namespace,
        job_name=naming.request_job_name(stem, task.cr_uid, request_key),
        job_uid=None,
        created_time=time,
        state=ExecutionState(ExecutionStatus.PENDING),
        requested_by=user.name,
    )


async def _annotate(
    backends: Backends, task: TaskRecord, draft: Execution, time: datetime, variables: Variables
) -> None:
    request: dict[str, Any] = {"time": to_rfc3339(time), "by": draft.requested_by}
    if variables:
        request["env"] = dict(variables)
    value = json.dumps(request, ensure_ascii=False)
    if variables:
        # Only these are large: 200 others fit in any case, and cost no read.
        current = await backends.objects.get(SCHEDULED_TASKS, draft.namespace, task.cr_name or "")
        stored = current["metadata"].get("annotations") or {}
        if not has_room(stored, naming.TRIGGER_PREFIX + draft.key.request_key, value):
            raise Conflict(_TOO_MUCH_WAITS)
    metadata = {
        # The uid makes the patch conditional: a task of the same name that was applied anew is another one.
        "uid": task.cr_uid,
        "annotations": {naming.TRIGGER_PREFIX + draft.key.request_key: value},
    }
    await backends.objects.patch(SCHEDULED_TASKS, draft.namespace, task.cr_name or "", {"metadata": metadata})


def has_room(annotations: Mapping[str, str], key: str, value: str) -> bool:
    """Whether a trigger with variables still fits; one that stands there already does."""
    if key in annotations:
        return True
    size = sum(len(text.encode()) for pair in ((key, value), *annotations.items()) for text in pair)
    return size <= ROOM_BYTES


def _is_gone(error: KubeRejected) -> bool:
    """Whether the patch met no object, or one of another uid (called a conflict or an immutable field)."""
    other_uid = isinstance(error, KubeInvalid) and any(cause.field == "metadata.uid" for cause in error.causes)
    return other_uid or isinstance(error, KubeNotFound | KubeConflict)
