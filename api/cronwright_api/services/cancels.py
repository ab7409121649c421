"""Cancelling an execution: an annotation of its own on the ScheduledTask, which the operator carries out and takes off.

So it waits while the operator is away, two at once do not collide, and `kubectl annotate` does the same.
"""

from __future__ import annotations

import json

from starlette.concurrency import run_in_threadpool

from cronwright_api import messages
from cronwright_api.deps import Backends
from cronwright_api.tokens import User
from cronwright_core.domain import naming
from cronwright_core.domain.errors import Conflict, Message, NotFound
from cronwright_core.domain.times import to_rfc3339
from cronwright_core.kube.errors import (
    KubeConflict,
    KubeNotFound,
    KubeRejected,
    is_another_object,
    is_out_of_annotations,
)
from cronwright_core.kube.resources import SCHEDULED_TASKS

_NO_ROOM = Message(
    "任务上等待处理的请求过多，请稍后再试取消",
    "too many requests wait on the task of this execution; try to cancel it again later",
)


async def cancel_execution(backends: Backends, user: User, execution_id: str) -> None:
    """Asks for the end of an execution; does not wait for it. Asking again while it ends is no error.

    Raises:
        NotFound: there is no such execution, or it is somebody else's.
        Conflict: it has ended, or so many requests wait on its task that no other one fits.
        KubeUnreachable: the request may or may not stand; asking again is safe.
    """
    execution = await run_in_threadpool(lambda: backends.executions.get(execution_id, owner=user.owner_filter))
    if execution.status.ended:
        raise Conflict(messages.execution_has_ended(execution.status.value))
    try:
        # Whose it is has been judged above, by the task as it is now.
        task = await run_in_threadpool(lambda: backends.tasks.get(execution.task_id, owner=None))
    except NotFound:
        return  # deleted: what ran of it is being cancelled already
    if task.cr_uid != execution.task_uid or task.cr_name is None:
        return
    value = json.dumps({"by": user.name, "at": to_rfc3339(backends.clock())}, ensure_ascii=False)
    metadata = {
        # The uid makes the patch conditional: a task of the same name that was applied anew is another one.
        "uid": execution.task_uid,
        "annotations": {naming.CANCEL_PREFIX + execution_id: value},
    }
    try:
        await backends.objects.patch(SCHEDULED_TASKS, execution.namespace, task.cr_name, {"metadata": metadata})
    except KubeRejected as error:
        if is_out_of_annotations(error):
            raise Conflict(_NO_ROOM) from error
        if not isinstance(error, KubeNotFound | KubeConflict) and not is_another_object(error):
            raise
        # The task has just been deleted: the same as above.
