"""A Job controller and a kubelet as far as stopping meets them (k8s-facts: tried on 1.35); not a stand-in for the real
ones, which the end-to-end tests use, but a way to end the operator at every single write."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import PodFacts
from cronwright_core.domain.times import from_rfc3339, to_rfc3339
from cronwright_core.kube.ports import Json, Listing, PatchKind, WatchEvent
from cronwright_core.kube.resources import JOBS, PODS, Resource
from cronwright_core.kube.workloads import to_pod
from support.fake_objects import FakeObjects

RETRY_DELAY = timedelta(seconds=10)


class Died(Exception):
    """The operator ends here."""


class Cluster(FakeObjects):
    """One namespace with one Job. `dies_at` counts writes; `done` says whether the last one still arrives."""

    def __init__(self, now: datetime) -> None:
        super().__init__(now, namespaces=("team-a",))
        self.dies_at: int | None = None
        self.arrives = True
        self.writes = 0
        self.between: dict[str, Any] | None = None
        """A patch of the Job by somebody else, just after its Pods have been listed."""
        self.lost: list[str] = []
        """Pods that the controller deleted while they ran: output that is gone."""

    async def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        subresource: str | None = None,
        kind: PatchKind = PatchKind.MERGE,
    ) -> Json:
        self._die(before=True)
        body = await super().patch(resource, namespace, name, patch, subresource=subresource, kind=kind)
        self._die(before=False)
        return body

    async def list(
        self, resource: Resource, namespace: str | None, *, label_selector: str = "", field_selector: str = ""
    ) -> Listing:
        change, self.between = self.between, None
        if change is not None:
            await super().patch(JOBS, "team-a", self.job["metadata"]["name"], change)
        return Listing([body for (plural, _, _), body in self.objects.items() if plural == resource.plural], "1")

    def watch(
        self, resource: Resource, namespace: str | None, *, resource_version: str, **_: Any
    ) -> AsyncIterator[Sequence[WatchEvent]]:
        raise NotImplementedError

    @property
    def job(self) -> Json:
        return self.only(JOBS)

    @property
    def pods(self) -> list[Json]:
        return [body for (plural, _, _), body in self.objects.items() if plural == PODS.plural]

    def facts(self) -> list[PodFacts]:
        return [to_pod(body) for body in self.pods]

    def finished(self) -> str | None:
        """The reason of the Job's last condition, None while there is none."""
        conditions = self.job.get("status", {}).get("conditions", [])
        return conditions[-1]["reason"] if conditions else None

    async def step(self, seconds: int) -> None:
        """Time passes; kubelet and controller do what they would."""
        for _ in range(seconds):
            self.now += timedelta(seconds=1)
            for pod in self.pods:
                self._kubelet(pod)
            await self._controller()

    def _die(self, *, before: bool) -> None:
        if before:
            self.writes += 1
        if self.writes == self.dies_at and before is not self.arrives:
            self.dies_at = None
            raise Died

    def _kubelet(self, pod: Json) -> None:
        deadline = pod["spec"]["activeDeadlineSeconds"]
        running = pod["status"]["phase"] == "Running"
        if running and self.now >= from_rfc3339(pod["status"]["startTime"]) + timedelta(seconds=deadline):
            self.end(pod, code=143, reason="DeadlineExceeded")

    def end(self, pod: Json, *, code: int, reason: str | None = None) -> None:
        """The program ends."""
        started = pod["status"]["startTime"]
        terminated = {"exitCode": code, "startedAt": started, "finishedAt": to_rfc3339(self.now)}
        pod["status"] |= {"phase": "Succeeded" if code == 0 else "Failed", "reason": reason}
        pod["status"]["containerStatuses"] = [{"name": "task", "state": {"terminated": terminated}}]
        self._touch(pod)

    async def _controller(self) -> None:
        job, spec = self.job, self.job["spec"]
        status = job.setdefault("status", {})
        if self.finished() is not None or spec.get("suspend") or "deletionTimestamp" in job["metadata"]:
            return
        before = str(status)
        status.setdefault("startTime", to_rfc3339(self.now))
        phases = [pod["status"]["phase"] for pod in self.pods]
        status["failed"] = phases.count("Failed")
        over = self.now >= from_rfc3339(status["startTime"]) + timedelta(seconds=spec["activeDeadlineSeconds"])
        if "Succeeded" in phases:
            self._condition("Complete", "CompletionsReached")
        elif status["failed"] > spec["backoffLimit"] or over:
            for pod in self.pods:
                if pod["status"]["phase"] == "Running":
                    self.lost.append(pod["metadata"]["name"])
                    del self.objects[(PODS.plural, "team-a", pod["metadata"]["name"])]
            self._condition("Failed", "DeadlineExceeded" if over else "BackoffLimitExceeded")
        elif "Running" not in phases and spec.get("parallelism", 1) > 0 and self._backed_off():
            await self.create(PODS, "team-a", self._pod(len(phases) + 1))
        if str(status) != before:
            self._touch(job)

    def _backed_off(self) -> bool:
        ends = [pod.end_time for pod in self.facts() if pod.end_time is not None]
        return not ends or self.now >= max(ends) + RETRY_DELAY

    def _condition(self, type_: str, reason: str) -> None:
        self.job["status"]["conditions"] = [
            {
                "type": type_,
                "status": "True",
                "reason": reason,
                "message": reason,
                "lastTransitionTime": to_rfc3339(self.now),
            }
        ]

    def _touch(self, body: Json) -> None:
        body["metadata"]["resourceVersion"] = str(int(body["metadata"]["resourceVersion"]) + 1)

    def _pod(self, number: int) -> Json:
        stamp = to_rfc3339(self.now)
        return {
            "metadata": {
                "name": f"pod-{number}",
                "labels": {naming.MANAGED_BY_LABEL: naming.MANAGED_BY},
                "ownerReferences": [{"kind": "Job", "uid": self.job["metadata"]["uid"], "controller": True}],
            },
            "spec": {"activeDeadlineSeconds": self.job["spec"]["template"]["spec"]["activeDeadlineSeconds"]},
            "status": {
                "phase": "Running",
                "startTime": stamp,
                "containerStatuses": [{"name": "task", "state": {"running": {"startedAt": stamp}}}],
            },
        }
