"""Jobs and Pods -> the history. A Job's finalizer goes only after its final record is committed.

Works on keys (Job uids) and is level-triggered: whatever was missed - events, an hour without PostgreSQL, the
operator's
own absence - the Job still stands there with its finalizer, and is looked at again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cronwright_core import json_log
from cronwright_core.domain import naming
from cronwright_core.domain.cluster import JobFacts, PodFacts
from cronwright_core.domain.execution import (
    Attempt,
    Execution,
    ExecutionKey,
    ExecutionKind,
    ExecutionState,
    ExecutionStatus,
    execution_state,
    with_deletion,
)
from cronwright_core.domain.progress import Progress, Said
from cronwright_core.domain.times import to_rfc3339
from cronwright_core.domain.usage import Usage
from cronwright_core.domain.waits import Wait, with_wait
from cronwright_core.kube.errors import KubeConflict, KubeInvalid, KubeNotFound
from cronwright_core.kube.ports import ListWatchClient, ObjectClient, PatchKind
from cronwright_core.kube.reflector import Reflector
from cronwright_core.kube.resources import JOBS, PODS
from cronwright_core.kube.workloads import to_job, to_pod
from cronwright_core.store.errors import CursorMoved
from cronwright_core.store.executions import ExecutionStore
from cronwright_core.store.logs import LogStore
from cronwright_core.store.records.logs import LogAppend, LogFile, LogType
from cronwright_operator.observability.recording import RecordingMetrics
from cronwright_operator.reconciling.observed import execution_id_of
from cronwright_operator.recording.attempts import (
    may_have_run,
    numbers_of,
    pods_agree,
    with_known_starts,
    with_usage,
    with_vanished,
)
from cronwright_operator.recording.batching import RecordBatcher
from cronwright_operator.recording.concealing import Redaction
from cronwright_operator.recording.following import LogFollower
from cronwright_operator.recording.identity import Identities
from cronwright_operator.recording.output import error_message, output_summary
from cronwright_operator.recording.pod_log import PodLog, gap_line
from cronwright_operator.recording.progress import MIN_PERIOD, progress_of, said_in
from cronwright_operator.recording.sources import LogSources

logger = logging.getLogger(__name__)

_TAIL_LINES = 20
_TAIL_BYTES = 64 * 1024
"""A line may have megabytes, and many executions may end at once."""
_MAX_OUTCOMES = 10_000
_RELEASES_AT_ONCE = 16
"""More would only wait in the API server, and the lease's renewal behind them."""
_VANISHED = "its Pod was deleted before its output was read to the end"


class PodsStillEnding(Exception):
    """The Job says that it is over and a Pod of it says that it is not; to be looked at again."""


@dataclass(slots=True)
class _Memory:
    """What is known of a Job's execution besides the cluster: only saves work, may be lost at any time."""

    attempts: dict[str, Attempt] = field(default_factory=dict)
    loaded: bool = False
    recorded: ExecutionState | None = None
    recorded_progress: Progress | None = None
    recorded_at: datetime | None = None
    printed: dict[str, Said] = field(default_factory=dict)
    logs: dict[str, PodLog] = field(default_factory=dict)


