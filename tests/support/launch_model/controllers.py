"""The CronJob controller, the Job controller and a kubelet, as they behave on Kubernetes 1.35 (tried; the facts with
their sources stand in the module's comments). Models to end the operator beside; the real ones are met end to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from cronwright_core.domain import naming
from cronwright_core.domain.cron import next_tick, parse_cron
from cronwright_core.domain.missed_ticks import cron_ticks_between
from cronwright_core.domain.times import from_rfc3339, to_rfc3339
from cronwright_core.domain.timezones import load_zone
from cronwright_core.kube.errors import KubeAlreadyExists, KubeConflict, KubeNotFound
from cronwright_core.kube.ports import Json
from cronwright_core.kube.resources import CRON_JOBS, JOBS, PODS
from support.launch_model.api_server import ApiServer

TOLD_SECONDS = 0.3
"""From a Job's Pod, or the failure to make it, until the Job's status tells that it has begun: the Job controller
writes it at the end of the same sync (job_controller.go, syncJob), through a client that is limited."""
LATE_SECONDS = 0.1
"""The controller fires so long after the tick (it adds 100 ms against clock skew)."""
_FIRST_BACKOFF, _MAX_BACKOFF = 0.2, 100.0


class CronJobController:
    """One worker over all CronJobs. `slow_seconds`: how long a sync takes between its look and its writes."""

    def __init__(self, server: ApiServer, now: Callable[[], datetime]) -> None:
        self._server = server
        self._now = now
        self._due: dict[tuple[str, str], float] = {}
        self._failures: dict[tuple[str, str], int] = {}
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.slow_seconds = 0.01
        server.hooks.append(self._changed)

    def _changed(self, plural: str, by: str, old: Json | None, new: Json | None) -> None:
        body = new or old
        assert body is not None
        if plural == CRON_JOBS.plural:
            self._look(body["metadata"]["namespace"], body["metadata"]["name"], 0.05)
        elif plural == JOBS.plural:
            for owner in body["metadata"].get("ownerReferences") or ():
                if owner["kind"] == "CronJob":
                    self._look(body["metadata"]["namespace"], owner["name"], 0.05)

    def _look(self, namespace: str, name: str, seconds: float) -> None:
        key, due = (namespace, name), self._loop.time() + seconds
        if due < self._due.get(key, float("inf")):
            self._due[key] = due
            self._wake.set()

    async def run(self) -> None:
        for body in self._server.all(CRON_JOBS):
            self._look(body["metadata"]["namespace"], body["metadata"]["name"], 0.0)
        while True:
            key = min(self._due, key=lambda key: (self._due[key], key), default=None)
            pause = None if key is None else self._due[key] - self._loop.time()
            if key is None or pause is None or pause > 0:
                self._wake.clear()
                try:
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
                except TimeoutError:
                    pass
                continue
            del self._due[key]
            try:
                again = await self._sync(*key)
                self._failures.pop(key, None)
            except (KubeConflict, KubeNotFound):
                failures = self._failures[key] = self._failures.get(key, 0) + 1
                again = min(_FIRST_BACKOFF * 2**failures, _MAX_BACKOFF)
            if again is not None:
                self._look(*key, again)

    async def _sync(self, namespace: str, name: str) -> float | None:
        """cronjob_controllerv2.go syncCronJob: returns the seconds until the next look."""
        cronjob = self._server.find(CRON_JOBS, namespace, name)
        if cronjob is None:
            return None
        await asyncio.sleep(self.slow_seconds)
        metadata, spec, status = cronjob["metadata"], cronjob["spec"], dict(cronjob.get("status") or {})
        jobs = {body["metadata"]["uid"]: body for body in self._server.all(JOBS) if _owned(body, metadata["uid"])}
        active = [
            item for item in status.get("active") or () if item["uid"] in jobs and not _finished(jobs[item["uid"]])
        ]
        status["active"] = active
        if "deletionTimestamp" in metadata or spec.get("suspend"):
            self._update(cronjob, status)
            return None
        expression, zone = parse_cron(spec["schedule"]), load_zone(spec["timeZone"])
        last = status.get("lastScheduleTime")
        base = from_rfc3339(last or metadata["creationTimestamp"])
        now = self._now()
        missed = cron_ticks_between(expression, spec["timeZone"], base=base, until=now, limit=1).newest
        following = next_tick(expression, max(now, base), zone)
        again = None if following is None else (following - now).total_seconds() + LATE_SECONDS
        if not missed or (spec["concurrencyPolicy"] == "Forbid" and active):
            self._update(cronjob, status)
            return again
        tick = missed[-1]
        body = _job_of(cronjob, tick)
        if any(item["name"] == body["metadata"]["name"] for item in active):
            self._update(cronjob, status)
            return again
        try:
            job = self._server.create(JOBS, namespace, body, by="controller")
        except KubeAlreadyExists:
            # It looks the Job up without a namespace and never finds it (tried): an error until the tick is covered.
            raise KubeNotFound(404, "NotFound", "the server could not find the requested resource") from None
        await asyncio.sleep(self.slow_seconds)
        status["active"] = [*active, {"name": job["metadata"]["name"], "uid": job["metadata"]["uid"]}]
        status["lastScheduleTime"] = to_rfc3339(tick)
        self._update(cronjob, status)
        return again

    def _update(self, cronjob: Json, status: Json) -> None:
        if status == {"active": [], **(cronjob.get("status") or {})}:
            return
        metadata = {"resourceVersion": cronjob["metadata"]["resourceVersion"]}
        where = (CRON_JOBS, cronjob["metadata"]["namespace"], cronjob["metadata"]["name"])
        self._server.patch(*where, {"metadata": metadata, "status": status}, by="controller", subresource="status")


class JobController:
    """Makes the one Pod of each Job that may run, lets it end after the time that `runs_for` says, finishes the Job."""

    def __init__(self, server: ApiServer, now: Callable[[], datetime], runs_for: Callable[[Json], float]) -> None:
        self._server = server
        self._now = now
        self._runs_for = runs_for
        self._loop = asyncio.get_running_loop()
        self._ends: dict[str, float] = {}
        self.quota = False
        """Whether a quota forbids any Pod."""
        server.hooks.append(self._changed)

    def _changed(self, plural: str, by: str, old: Json | None, new: Json | None) -> None:
        if plural == JOBS.plural and new is not None:
            self._later(0.2, new["metadata"]["namespace"], new["metadata"]["name"])
        elif plural == PODS.plural and (new or old) is not None:
            body = new or old
            assert body is not None
            self._later(0.1, body["metadata"]["namespace"], body["metadata"]["ownerReferences"][0]["name"])

    def _later(self, seconds: float, namespace: str, name: str) -> None:
        self._loop.call_later(seconds, self._sync, namespace, name)

    def _sync(self, namespace: str, name: str) -> None:
        job = self._server.find(JOBS, namespace, name)
        if job is None or _finished(job):
            return
        metadata, spec = job["metadata"], job["spec"]
        pod = next((pod for pod in self._server.all(PODS) if _owned(pod, metadata["uid"])), None)
        if pod is not None and pod["status"]["phase"] == "Running":
            self._kubelet(pod, namespace, name)
            return
        if "deletionTimestamp" in metadata:
            return  # the controller never finishes a Job that is being deleted (tried)
        status = dict(job.get("status") or {})
        if spec.get("suspend"):
            if not _held_back(job):
                self._write(job, {**status, "conditions": [self._condition("Suspended")]})
            return
        if pod is None and spec.get("parallelism", 1) > 0:
            if self.quota:
                self._later(5.0, namespace, name)
            else:
                self._start(job)
            self._loop.call_later(TOLD_SECONDS, self._tell_begun, namespace, name)
            return
        status.setdefault("startTime", to_rfc3339(self._now()))
        if pod is not None:
            succeeded = pod["status"]["phase"] == "Succeeded"
            status |= {"succeeded": int(succeeded), "failed": int(not succeeded)}
            status["conditions"] = [self._condition("Complete" if succeeded else "Failed")]
        elif self._loop.time() >= self._ends.setdefault(metadata["uid"], self._loop.time() + 1.0):
            status["conditions"] = [self._condition("Failed")]
        else:
            self._later(1.0, namespace, name)
        self._write(job, status)

    def _tell_begun(self, namespace: str, name: str) -> None:
        job = self._server.find(JOBS, namespace, name)
        if job is None or _finished(job) or job["spec"].get("suspend"):
            return
        status = dict(job.get("status") or {})
        if _held_back(job):
            status["conditions"] = [{**self._condition("Suspended"), "status": "False", "reason": "JobResumed"}]
        elif "startTime" in status:
            return
        self._write(job, {**status, "startTime": to_rfc3339(self._now())})

    def _kubelet(self, pod: Json, namespace: str, job_name: str) -> None:
        uid = pod["metadata"]["uid"]
        deadline = from_rfc3339(pod["status"]["startTime"]) + timedelta(seconds=pod["spec"]["activeDeadlineSeconds"])
        over = self._now() >= deadline
        if over or self._loop.time() >= self._ends[uid]:
            phase: Json = {"phase": "Failed", "reason": "DeadlineExceeded"} if over else {"phase": "Succeeded"}
            started = pod["status"]["startTime"]
            ended = {"exitCode": 143 if over else 0, "startedAt": started, "finishedAt": to_rfc3339(self._now())}
            status = {**pod["status"], **phase, "containerStatuses": [{"name": "task", "state": {"terminated": ended}}]}
            where = (PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])
            self._server.patch(*where, {"status": status}, by="kubelet")
            return
        wait = min(self._ends[uid] - self._loop.time(), max(0.1, (deadline - self._now()).total_seconds()))
        self._later(wait + 0.001, namespace, job_name)

    def _start(self, job: Json) -> None:
        metadata, stamp = job["metadata"], to_rfc3339(self._now())
        body = {
            "metadata": {
                "name": f"{metadata['name']}-pod",
                "labels": {**metadata["labels"], "batch.kubernetes.io/controller-uid": metadata["uid"]},
                "ownerReferences": [
                    {"kind": "Job", "name": metadata["name"], "uid": metadata["uid"], "controller": True}
                ],
            },
            "spec": {"activeDeadlineSeconds": job["spec"]["template"]["spec"]["activeDeadlineSeconds"]},
            "status": {
                "phase": "Running",
                "startTime": stamp,
                "containerStatuses": [{"name": "task", "state": {"running": {"startedAt": stamp}}}],
            },
        }
        try:
            pod = self._server.create(PODS, metadata["namespace"], body, by="job controller")
        except KubeAlreadyExists:
            self._later(0.5, metadata["namespace"], metadata["name"])
            return
        self._ends[pod["metadata"]["uid"]] = self._loop.time() + self._runs_for(job)

    def _condition(self, type_: str) -> Json:
        reasons = {"Complete": "CompletionsReached", "Failed": "BackoffLimitExceeded", "Suspended": "JobSuspended"}
        reason = reasons[type_]
        time = to_rfc3339(self._now())
        return {"type": type_, "status": "True", "reason": reason, "message": reason, "lastTransitionTime": time}

    def _write(self, job: Json, status: Json) -> None:
        where = (JOBS, job["metadata"]["namespace"], job["metadata"]["name"])
        self._server.patch(*where, {"status": status}, by="job controller", subresource="status")


def _owned(body: Json, uid: str) -> bool:
    return any(owner["uid"] == uid for owner in body["metadata"].get("ownerReferences") or ())


def _finished(job: Json) -> bool:
    return bool(_conditions(job) & {"Complete", "Failed"})


def _held_back(job: Json) -> bool:
    return "Suspended" in _conditions(job)


def _conditions(job: Json) -> set[str]:
    return {item["type"] for item in (job.get("status") or {}).get("conditions") or () if item["status"] == "True"}


def _job_of(cronjob: Json, tick: datetime) -> dict[str, Any]:
    template, metadata = cronjob["spec"]["jobTemplate"], cronjob["metadata"]
    annotations = {**template["metadata"].get("annotations", {}), naming.CRONJOB_TICK_ANNOTATION: to_rfc3339(tick)}
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "metadata": {
            "name": f"{metadata['name']}-{int(tick.timestamp()) // 60}",
            "labels": template["metadata"]["labels"],
            "annotations": annotations,
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
        },
        "spec": template["spec"],
    }
