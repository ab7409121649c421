"""PostgreSQL as far as launching meets it: a row per execution, written twice without harm; and a recorder of ends.

The recorder keeps the order of `recording.recorder`: the end is committed, then the finalizer goes. The real one, with
logs and attempts, is tried against a real PostgreSQL in tests/integration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import JobFacts, PodFacts
from cronwright_core.domain.errors import Unavailable
from cronwright_core.domain.execution import Execution, ExecutionStatus, execution_state, with_deletion
from cronwright_core.domain.ticks import TOO_LATE
from cronwright_core.domain.times import to_rfc3339
from cronwright_core.kube.errors import KubeConflict, KubeInvalid, KubeNotFound
from cronwright_core.kube.ports import Json, PatchKind
from cronwright_core.kube.reflector import Reflector
from cronwright_core.kube.resources import JOBS
from cronwright_core.kube.workloads import to_job
from cronwright_core.store.errors import unavailable
from cronwright_operator.reconciling.observed import execution_id_of
from support.launch_model.link import Link


@dataclass(frozen=True)
class Row:
    """What the history says of an execution. `job_uid` is None for a tick or a request that never had a Job; `request`
    is such a request's (task uid, key)."""

    status: str
    reason: str | None
    message: str | None
    job_uid: str | None
    request: tuple[str, str] | None = None


@dataclass
class Database:
    """Outlives operators. The first end of an execution stays, as in `store.merging`; `contradictions` are those that
    had a Job although the history had said already that they did not run."""

    away: bool = False
    rows: dict[str, Row] = field(default_factory=dict)
    contradictions: list[str] = field(default_factory=list)
    came_late: set[str] = field(default_factory=set)
    """Uids of Jobs whose creation arrived long after it was asked for: what they were made for may have been decided
    otherwise meanwhile, and nothing could hold them back (docs/crash-points.md, "What is left")."""

    from_old_looks: set[str] = field(default_factory=set)
    """Uids of Jobs that the CronJob controller made although the tick was taken from it since it had looked."""

    def is_excused(self, job_uid: str, row: Row) -> bool:
        """Whether nobody could know of the Job when the row was written (docs/crash-points.md, "What is left")."""
        taken = row.reason in ("AlreadyRunning", "QueueFull", TOO_LATE)
        return job_uid in self.came_late or (taken and job_uid in self.from_old_looks)

    def store(self, execution_id: str, row: Row) -> None:
        if self.away:
            raise unavailable("it does not answer")
        first = self.rows.setdefault(execution_id, row)
        if first.job_uid is None and row.job_uid is not None and not self.is_excused(row.job_uid, first):
            self.contradictions.append(f"{execution_id} is {row.status}, and the history says {first.reason}")

    async def status_of(self, execution_id: str) -> ExecutionStatus | None:
        if self.away:
            raise unavailable("it does not answer")
        row = self.rows.get(execution_id)
        return ExecutionStatus(row.status) if row is not None else None


class SkipBatcher:
    """Stands for `RecordBatcher` where ticks are skipped."""

    def __init__(self, database: Database, link: Link) -> None:
        self._database = database
        self._link = link

    @property
    def away(self) -> bool:
        return self._database.away

    async def record_soon(self, executions: Sequence[Execution], *, seconds: float = 2.0) -> None:
        def act() -> None:
            for execution in executions:
                state = execution.state
                row = Row(state.status.value, state.reason, state.message, None)
                self._database.store(execution.execution_id, row)

        await self._link.commit(act, "skipped ticks' rows")


class EndRecorder:
    """`sync(uid)` for the queue of Jobs."""

    def __init__(
        self,
        link: Link,
        database: Database,
        jobs: Reflector,
        pods_of: Callable[[str], Iterable[PodFacts]],
        now: Callable[[], datetime],
        wake_task: Callable[[str], None],
        hold_for: Callable[[JobFacts], timedelta | None],
        look_again: Callable[[str, float], None],
    ) -> None:
        self._link = link
        self._database = database
        self._jobs = jobs
        self._pods_of = pods_of
        self._now = now
        self._wake_task = wake_task
        self._hold_for = hold_for
        self._look_again = look_again

    async def sync(self, uid: str) -> None:
        body = self._jobs.get(uid)
        job = to_job(body) if body is not None else None
        id_ = execution_id_of(job) if job is not None else None
        if job is None or body is None or id_ is None or not job.has_finalizer:
            return
        pods = tuple(self._pods_of(uid))
        state = execution_state(with_deletion(job, task_gone=False), pods)
        if not state.status.ended or (job.finished and not all(pod.ended for pod in pods)):
            return
        row = Row(state.status.value, state.reason, state.message, uid)
        await self._link.commit(lambda: self._database.store(id_, row), "record's commit")
        hold = self._hold_for(job)
        if hold is not None:
            self._look_again(uid, hold.total_seconds())
            return
        await self._release(body)
        self._wake_task(job.task_uid)

    async def _release(self, body: Json) -> None:
        metadata = body["metadata"]
        path = f"/metadata/finalizers/{metadata['finalizers'].index(naming.FINALIZER)}"
        annotation = naming.RECORDED_ANNOTATION.replace("/", "~1")
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
            {"op": "test", "path": path, "value": naming.FINALIZER},
            {"op": "add", "path": f"/metadata/annotations/{annotation}", "value": to_rfc3339(self._now())},
            {"op": "remove", "path": path},
        ]
        try:
            stored = await self._link.patch(JOBS, metadata["namespace"], metadata["name"], patch, kind=PatchKind.JSON)
        except (KubeNotFound, KubeInvalid, KubeConflict):
            return
        if "deletionTimestamp" not in stored["metadata"]:
            self._jobs.remember(stored)


TROUBLE = (Unavailable,)
