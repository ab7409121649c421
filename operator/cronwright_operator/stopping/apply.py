"""Carries out what was decided about the end of a Job. Repeating any step is harmless."""

from __future__ import annotations

import logging
from typing import Any

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import PodFacts
from cronwright_core.kube.errors import KubeConflict, KubeInvalid, KubeNotFound, is_another_object
from cronwright_core.kube.ports import ObjectClient
from cronwright_core.kube.reflector import Reflector
from cronwright_core.kube.resources import JOBS, PODS
from cronwright_core.kube.workloads import from_stop
from cronwright_operator.stopping.actions import DeletePod, FinishJob, LowerDeadline, StopAction, WriteIntent

logger = logging.getLogger(__name__)


class StopApplier:
    """Writes through an `ObjectClient`; what it returns goes into the reflectors' copies at once."""

    def __init__(self, client: ObjectClient, jobs: Reflector, pods: Reflector) -> None:
        self._client = client
        self._jobs = jobs
        self._pods = pods

    async def apply(self, actions: tuple[StopAction, ...]) -> None:
        """Carries the actions out, in order.

        Raises:
            KubeConflict: the Job has changed since it was looked at; the caller looks again.
        """
        for action in actions:
            match action:
                case WriteIntent():
                    await self._write(action, {"backoffLimit": action.backoff_limit})
                case FinishJob():
                    # Valid only for what was seen: were it admitted meanwhile, a Pod with output might stand there.
                    await self._write(action, {"suspend": False, "parallelism": 0, "activeDeadlineSeconds": 1})
                case LowerDeadline():
                    await self._lower(action.pod, action.seconds)
                case DeletePod():
                    await self._delete(action.pod)

    async def _write(self, action: WriteIntent | FinishJob, spec: dict[str, Any]) -> None:
        job, stop = action.job, action.stop
        patch = {
            "metadata": {
                "uid": job.uid,
                # The count of failed attempts and whether it is suspended must be what they were when it was decided.
                "resourceVersion": job.resource_version,
                "annotations": {naming.STOP_ANNOTATION: from_stop(stop)},
            },
            "spec": spec,
        }
        try:
            body = await self._client.patch(JOBS, job.namespace, job.name, patch)
        except (KubeNotFound, KubeInvalid) as error:
            if not _is_gone(error):
                raise
            return
        logger.info("Job %s/%s is ended: %s (%s)", job.namespace, job.name, stop.reason.value, stop.message)
        self._jobs.remember(body)

    async def _lower(self, pod: PodFacts, seconds: int) -> None:
        patch = {"metadata": {"uid": pod.uid}, "spec": {"activeDeadlineSeconds": seconds}}
        try:
            body = await self._client.patch(PODS, pod.namespace, pod.name, patch)
        except (KubeNotFound, KubeConflict, KubeInvalid) as error:
            if isinstance(error, KubeInvalid) and not is_another_object(error):
                raise
            return
        self._pods.remember(body)

    async def _delete(self, pod: PodFacts) -> None:
        try:
            await self._client.delete(PODS, pod.namespace, pod.name, uid=pod.uid)
        except (KubeNotFound, KubeConflict):
            return


def _is_gone(error: KubeNotFound | KubeInvalid) -> bool:
    return isinstance(error, KubeNotFound) or is_another_object(error)
