"""Carries out a decision, in order. Each step says what a crash right after it means; repeating any of them is
harmless."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import JobFacts, StopIntent, StopReason
from cronwright_core.domain.skips import SkippedTick
from cronwright_core.domain.task import Request, ScheduledTask, TaskStatus
from cronwright_core.domain.ticks import MISSED_REASONS
from cronwright_core.domain.times import to_rfc3339
from cronwright_core.kube.codec import from_task_status
from cronwright_core.kube.errors import (
    KubeAlreadyExists,
    KubeConflict,
    KubeDenied,
    KubeInvalid,
    KubeNotFound,
    KubeRejected,
    is_another_object,
    is_gone,
)
from cronwright_core.kube.ports import Json, ObjectClient, PatchKind
from cronwright_core.kube.reflector import Reflector
from cronwright_core.kube.resources import CRON_JOBS, JOBS, SCHEDULED_TASKS, Resource
from cronwright_core.kube.status import replace_status
from cronwright_operator.cache import DefinitionCache
from cronwright_operator.launching.ledger import Ledger
from cronwright_operator.reconciling.actions import (
    AcceptJob,
    Action,
    CheckTick,
    CoverTick,
    CreateCronJob,
    CreateJob,
    DeleteJob,
    MoveCronJobWatermark,
    RecordCancelled,
    RecordSkipped,
    RemoveRequest,
    StopExecution,
    UpdateCronJob,
    WithdrawRequest,
    WriteStatus,
)
from cronwright_operator.reconciling.refused import CRONJOB_REFUSED, JOB_REFUSED
from cronwright_operator.reconciling.task_status import with_ready

logger = logging.getLogger(__name__)

_DECIDED_ON = ("scheduleHash", "anchorTime", "lastScheduleTime", "claimedTime", "completionTime")
"""What of a status says which ticks are decided. Who writes it has decided something, and what was decided without
knowing of it is out of date."""

_MAX_FIRST_TRIED = 1000
"""Of tasks that are deleted meanwhile nobody takes the note away."""


class NameNotOurs(Exception):
    """A Job or CronJob of the name that we need belongs to somebody else; nothing runs until it is gone."""


class _TaskGone(Exception):
    """The task was deleted, and nobody has told us: kopf reports no deletion that falls into a gap of its watch."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What was left undone while all else was done: a Job that was refused, a record that could not be committed."""

    refused: KubeRejected | NameNotOurs | None = None
    unrecorded: Exception | None = None

    def raise_any(self) -> None:
        """Raises the error, if there was one, so that it is tried again."""
        error = self.refused or self.unrecorded
        if error is not None:
            raise error