class Recorder:
    """Records one Job at a time by `sync(uid)`; the queue around it keeps two from working on the same Job."""

    def __init__(
        self,
        *,
        objects: ObjectClient,
        sources: LogSources,
        redaction: Redaction,
        jobs: Reflector,
        pods_of: Callable[[str], Iterable[PodFacts]],
        lists: ListWatchClient,
        executions: ExecutionStore,
        logs: LogStore,
        identities: Identities,
        batcher: RecordBatcher,
        follower: LogFollower,
        task_gone: Callable[[str], bool],
        hold_for: Callable[[JobFacts], timedelta | None],
        wake_task: Callable[[str], None],
        look_again: Callable[[str, float], None],
        usage_of_pod: Callable[[str], Usage],
        wait_of: Callable[[JobFacts], Wait | None],
        now: Callable[[], datetime],
        metrics: RecordingMetrics,
    ) -> None:
        self._objects = objects
        self._sources = sources
        self._redaction = redaction
        self._jobs = jobs
        self._pods_of = pods_of
        self._lists = lists
        self._executions = executions
        self._logs = logs
        self._identities = identities
        self._batcher = batcher
        self._follower = follower
        self._task_gone = task_gone
        self._hold_for = hold_for
        self._wake_task = wake_task
        self._look_again = look_again
        self._usage_of_pod = usage_of_pod
        self._wait_of = wait_of
        self._now = now
        self._metrics = metrics
        self._releases = asyncio.Semaphore(_RELEASES_AT_ONCE)
        self._memory: dict[str, _Memory] = {}
        self._outcomes: OrderedDict[str, ExecutionStatus] = OrderedDict()

    async def sync(self, uid: str) -> None:
        """Brings the history up to what the cluster shows of this Job.

        Raises:
            KubeError, Unavailable, NotRegistered: to be tried again; nothing is lost, the Job keeps its finalizer.
        """
        body = self._jobs.get(uid)
        if body is None:
            self._forget(uid)
            return
        job = to_job(body)
        execution_id = execution_id_of(job)
        if not job.has_finalizer or execution_id is None:
            # Not accepted yet, or recorded and released.
            if job.recorded_time is not None:
                self._forget(uid)
            return
        json_log.bind(execution_id=execution_id, task_uid=job.task_uid, job=f"{job.namespace}/{job.name}")
        memory = self._memory.setdefault(uid, _Memory())
        pods = list(self._pods_of(uid))
        if not (job.finished and pods_agree(job, pods, {})) or any(map(may_have_run, pods)):
            # Where all Pods of a finished Job are there, what is stored of them can add nothing but a start.
            await self._load(execution_id, memory)
        if not pods_agree(job, pods, memory.attempts):
            # Jobs and Pods come by two watches, and one may lag: the end of an execution is taken from a fresh list.
            pods = await self._list_pods(job)
            if job.finished and not all(pod.ended for pod in pods):
                raise PodsStillEnding(f"Pods of the finished Job {job.namespace}/{job.name} have not ended")
        pods = with_known_starts(await self._redaction.conceal(uid, pods), memory.attempts)
        pods.sort(key=lambda pod: (pod.creation_time, pod.name))
        job = with_deletion(job, task_gone=self._task_gone(job.task_uid))
        state = execution_state(job, pods, numbers_of(memory.attempts))
        state = with_vanished(state, memory.attempts, pods, self._now())
        state = with_wait(with_usage(state, self._usage_of_pod), self._wait_of(job))
        if not state.status.ended:
            await self._record(job, execution_id, state, pods, memory)
            self._follow(job, execution_id, pods, memory)
            await self._complete_earlier_logs(job, execution_id, pods, memory)
            return
        if any(pod.start_time is not None and pod.uid not in memory.attempts for pod in pods):
            # The rows of execution and attempts come first: log chunks are filed under the attempt's number.
            await self._record(job, execution_id, state, pods, memory, ended=False)
        await self._complete_logs(job, execution_id, pods, memory)
        await self._record(job, execution_id, state, pods, memory, summary=_summary_of(pods))
        committed = self._now()
        # If we die here, the record is committed and the finalizer stands: a successor records the same, which changes
        # nothing, and releases. Pods without an owner go first: once the Job is gone nobody would look for them.
        await self._remove_orphans(pods)
        hold = self._hold_for(job)
        if hold is not None:
            # Without the finalizer it goes when somebody deletes it: not before its tick or request is known as done.
            self._look_again(uid, hold.total_seconds())
            return
        await self._release(job)
        self._forget(uid)
        self._metrics.ended(state, committed)
        self._ended(job, execution_id, state)

    def outcome(self, execution_id: str) -> ExecutionStatus | None:
        """How an execution ended that was recorded lately by this process."""
        return self._outcomes.get(execution_id)

    def _ended(self, job: JobFacts, execution_id: str, state: ExecutionState) -> None:
        self._outcomes[execution_id] = state.status
        if len(self._outcomes) > _MAX_OUTCOMES:
            self._outcomes.popitem(last=False)
        self._wake_task(job.task_uid)

    async def _list_pods(self, job: JobFacts) -> list[PodFacts]:
        selector = f"batch.kubernetes.io/controller-uid={job.uid}"
        listing = await self._lists.list(PODS, job.namespace, label_selector=selector)
        return [to_pod(body) for body in listing.items]

    async def _load(self, execution_id: str, memory: _Memory) -> None:
        """Takes over what is stored of the attempts, once."""
        if not memory.loaded:
            for attempt in await asyncio.to_thread(self._executions.attempts, execution_id):
                memory.attempts.setdefault(attempt.pod_uid, attempt)
            memory.loaded = True

    async def _record(
        self,
        job: JobFacts,
        execution_id: str,
        state: ExecutionState,
        pods: list[PodFacts],
        memory: _Memory,
        *,
        ended: bool = True,
        summary: tuple[str | None, str | None] = (None, None),
    ) -> None:
        if not ended:
            # A first write of an execution that has ended already: its attempts, but not yet its end, which must be
            # the last thing written - readers of a final status find the whole log.
            state = _as_running(state)
        progress = progress_of(state.attempts, pods, memory.printed)
        if memory.recorded == state and not self._progress_is_due(job, progress, memory):
            return
        identity = await self._identities.of(job)
        out: str | None = None
        error: str | None = None
        if state.status.ended:
            output, errors = await self._tails(execution_id, state)
            out = output_summary(summary[0], summary[1], output)
            error = error_message(state, errors)
        execution = Execution(
            execution_id=execution_id,
            key=_key(job, execution_id),
            task_id=identity.task_id,
            task_name=identity.name,
            owner=identity.owner,
            project_id=identity.project_id,
            namespace=job.namespace,
            job_name=job.name,
            job_uid=job.uid,
            created_time=job.creation_time,
            state=state,
            requested_by=job.requested_by,
            parameters=job.parameters,
            output_summary=out,
            error_message=error,
            progress=progress,
            workspace_claim=job.workspace_claim,
        )
        recorded = await self._batcher.record(execution)
        memory.recorded, memory.recorded_progress, memory.recorded_at = state, progress, self._now()
        for attempt in state.attempts:
            memory.attempts[attempt.pod_uid] = _renumbered(attempt, recorded.attempt_numbers)

    async def _tails(self, execution_id: str, state: ExecutionState) -> tuple[Sequence[str], Sequence[str]]:
        """The last lines of the output, and for one that failed those of what it said of that."""
        if not any(attempt.start_time is not None for attempt in state.attempts):
            return (), ()  # nothing ran, nothing was said
        stdout = await self._tail(execution_id, "output")
        if state.status is ExecutionStatus.SUCCESS or stdout.merged:
            return stdout.content, stdout.content
        return stdout.content, (await self._tail(execution_id, "error")).content

    async def _tail(self, execution_id: str, log_type: LogType) -> LogFile:
        return await asyncio.to_thread(
            self._logs.read, execution_id, log_type=log_type, lines=_TAIL_LINES, most_bytes=_TAIL_BYTES
        )

    def _progress_is_due(self, job: JobFacts, progress: Progress | None, memory: _Memory) -> bool:
        """Whether progress alone is a reason to write now; if it is one a little later, the Job is looked at then."""
        if progress == memory.recorded_progress or memory.recorded_at is None:
            return False
        wait = memory.recorded_at + MIN_PERIOD - self._now()
        if wait.total_seconds() > 0:
            self._look_again(job.uid, wait.total_seconds())
            return False
        return True

    def _follow(self, job: JobFacts, execution_id: str, pods: list[PodFacts], memory: _Memory) -> None:
        for pod in pods:
            if pod.start_time is not None and not pod.ended and pod.uid in memory.attempts:
                log = self._log_of(job, execution_id, memory.attempts[pod.uid], memory, pod)
                # A Pod that somebody deletes takes its output with it, soon after its end.
                self._follower.follow(pod.uid, log, node=pod.node_name, urgent=pod.deletion_time is not None)

    async def _complete_earlier_logs(
        self, job: JobFacts, execution_id: str, pods: list[PodFacts], memory: _Memory
    ) -> None:
        """Reads the output of attempts that are over to its end while the execution goes on.

        Who follows the output live gets an attempt's last line before the next attempt's first one.
        """
        present = {pod.uid for pod in pods}
        for pod in pods:
            if pod.ended and pod.start_time is not None and pod.uid in memory.attempts:
                log = self._log_of(job, execution_id, memory.attempts[pod.uid], memory, pod)
                if not log.finished:
                    await self._follower.finish(pod.uid, log, node=pod.node_name)
        for uid, attempt in memory.attempts.items():
            if uid not in present and attempt.start_time is not None and attempt.status.ended:
                self._follower.forget(uid)
                log = self._log_of(job, execution_id, attempt, memory)
                if not log.finished:
                    await log.abandon(_VANISHED)

    async def _complete_logs(self, job: JobFacts, execution_id: str, pods: list[PodFacts], memory: _Memory) -> None:
        for pod in pods:
            if pod.start_time is not None:
                log = self._log_of(job, execution_id, memory.attempts[pod.uid], memory, pod)
                await self._follower.finish(pod.uid, log, node=pod.node_name)
        present = {pod.uid for pod in pods}
        for uid, attempt in memory.attempts.items():
            if uid not in present and attempt.start_time is not None:
                self._follower.forget(uid)
                log = self._log_of(job, execution_id, attempt, memory)
                await log.abandon(_VANISHED)
        unseen = job.succeeded_pods + job.failed_pods - len(memory.attempts.keys() | present)
        if unseen > 0:
            number = max((attempt.number for attempt in memory.attempts.values()), default=0) + 1
            await self._mark_unseen(job, execution_id, number, f"{unseen} Pods were deleted before they were seen")

    async def _mark_unseen(self, job: JobFacts, execution_id: str, attempt: int, reason: str) -> None:
        marker = LogAppend(
            execution_id=execution_id,
            execution_time=_key(job, execution_id).time,
            attempt=attempt,
            stream="stdout",
            from_line=0,
            lines=gap_line(reason).encode() + b"\n",
            line_count=1,
            at=self._now(),
            incomplete_reason=reason,
            complete=True,
        )
        try:
            await asyncio.to_thread(self._logs.append, [marker])
        except CursorMoved:
            return  # it stands there from the last time

    def _log_of(
        self, job: JobFacts, execution_id: str, attempt: Attempt, memory: _Memory, pod: PodFacts | None = None
    ) -> PodLog:
        log = memory.logs.get(attempt.pod_uid)
        if log is None:
            log = memory.logs[attempt.pod_uid] = PodLog(
                self._sources,
                self._logs,
                namespace=job.namespace,
                pod=attempt.pod_name,
                container=job.container,
                execution_id=execution_id,
                execution_time=_key(job, execution_id).time,
                attempt=attempt.number,
                now=self._now,
                redactor=lambda: self._redaction.of(job.uid, attempt.pod_uid),
                pod_uid=attempt.pod_uid,
                host=pod.host if pod is not None else None,
                start_time=attempt.start_time,
                stored=lambda lines: self._printed(job.uid, attempt.pod_uid, lines, memory),
            )
        return log

    def _printed(self, job_uid: str, pod_uid: str, lines: bytes, memory: _Memory) -> None:
        self._metrics.log_stored(len(lines))
        before, said = memory.printed.get(pod_uid), said_in(lines)
        if said is not None and said.over(before) != before:
            memory.printed[pod_uid] = said.over(before)
            self._look_again(job_uid, 0)

    async def _remove_orphans(self, pods: list[PodFacts]) -> None:
        """Removes recorded Pods that `kubectl delete job --cascade=orphan` left without an owner: nobody else does."""
        for pod in pods:
            if not pod.orphaned:
                continue
            try:
                await self._objects.delete(PODS, pod.namespace, pod.name, uid=pod.uid)
            except (KubeNotFound, KubeConflict):
                continue

    async def _release(self, job: JobFacts) -> None:
        body = self._jobs.get(job.uid)
        finalizers = (body or {}).get("metadata", {}).get("finalizers") or []
        if naming.FINALIZER not in finalizers:
            return
        index = finalizers.index(naming.FINALIZER)
        path = f"/metadata/finalizers/{index}"
        annotation = naming.RECORDED_ANNOTATION.replace("/", "~1")
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": job.uid},
            # Fails if somebody else's change moved the list; the next event brings us here again.
            {"op": "test", "path": path, "value": naming.FINALIZER},
            {"op": "add", "path": f"/metadata/annotations/{annotation}", "value": to_rfc3339(self._now())},
            {"op": "remove", "path": path},
        ]
        try:
            async with self._releases:
                stored = await self._objects.patch(JOBS, job.namespace, job.name, patch, kind=PatchKind.JSON)
        except KubeNotFound:
            return
        except (KubeInvalid, KubeConflict):
            if self._jobs.get(job.uid) is not None:
                raise
            return
        if "deletionTimestamp" not in stored["metadata"]:
            self._jobs.remember(stored)

    def _forget(self, uid: str) -> None:
        memory = self._memory.pop(uid, None)
        if memory is not None:
            for pod_uid in memory.attempts:
                self._follower.forget(pod_uid)


def _key(job: JobFacts, execution_id: str) -> ExecutionKey:
    time = naming.execution_time(execution_id)
    assert time is not None  # noqa: S101 - ids are made by naming.execution_id
    kind = ExecutionKind.SCHEDULED if job.tick is not None else ExecutionKind.ADHOC
    return ExecutionKey(job.task_uid, kind, time, job.request_key or "")


def _as_running(state: ExecutionState) -> ExecutionState:
    status = ExecutionStatus.RUNNING if state.start_time is not None else ExecutionStatus.PENDING
    return ExecutionState(
        status=status, admitted_time=state.admitted_time, start_time=state.start_time, attempts=state.attempts
    )


def _renumbered(attempt: Attempt, numbers: Mapping[str, int]) -> Attempt:
    number = numbers.get(attempt.pod_uid)
    return attempt if number is None or number == attempt.number else replace(attempt, number=number)


def _summary_of(pods: list[PodFacts]) -> tuple[str | None, str | None]:
    """(annotation, termination message) of the last Pod."""
    if not pods:
        return None, None
    last = pods[-1]
    return last.output_summary, last.terminated_message if last.exit_code == 0 else None
