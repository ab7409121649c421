"""Ready-made finished Jobs with their Pods, as a controller and a kubelet leave them: all is to be recorded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cronwright_core.domain import naming
from cronwright_core.domain.times import to_rfc3339
from cronwright_core.kube.client import KubeClient
from cronwright_core.kube.errors import KubeUnreachable
from cronwright_core.kube.ports import Json
from cronwright_core.kube.resources import JOBS, PODS, SCHEDULED_TASKS

AT_ONCE = 16
CONTAINER = {"name": naming.CONTAINER, "image": "example.invalid/nothing:1", "command": ["true"]}
SECONDS = 7
"""How long each of them has run."""


async def settle_ticks(client: KubeClient, namespace: str, tasks: Sequence[Json]) -> None:
    """Says in the tasks' statuses that all ticks up to now are decided, as after an edit: a Job whose tick is not would
    be kept."""
    status = {"status": {"lastScheduleTime": to_rfc3339(datetime.now(UTC).replace(microsecond=0))}}
    for task in tasks:
        await client.patch(SCHEDULED_TASKS, namespace, _name(task), status, subresource="status")


async def make_finished(client: KubeClient, namespace: str, tasks: Sequence[Json], count: int) -> None:
    """`count` executions of the tasks in turn, a minute apart. No node has their Pods, so there is no output to ask
    for."""
    limit = asyncio.Semaphore(AT_ONCE)
    now = datetime.now(UTC).replace(second=0, microsecond=0)

    async def make(number: int) -> None:
        task = tasks[number % len(tasks)]
        tick = now - timedelta(minutes=number // len(tasks) + 1)
        async with limit:
            job = await _persist(lambda: client.create(JOBS, namespace, _job(task, tick)))
            await _persist(lambda: client.patch(JOBS, namespace, _name(job), _job_end(tick), subresource="status"))
            pod = await _persist(lambda: client.create(PODS, namespace, _pod(task, job)))
            end = {"status": {"phase": "Succeeded", "startTime": to_rfc3339(tick)}}
            await _persist(lambda: client.patch(PODS, namespace, _name(pod), end, subresource="status"))

    await asyncio.gather(*(make(number) for number in range(count)))


async def make_bare(client: KubeClient, namespace: str, task: Json, count: int) -> None:
    """As many Jobs like these, which the operator does not know."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    limit = asyncio.Semaphore(AT_ONCE)

    async def make(number: int) -> None:
        body = _job(task, now - timedelta(minutes=number))
        # A Job without labels takes its template's.
        del body["metadata"]["labels"], body["spec"]["template"]["metadata"], body["metadata"]["ownerReferences"]
        async with limit:
            await _persist(lambda: client.create(JOBS, namespace, body))

    await asyncio.gather(*(make(number) for number in range(count)))


async def release_bare(client: KubeClient, namespace: str, at_once: int) -> float:
    """Takes the finalizer off each of them and does nothing else: how many a second."""
    names = [_name(body) for body in (await client.list(JOBS, namespace)).items]
    limit = asyncio.Semaphore(at_once)
    patch: Json = {"metadata": {"finalizers": None, "annotations": {naming.RECORDED_ANNOTATION: "now"}}}

    async def release(name: str) -> None:
        async with limit:
            await _persist(lambda: client.patch(JOBS, namespace, name, patch))

    begin = time.monotonic()
    await asyncio.gather(*(release(name) for name in names))
    return len(names) / (time.monotonic() - begin)


async def _persist(call: Callable[[], Awaitable[Json]]) -> Json:
    for _ in range(4):
        try:
            return await call()
        except KubeUnreachable:
            await asyncio.sleep(1)
    return await call()


def _name(body: Json) -> str:
    return str(body["metadata"]["name"])


def _job(task: Json, tick: datetime) -> Json:
    meta = task["metadata"]
    labels = _labels(task)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": naming.tick_job_name(naming.cronjob_name(meta["name"], meta["uid"]), tick),
            "labels": labels,
            "annotations": {
                naming.EXECUTION_ANNOTATION: naming.execution_id(meta["uid"], "Scheduled", tick, ""),
                naming.SCHEDULED_TIME_ANNOTATION: to_rfc3339(tick),
            },
            "finalizers": [naming.FINALIZER],
            "ownerReferences": [_owner("cronwright.dev/v1", "ScheduledTask", meta)],
        },
        "spec": {
            # The Job controller leaves it alone: it is what it is.
            "managedBy": "bench.cronwright.dev/finished",
            "backoffLimit": 0,
            "template": {
                "metadata": {"labels": labels},
                "spec": {"restartPolicy": "Never", "containers": [CONTAINER]},
            },
        },
    }


def _job_end(tick: datetime) -> Json:
    end = to_rfc3339(tick + timedelta(seconds=SECONDS))
    conditions = [
        {"type": type_, "status": "True", "lastTransitionTime": end, "lastProbeTime": end}
        for type_ in ("SuccessCriteriaMet", "Complete")
    ]
    status = {"startTime": to_rfc3339(tick), "completionTime": end, "succeeded": 1, "conditions": conditions}
    return {"status": status | {"uncountedTerminatedPods": {}}}


def _pod(task: Json, job: Json) -> Json:
    meta = job["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{meta['name']}-x",
            "labels": _labels(task)
            | {"batch.kubernetes.io/controller-uid": meta["uid"], "batch.kubernetes.io/job-name": meta["name"]},
            "ownerReferences": [_owner("batch/v1", "Job", meta)],
        },
        "spec": {
            "restartPolicy": "Never",
            "containers": [CONTAINER],
            "schedulerName": "bench.cronwright.dev/nobody",
        },
    }


def _labels(task: Json) -> dict[str, str]:
    meta = task["metadata"]
    return {
        naming.MANAGED_BY_LABEL: naming.MANAGED_BY,
        naming.TASK_UID_LABEL: meta["uid"],
        naming.TASK_NAME_LABEL: meta["name"],
        naming.PROJECT_LABEL: task["spec"]["projectName"],
    }


def _owner(api_version: str, kind: str, meta: dict[str, Any]) -> Json:
    return {"apiVersion": api_version, "kind": kind, "name": meta["name"], "uid": meta["uid"], "controller": True}
