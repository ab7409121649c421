"""Carries out requests to clean workspaces: one cleaning Job at a time for each Project, what it did into the record.

Level-triggered, as everything here: the request stands on the Project until its end is recorded, the Job's own spec
says what it was given, its Pod says what it did, and both stay until that is committed. The table of crashes:

    after the request's row       the row is found by its key
    after the Job's create        the Job is found by its name; its report is credited to the request it names
    after the report's commit     the Job's uid stands in the row, so that nothing is counted twice; the Job is deleted
    after the request's end       the row says so; the annotation is taken off
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import JobFacts, PodFacts
from cronwright_core.domain.project import Project
from cronwright_core.domain.workspaces import BadRequest, CleanupRequest, parse_request
from cronwright_core.kube.errors import KubeAlreadyExists, KubeForbidden, KubeInvalid, KubeNotFound
from cronwright_core.kube.ports import Json, ListWatchClient, ObjectClient
from cronwright_core.kube.resources import JOBS, PODS, PROJECTS
from cronwright_core.kube.workloads import to_job
from cronwright_core.store.records.workspaces import WorkspaceCleanup, WorkspaceDirectory
from cronwright_core.store.workspaces import WorkspaceStore
from cronwright_operator.cache import DefinitionCache
from cronwright_operator.workspaces import job as cleaning_job
from cronwright_operator.workspaces.job import CleanerImage

logger = logging.getLogger(__name__)

BATCH = 1000
"""Directories a Job is given; their names stand in its arguments."""
POLL_SECONDS = 1.0
KEEP_FIGURES = timedelta(days=30)


class WorkspaceCleaning:
    """`sync(project uid)` for a queue of Projects, which keeps two from working on the same one."""

    def __init__(
        self,
        *,
        client: ObjectClient,
        lists: ListWatchClient,
        cache: DefinitionCache,
        jobs: Callable[[], Iterable[Json]],
        pods_of: Callable[[str], Iterable[PodFacts]],
        store: WorkspaceStore,
        image: CleanerImage,
        look_again: Callable[[str, float], None],
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._lists = lists
        self._cache = cache
        self._jobs = jobs
        self._pods_of = pods_of
        self._store = store
        self._image = image
        self._look_again = look_again
        self._now = now
        self._scheduled: dict[str, CleanupRequest] = {}

    async def schedule(self, max_age: timedelta) -> None:
        """Asks for a cleaning of every Project that has something old enough. Raises Unavailable."""
        now = self._now()
        await asyncio.to_thread(self._store.forget_before, now - KEEP_FIGURES)
        for project in await asyncio.to_thread(self._store.projects_to_clean, now - max_age):
            id_ = f"schedule-{int(now.timestamp())}"
            self._scheduled.setdefault(project.cr_uid, CleanupRequest(id_, "schedule", now, now - max_age))
            self._look_again(project.cr_uid, 0)

    async def sync(self, uid: str) -> None:
        """Carries the Project's requests on by one step.

        Raises:
            KubeError, Unavailable: to be tried again; what was done is found.
        """
        project = self._cache.project_by_uid(uid)
        if project is None or project.deleting:
            self._scheduled.pop(uid, None)
            return
        if project.project_id is None:
            if project.cleanups:
                self._look_again(uid, POLL_SECONDS)
            return
        for annotation in project.cleanups:
            try:
                request = parse_request(annotation.key, annotation.value, self._now())
            except BadRequest as error:
                logger.warning("Project %s/%s: cleanup %s: %s", project.namespace, project.name, annotation.key, error)
                await self._take_off(project, annotation.key)
                continue
            if not await self._carry_on(project, project.project_id, request):
                self._look_again(uid, POLL_SECONDS)
                return
            await self._take_off(project, annotation.key)
        scheduled = self._scheduled.get(uid)
        if scheduled is not None:
            if await self._carry_on(project, project.project_id, scheduled):
                del self._scheduled[uid]
            else:
                self._look_again(uid, POLL_SECONDS)

    async def _carry_on(self, project: Project, project_id: int, request: CleanupRequest) -> bool:
        """One step of a request; whether it is at its end."""
        row = await asyncio.to_thread(
            self._store.begin,
            request.id,
            project_id,
            requested_by=request.requested_by,
            requested_at=request.requested_at,
            cutoff=request.cutoff,
        )
        if row.finished_at is not None:
            return True
        job = await self._find_job(project)
        if job is not None and not cleaning_job.is_ours(job, project):
            await self._finish(request, project_id, f"a Job {cleaning_job.job_name(project)} of somebody else is there")
            return True
        if job is not None:
            if cleaning_job.is_finished(job):
                await self._conclude(project, project_id, job)
            return False
        # What could not be removed now cannot be removed a second later either: it is left, and the rest goes on.
        directories = await self._directories(project, row)
        if not directories:
            await self._finish(request, project_id, None)
            return True
        body = cleaning_job.build_job(project, directories[0].claim, directories, request.id, self._image)
        try:
            await self._client.create(JOBS, project.namespace, body)
        except KubeAlreadyExists:
            pass
        except (KubeInvalid, KubeForbidden) as error:
            # A quota or an admission rule of the namespace: to be mended by people, not by asking again.
            await self._finish(request, project_id, f"the cleaning Job was refused: {error.message}"[:500])
            return True
        return False

    async def _directories(self, project: Project, cleanup: WorkspaceCleanup) -> list[WorkspaceDirectory]:
        """The next batch of one volume, without any that a Job of the cluster may still use.

        The record says that these executions have ended; that is looked at in the cluster too, since what is removed
        does not come back.
        """
        workspace = project.spec.workspace
        found = await asyncio.to_thread(
            self._store.directories,
            cleanup.project_id,
            project.namespace,
            cleanup,
            claim=workspace.claim_name if workspace is not None else None,
            limit=BATCH,
        )
        busy = {(job.namespace, job.name) for job in map(to_job, self._jobs()) if self._may_run(job)}
        usable = [directory for directory in found if (directory.namespace, directory.name) not in busy]
        return [directory for directory in usable if directory.claim == usable[0].claim]

    def _may_run(self, job: JobFacts) -> bool:
        return not job.finished or any(not pod.ended for pod in self._pods_of(job.uid))

    async def _find_job(self, project: Project) -> Json | None:
        try:
            return await self._client.get(JOBS, project.namespace, cleaning_job.job_name(project))
        except KubeNotFound:
            return None

    async def _conclude(self, project: Project, project_id: int, job: Json) -> None:
        """Takes a finished Job's report into the record and removes the Job, in this order."""
        metadata = job["metadata"]
        request_id = (metadata.get("annotations") or {}).get(cleaning_job.REQUEST_ANNOTATION)
        selector = f"batch.kubernetes.io/controller-uid={metadata['uid']}"
        pods = (await self._lists.list(PODS, project.namespace, label_selector=selector)).items
        report = next(filter(None, map(cleaning_job.read_report, pods)), None)
        names = cleaning_job.names_of(job)
        if request_id is not None:
            problem = cleaning_job.failure_of(job) if report is None else "; ".join(report.problems) or None
            await asyncio.to_thread(
                self._store.add_report,
                request_id,
                project_id,
                job_uid=metadata["uid"],
                namespace=project.namespace,
                claim=cleaning_job.claim_of(job),
                gone=cleaning_job.settled(names, report) if report is not None else [],
                # Without a report the volume could not be had: nothing else in it can be removed now.
                left=cleaning_job.left(names, report) if report is not None else None,
                removed=report.removed if report is not None else 0,
                freed=report.freed if report is not None else 0,
                failed=report.failed if report is not None else 0,
                oldest=report.oldest if report is not None else None,
                problem=problem,
                now=self._now(),
            )
        try:
            await self._client.delete(JOBS, project.namespace, metadata["name"], uid=metadata["uid"])
        except KubeNotFound:
            return

    async def _finish(self, request: CleanupRequest, project_id: int, problem: str | None) -> None:
        await asyncio.to_thread(self._store.finish, request.id, project_id, problem=problem, now=self._now())

    async def _take_off(self, project: Project, key: str) -> None:
        patch = {"metadata": {"uid": project.uid, "annotations": {naming.CLEANUP_PREFIX + key: None}}}
        try:
            self._cache.put_project(await self._client.patch(PROJECTS, project.namespace, project.name, patch))
        except KubeNotFound:
            return