class Applier:
    """Applies actions through an `ObjectClient`; what writes return goes into the reflectors' copies at once."""

    def __init__(
        self,
        client: ObjectClient,
        cache: DefinitionCache,
        jobs: Reflector,
        cronjobs: Reflector,
        *,
        ledger: Ledger,
        skipped: Callable[[ScheduledTask, Sequence[SkippedTick]], Awaitable[bool]],
        told: Callable[[ScheduledTask, RecordSkipped], None],
        stop: Callable[[str, StopIntent], Awaitable[None]],
        gone: Callable[[str, datetime], None],
        cancelled: Callable[[ScheduledTask, RecordCancelled], Awaitable[None]],
    ) -> None:
        self._client = client
        self._cache = cache
        self._jobs = jobs
        self._cronjobs = cronjobs
        self._skipped = skipped
        self._told = told
        self._ledger = ledger
        self._stop = stop
        self._gone = gone
        self._cancelled = cancelled
        self._first_tried: dict[tuple[str, Request], datetime] = {}

    async def apply(self, task: ScheduledTask, actions: tuple[Action, ...], now: datetime) -> Unfinished:
        """Carries out the actions one after the other; trouble ends it, and the whole is decided anew.

        A Job that the API server refuses (a quota, an admission rule, somebody else's Job of the name) does not hold up
        the rest: the condition says why. Nor does a record that cannot be committed. A CronJob whose change is refused
        holds up all but manual runs and cancels. All three are told in what is returned.
        """
        try:
            return await self._apply(task, actions, now)
        except _TaskGone as gone:
            logger.info("ScheduledTask %s/%s is gone: %s", task.namespace, task.name, gone)
            self._cache.remove_task(task.uid)
            return Unfinished()

    async def _apply(self, task: ScheduledTask, actions: tuple[Action, ...], now: datetime) -> Unfinished:
        refused: KubeRejected | NameNotOurs | None = None
        stuck: KubeRejected | None = None
        unrecorded: Exception | None = None
        stands = task.status
        created = False
        skipped: list[SkippedTick] = []
        for action in actions:
            if stuck is not None and not _is_asked_for(action):
                # An edit that is not carried out does not count yet, nor does what was decided on its ground.
                continue
            match action:
                case CreateJob():
                    try:
                        await self._create_job(task, action)
                        created = True
                    except (KubeRejected, NameNotOurs) as error:
                        refused = error
                case CheckTick():
                    await self._check_tick(task, action)
                case CoverTick():
                    await self._cover_tick(action)
                case CreateCronJob():
                    if task.status.schedule_hash is not None:
                        # It had one: somebody has deleted it, or the garbage collector, with the task.
                        await self._check_task(task)
                    await self._create(CRON_JOBS, self._cronjobs, task, action.manifest, frozenset({task.uid}))
                case AcceptJob():
                    await self._accept(action)
                case DeleteJob():
                    await self._delete(action)
                case MoveCronJobWatermark():
                    await self._patch_cronjob_status(action)
                case UpdateCronJob():
                    try:
                        await self._update_cronjob(action)
                    except (KubeDenied, KubeInvalid) as error:
                        if is_another_object(error):
                            raise
                        stuck = error
                        status = _refused_status(task, stands, CRONJOB_REFUSED, error, now)
                        await self._write_status(task, stands, status)
                        stands = status
                case RemoveRequest() | WithdrawRequest():
                    await self._patch_task(task, {"metadata": {"annotations": {action.annotation: None}}})
                case RecordSkipped():
                    skipped.append(SkippedTick(action.tick, action.reason, action.message))
                    self._told(task, action)
                case StopExecution():
                    # If we die after this, the cancel still stands; the Job has its intent, and only the former goes.
                    await self._stop(action.job_uid, action.stop)
                case RecordCancelled():
                    try:
                        await self._record_cancelled(task, action)
                    except Exception as error:  # noqa: BLE001 - whoever asked for all this raises it
                        # PostgreSQL is away, or refuses this one for good: then it must not keep others from theirs.
                        unrecorded = error
                        continue
                    # If we die here, it is recorded once more, which changes nothing if the request names its time.
                    await self._patch_task(task, {"metadata": {"annotations": dict.fromkeys(action.annotations)}})
                    self._first_tried.pop((task.uid, action.request), None)
                case WriteStatus():
                    if created and refused is None and not skipped:
                        # The next pass, which the new Job wakes, sees more: where many are due at once their Jobs come
                        # first, and every status after.
                        continue
                    status = action.status
                    if refused is not None:
                        status = _refused_status(task, status, JOB_REFUSED, refused, now)
                    status = await self._with_skips(task, status, skipped)
                    skipped = []
                    await self._write_status(task, stands, status)
                    stands = status
        if skipped:
            await self._write_status(task, stands, await self._with_skips(task, stands, skipped))
        return Unfinished(stuck or refused, unrecorded)

    async def end(self, actions: Iterable[Action]) -> None:
        """Carries out the end of what a task has left behind that is gone (`leftovers.end_all`)."""
        for action in actions:
            match action:
                case UpdateCronJob():
                    await self._update_cronjob(action)
                case AcceptJob():
                    await self._accept(action)
                case StopExecution():
                    await self._stop(action.job_uid, action.stop)

    async def _update_cronjob(self, action: UpdateCronJob) -> None:
        body = await self._client.patch(
            CRON_JOBS, action.namespace, action.name, action.patch, kind=PatchKind.STRATEGIC
        )
        self._cronjobs.remember(body)

    async def _with_skips(self, task: ScheduledTask, status: TaskStatus, skipped: list[SkippedTick]) -> TaskStatus:
        """The status to be written: skipped ticks are committed before it, or stand in it.

        If we die before it is written, a tick that was missed is found missed again, and recording it again changes
        nothing. What a policy or an edit decides may be decided otherwise by then: such a tick stands in the status
        that passes it, in the same write, and its row follows.
        """
        missed = [tick for tick in skipped if tick.reason in MISSED_REASONS]
        if missed and await self._skipped(task, missed):
            skipped = [tick for tick in skipped if tick not in missed]
        return replace(status, unrecorded_skips=status.unrecorded_skips.with_more(skipped)) if skipped else status

    async def _record_cancelled(self, task: ScheduledTask, action: RecordCancelled) -> None:
        """Under the time of the first try: a request that names none has that of each look, and a commit that did not
        answer in time may have been one."""
        if len(self._first_tried) >= _MAX_FIRST_TRIED:
            self._first_tried.clear()
        time = self._first_tried.setdefault((task.uid, action.request), action.time)
        await self._cancelled(task, replace(action, time=time))

    async def _create_job(self, task: ScheduledTask, action: CreateJob) -> None:
        """Makes a Job, waiting or started as the gate says. An unknown outcome stays in the books as it was decided."""
        candidate = action.candidate
        queued = naming.KUEUE_QUEUE_LABEL in action.manifest["metadata"].get("labels", {})
        starts = self._ledger.enter(candidate, tick=action.tick, ours=not queued)
        manifest = dict(action.manifest)
        if not starts:
            manifest["spec"] = {**manifest["spec"], "suspend": True}
        try:
            await self._create(JOBS, self._jobs, task, manifest, action.owner_uids)
        except (KubeRejected, NameNotOurs):
            self._ledger.withdraw(candidate.key)
            raise

    async def _check_tick(self, task: ScheduledTask, action: CheckTick) -> None:
        try:
            body = await self._client.get(JOBS, action.namespace, action.name)
        except KubeNotFound:
            self._gone(task.uid, action.tick)
            return
        if (body["metadata"].get("labels") or {}).get(naming.TASK_UID_LABEL) == task.uid:
            self._jobs.remember(body)
        else:
            self._gone(task.uid, action.tick)  # somebody else's, which no watch of ours would show

    async def _cover_tick(self, action: CoverTick) -> None:
        reference = {"apiVersion": "batch/v1", "kind": "Job", "namespace": action.namespace}
        active = [{**reference, "name": name, "uid": uid} for name, uid in action.active]
        try:
            await self._patch_cronjob_status(action, active=active)
        except KubeNotFound:
            return  # deleted; a new one will cover it, as the Job still stands

    async def _delete(self, action: DeleteJob) -> None:
        job = action.job
        logger.warning("Job %s/%s repeats a tick that was decided; it is deleted", job.namespace, job.name)
        try:
            await self._client.delete(JOBS, job.namespace, job.name, uid=job.uid)
        except (KubeNotFound, KubeConflict):
            return

    async def _patch_cronjob_status(self, action: CoverTick | MoveCronJobWatermark, **status: Any) -> None:
        """Only if the CronJob is still the one that the decision saw: the controller writes there, too."""
        patch: Json = {
            "metadata": {"resourceVersion": action.resource_version},
            "status": {"lastScheduleTime": to_rfc3339(action.time), **status},
        }
        body = await self._client.patch(CRON_JOBS, action.namespace, action.name, patch, subresource="status")
        self._cronjobs.remember(body)

    async def _create(
        self,
        resource: Resource,
        reflector: Reflector,
        task: ScheduledTask,
        manifest: Any,
        owner_uids: frozenset[str],
    ) -> None:
        name = manifest["metadata"]["name"]
        try:
            body = await self._client.create(resource, task.namespace, manifest)
        except KubeAlreadyExists:
            body = await self._client.get(resource, task.namespace, name)
            owners = {o["uid"] for o in body["metadata"].get("ownerReferences") or () if o.get("controller")}
            if not owners & owner_uids:
                raise NameNotOurs(
                    f"{resource.kind} {task.namespace}/{name} exists and belongs to somebody else"
                ) from None
            logger.info("%s %s/%s was created before", resource.kind, task.namespace, name)
        reflector.remember(body)

    async def _accept(self, action: AcceptJob) -> None:
        job = action.job
        # A strategic merge patch adds to the list of finalizers and leaves others' alone; the uid makes sure that it
        # is still the same Job.
        patch = {
            "metadata": {
                "uid": job.uid,
                "finalizers": [naming.FINALIZER],
                "annotations": {naming.EXECUTION_ANNOTATION: action.execution_id},
            }
        }
        try:
            body = await self._client.patch(JOBS, job.namespace, job.name, patch, kind=PatchKind.STRATEGIC)
        except (KubeNotFound, KubeConflict, KubeInvalid) as error:
            if not await self._is_being_deleted(job):
                # Refused for another reason, by a webhook maybe: its tick is not decided before it is accepted. Or it
                # is gone: once we have heard of that, the CronJob's status tells that it ran, and the history does.
                raise
            # No finalizer may be added to such an object: its tick is decided all the same.
            logger.warning("Job %s/%s was deleted before it could be accepted: %s", job.namespace, job.name, error)
            return
        self._jobs.remember(body)

    async def _is_being_deleted(self, job: JobFacts) -> bool:
        try:
            current = await self._client.get(JOBS, job.namespace, job.name)
        except KubeNotFound:
            return False
        return current["metadata"]["uid"] == job.uid and "deletionTimestamp" in current["metadata"]

    async def _write_status(self, task: ScheduledTask, stands: TaskStatus, status: TaskStatus) -> None:
        """If it differs, and only onto what was decided on: one that was frozen and sends this late must not put the
        watermark of its successor back, who would decide the same ticks once more."""
        if status == stands:
            return
        old = from_task_status(stands)
        where = (SCHEDULED_TASKS, task.namespace, task.name)
        try:
            with _gone_when_not_found():
                body = await replace_status(
                    self._client,
                    *where,
                    task.uid,
                    from_task_status(status),
                    decided_on={key: old[key] for key in _DECIDED_ON},
                )
        except KubeConflict:
            # Mostly our own write whose answer was lost, before the watch has brought it.
            with _gone_when_not_found():
                self._cache.put_task(await self._client.get(*where))
            raise
        self._cache.put_task(body)

    async def _check_task(self, task: ScheduledTask) -> None:
        with _gone_when_not_found():
            body = await self._client.get(SCHEDULED_TASKS, task.namespace, task.name)
        if body["metadata"]["uid"] != task.uid:
            raise _TaskGone("another one has its name now")

    async def _patch_task(self, task: ScheduledTask, patch: Json) -> None:
        patch["metadata"] = {**patch.get("metadata", {}), "uid": task.uid}
        try:
            with _gone_when_not_found():
                body = await self._client.patch(SCHEDULED_TASKS, task.namespace, task.name, patch)
        except KubeRejected as error:
            if is_another_object(error):
                raise _TaskGone(str(error)) from error
            raise
        self._cache.put_task(body)


@contextmanager
def _gone_when_not_found() -> Iterator[None]:
    """Turns the API server's word that the task is not there into `_TaskGone`."""
    try:
        yield
    except KubeNotFound as error:
        if is_gone(error):
            raise _TaskGone(str(error)) from error
        raise


def _is_asked_for(action: Action) -> bool:
    """Whether somebody asks for this, and it needs no CronJob: a manual run, or a cancel."""
    match action:
        case CreateJob(tick=None) | RemoveRequest() | WithdrawRequest() | RecordCancelled():
            return True
        case StopExecution(stop=stop):
            return stop.reason is StopReason.CANCELLED
    return False


def _refused_status(
    task: ScheduledTask, new: TaskStatus, reason: str, refused: KubeRejected | NameNotOurs, now: datetime
) -> TaskStatus:
    """The status when a Job or the CronJob was refused, the condition says why. The watermark is as it was decided: a
    tick that runs has not moved it, as its Job does not stand yet, and an edit or a skipped tick does not depend on the
    Job."""
    return replace(new, conditions=with_ready(task, False, reason, str(refused)[:1024], now))
