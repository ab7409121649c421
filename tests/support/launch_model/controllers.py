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
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 10.0, 600.0
"""How long the Job controller waits before another attempt (job_controller.go, DefaultJobPodFailureBackOff)."""
KILLED_SECONDS = 1.0
"""From a Pod's deletion to its end, for a program that heeds SIGTERM."""
TRACKING = "batch.kubernetes.io/job-tracking"
"""The Job controller's finalizer on each Pod, until it has counted it."""
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
    """Makes the Pods of each Job that may run, one at a time, and finishes the Job; and the kubelet, which lets each
    Pod end after the time that `runs_for` says, with an error in the first `failures` attempts of its Job."""

    def __init__(
        self,
        server: ApiServer,
        now: Callable[[], datetime],
        runs_for: Callable[[Json], float],
        failures: Callable[[Json], int] = lambda _: 0,
    ) -> None:
        self._server = server
        self._now = now
        self._runs_for = runs_for
        self._failures = failures
        self._loop = asyncio.get_running_loop()
        self._ends: dict[str, float] = {}
        self._exit_codes: dict[str, int] = {}
        self._retry_at: dict[str, float] = {}
        """Job uid -> when the next attempt may begin; in memory only, as there."""
        self.quota = False
        """Whether a quota forbids any Pod."""
        self.full = False
        """Whether no node has room for another Pod."""
        server.hooks.append(self._changed)

    def _changed(self, plural: str, by: str, old: Json | None, new: Json | None) -> None:
        if plural == JOBS.plural:
            body = new or old
            assert body is not None
            self._later(0.2, body["metadata"]["namespace"], body["metadata"]["name"])
        elif plural == PODS.plural and new is not None:
            self._later(0.1, new["metadata"]["namespace"], new["metadata"]["ownerReferences"][0]["name"])
            if "deletionTimestamp" in new["metadata"] and new["status"]["phase"] in ("Pending", "Running"):
                self._loop.call_later(KILLED_SECONDS, self._kill, new)

    def _later(self, seconds: float, namespace: str, name: str) -> None:
        self._loop.call_later(seconds, self._sync, namespace, name)

    def _sync(self, namespace: str, name: str) -> None:
        job = self._server.find(JOBS, namespace, name)
        for pod in list(self._server.all(PODS)):
            owner = pod["metadata"]["ownerReferences"][0]
            if owner["name"] != name or pod["metadata"]["namespace"] != namespace:
                continue
            if job is None or owner["uid"] != job["metadata"]["uid"]:
                self._untrack(pod)  # nobody counts it any more
            elif pod["status"]["phase"] in ("Pending", "Running"):
                self._kubelet(pod, namespace, name)
        job = self._server.find(JOBS, namespace, name)
        if job is not None and not _finished(job):
            self._sync_job(job, namespace, name)

    def _sync_job(self, job: Json, namespace: str, name: str) -> None:
        metadata, spec = job["metadata"], job["spec"]
        pods = [pod for pod in self._server.all(PODS) if _owned(pod, metadata["uid"])]
        job = self._count(job, pods)
        status = dict(job.get("status") or {})
        if "deletionTimestamp" in metadata:
            return  # the controller never finishes a Job that is being deleted (tried)
        # podReplacementPolicy Failed: one that is being deleted still holds the place of the next.
        active = [pod for pod in pods if pod["status"]["phase"] in ("Pending", "Running")]
        if spec.get("suspend"):
            self._delete(active)
            if not _held_back(job):
                self._write(job, {**status, "conditions": [self._condition("Suspended")]})
            return
        if status.get("succeeded"):
            self._write(job, {**status, "conditions": [self._condition("Complete")]})
        elif status.get("failed", 0) > spec["backoffLimit"]:
            self._end(job, status, active, "Failed")
        elif "startTime" in status and not _held_back(job) and self._over(status, spec):
            self._end(job, status, active, "DeadlineExceeded")
        elif spec.get("parallelism", 1) == 0:
            self._delete(active)
            if "startTime" not in status or _held_back(job):
                self._tell_begun(namespace, name)
            self._later(1.0, namespace, name)
        elif active:
            if "startTime" in status and not _held_back(job):
                begun = from_rfc3339(status["startTime"])
                over = (begun + timedelta(seconds=spec["activeDeadlineSeconds"]) - self._now()).total_seconds()
                self._later(over + 0.001, namespace, name)
        else:
            wait = self._retry_at.get(metadata["uid"], 0.0) - self._loop.time()
            if wait > 0:
                self._later(wait + 0.001, namespace, name)
                return
            if self.quota:
                self._later(5.0, namespace, name)
            else:
                self._start(job)
            self._loop.call_later(TOLD_SECONDS, self._tell_begun, namespace, name)

    def _count(self, job: Json, pods: list[Json]) -> Json:
        """Each Pod that has ended is counted once: before it is, its finalizer keeps it."""
        status = dict(job.get("status") or {})
        ended = [pod for pod in pods if pod["status"]["phase"] in ("Succeeded", "Failed") and _tracked(pod)]
        if not ended:
            return job
        failed = sum(1 for pod in ended if pod["status"]["phase"] == "Failed")
        status["failed"] = status.get("failed", 0) + failed
        status["succeeded"] = status.get("succeeded", 0) + len(ended) - failed
        status.setdefault("startTime", to_rfc3339(self._now()))
        if failed:
            wait = min(FIRST_RETRY_SECONDS * 2 ** (status["failed"] - 1), LAST_RETRY_SECONDS)
            self._retry_at[job["metadata"]["uid"]] = self._loop.time() + wait
        counted = self._write(job, status)
        for pod in ended:
            self._untrack(pod)
        return counted

    def _over(self, status: Json, spec: Json) -> bool:
        return self._now() >= from_rfc3339(status["startTime"]) + timedelta(seconds=spec["activeDeadlineSeconds"])

    def _end(self, job: Json, status: Json, active: list[Json], why: str) -> None:
        """Its Pods go first; what they come to is not counted, as after the condition `FailureTarget`."""
        self._delete(active)
        if not active:
            condition = {**self._condition("Failed"), "reason": why if why != "Failed" else "BackoffLimitExceeded"}
            self._write(job, {**status, "conditions": [condition]})

    def _delete(self, pods: list[Json]) -> None:
        for pod in pods:
            if "deletionTimestamp" not in pod["metadata"]:
                self._server.delete(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"], by="job controller")

    def _untrack(self, pod: Json) -> None:
        current = self._server.find(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])
        if current is None or current["metadata"]["uid"] != pod["metadata"]["uid"] or not _tracked(current):
            return
        finalizers = [name for name in current["metadata"]["finalizers"] if name != TRACKING]
        where = (PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])
        self._server.patch(*where, {"metadata": {"finalizers": finalizers or None}}, by="job controller")

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
        if "deletionTimestamp" in pod["metadata"]:
            return
        uid = pod["metadata"]["uid"]
        if pod["status"]["phase"] == "Pending":
            if self.full:
                self._later(5.0, namespace, job_name)
            else:
                self._ends[uid] += self._loop.time()
                self._patch_pod(pod, self._running())
            return
        deadline = from_rfc3339(pod["status"]["startTime"]) + timedelta(seconds=pod["spec"]["activeDeadlineSeconds"])
        over = self._now() >= deadline
        if over:
            self._patch_pod(pod, {"reason": "DeadlineExceeded", **self._terminated(pod, 143)})
        elif self._loop.time() >= self._ends[uid]:
            self._patch_pod(pod, self._terminated(pod, self._exit_codes[uid]))
        else:
            wait = min(self._ends[uid] - self._loop.time(), max(0.1, (deadline - self._now()).total_seconds()))
            self._later(wait + 0.001, namespace, job_name)

    def _kill(self, pod: Json) -> None:
        """What is left of its grace period is over. One that no node has is ended by the garbage collection of Pods."""
        current = self._server.find(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])
        same = current is not None and current["metadata"]["uid"] == pod["metadata"]["uid"]
        if current is not None and same and current["status"]["phase"] in ("Pending", "Running"):
            self._patch_pod(current, self._terminated(current, 143))

    def _terminated(self, pod: Json, exit_code: int) -> Json:
        phase = "Failed" if exit_code else "Succeeded"
        started = pod["status"].get("startTime")
        if started is None:
            return {"phase": phase}
        ended = {"exitCode": exit_code, "startedAt": started, "finishedAt": to_rfc3339(self._now())}
        return {"phase": phase, "containerStatuses": [{"name": "task", "state": {"terminated": ended}}]}

    def _running(self) -> Json:
        stamp = to_rfc3339(self._now())
        running = [{"name": "task", "state": {"running": {"startedAt": stamp}}}]
        return {"phase": "Running", "startTime": stamp, "containerStatuses": running}

    def _patch_pod(self, pod: Json, status: Json) -> None:
        where = (PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])
        self._server.patch(*where, {"status": {**pod["status"], **status}}, by="kubelet")

    def _start(self, job: Json) -> None:
        metadata = job["metadata"]
        failed = (job.get("status") or {}).get("failed", 0)
        body = {
            "metadata": {
                "name": f"{metadata['name']}-{self._server.version}",  # another one for each attempt
                "labels": {**metadata["labels"], "batch.kubernetes.io/controller-uid": metadata["uid"]},
                "finalizers": [TRACKING],
                "ownerReferences": [
                    {"kind": "Job", "name": metadata["name"], "uid": metadata["uid"], "controller": True}
                ],
            },
            "spec": {"activeDeadlineSeconds": job["spec"]["template"]["spec"]["activeDeadlineSeconds"]},
            "status": {"phase": "Pending"} if self.full else self._running(),
        }
        pod = self._server.create(PODS, metadata["namespace"], body, by="job controller")
        begun = 0.0 if self.full else self._loop.time()
        self._ends[pod["metadata"]["uid"]] = begun + self._runs_for(job)
        self._exit_codes[pod["metadata"]["uid"]] = int(failed < self._failures(job))

    def _condition(self, type_: str) -> Json:
        reasons = {"Complete": "CompletionsReached", "Failed": "BackoffLimitExceeded", "Suspended": "JobSuspended"}
        reason = reasons[type_]
        time = to_rfc3339(self._now())
        return {"type": type_, "status": "True", "reason": reason, "message": reason, "lastTransitionTime": time}

    def _write(self, job: Json, status: Json) -> Json:
        where = (JOBS, job["metadata"]["namespace"], job["metadata"]["name"])
        return self._server.patch(*where, {"status": status}, by="job controller", subresource="status")


def _owned(body: Json, uid: str) -> bool:
    return any(owner["uid"] == uid for owner in body["metadata"].get("ownerReferences") or ())


def _tracked(pod: Json) -> bool:
    return TRACKING in (pod["metadata"].get("finalizers") or ())


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
