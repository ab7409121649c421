"""What is due: native CronJobs, or ScheduledTasks, all at the same minute; and many tasks that are due much later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from cronwright_core.domain.project import Project
from cronwright_core.domain.task import ScheduledTask
from cronwright_core.kube.client import KubeClient
from cronwright_core.kube.codec import to_project, to_task
from cronwright_core.kube.errors import KubeError
from cronwright_core.kube.resources import CRON_JOBS, JOBS, PROJECTS, SCHEDULED_TASKS, Resource
from cronwright_operator.reconciling.manifests import build_cronjob, build_tick_job

AT_ONCE = 16
PROJECT = "bench"
_CONTAINER = {"name": "task", "image": "example.invalid/nothing:1", "command": ["true"]}


def cron_line(tick: datetime) -> str:
    """The line that fires at this minute, and then not for a day."""
    utc = tick.astimezone(UTC)
    return f"{utc.minute} {utc.hour} * * *"


async def make_namespace(client: KubeClient, name: str) -> None:
    """A namespace with a Project in it."""
    await client.create(
        Resource("", "v1", "namespaces", "Namespace"),
        None,  # type: ignore[arg-type]
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
    )
    spec = {"displayName": name, "owner": "bench", "image": _CONTAINER["image"], "command": ["true"]}
    await client.create(PROJECTS, name, _object(PROJECTS, PROJECT, spec))


async def make_native(client: KubeClient, namespace: str, count: int, tick: datetime) -> None:
    """CronJobs as anybody would write them."""

    def build(number: int) -> dict[str, Any]:
        template = {"spec": {"containers": [_CONTAINER], "restartPolicy": "Never"}}
        return _object(
            CRON_JOBS,
            f"native-{number:05}",
            {
                "schedule": cron_line(tick),
                "timeZone": "Etc/UTC",
                "concurrencyPolicy": "Forbid",
                "jobTemplate": {"spec": {"template": template, "backoffLimit": 0}},
            },
        )

    await _create_all(client, CRON_JOBS, namespace, count, build)


async def make_tasks(client: KubeClient, namespace: str, count: int, tick: datetime) -> None:
    """ScheduledTasks as anybody would write them."""

    def build(number: int) -> dict[str, Any]:
        return _object(
            SCHEDULED_TASKS,
            # The name counts within its owner, who has tasks of earlier scenarios too.
            f"{namespace}-{number:05}",
            {"projectName": PROJECT, "scheduleType": "Cron", "schedule": cron_line(tick), "timeZone": "UTC"},
        )

    await _create_all(client, SCHEDULED_TASKS, namespace, count, build)


async def make_native_alike(client: KubeClient, namespace: str, count: int, tick: datetime) -> None:
    """The CronJobs that the operator would make of such tasks, without an operator: what their size alone costs."""
    project, tasks = await _made_tasks(client, namespace, count, tick)

    def build(number: int) -> dict[str, Any]:
        return build_cronjob(tasks[number], project, cron_line=cron_line(tick), suspend=False)

    await _create_all(client, CRON_JOBS, namespace, count, build)


async def prepare_jobs(client: KubeClient, namespace: str, count: int, tick: datetime) -> list[dict[str, Any]]:
    """The Jobs that the operator would make of such tasks at the tick; nothing of them is made."""
    project, tasks = await _made_tasks(client, namespace, count, tick)
    return [build_tick_job(task, project, tick=tick) for task in tasks]


async def make_jobs(client: KubeClient, namespace: str, jobs: list[dict[str, Any]], at_once: int) -> None:
    """Makes them by nothing but requests."""
    await _create_all(client, JOBS, namespace, len(jobs), jobs.__getitem__, at_once)


async def _made_tasks(
    client: KubeClient, namespace: str, count: int, tick: datetime
) -> tuple[Project, list[ScheduledTask]]:
    await make_tasks(client, namespace, count, tick)
    project = to_project(await client.get(PROJECTS, namespace, PROJECT))
    return project, [to_task(body) for body in (await client.list(SCHEDULED_TASKS, namespace)).items]


def _object(resource: Resource, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": name}, "spec": spec}


async def _create_all(
    client: KubeClient,
    resource: Resource,
    namespace: str,
    count: int,
    build: Callable[[int], dict[str, Any]],
    at_once: int = AT_ONCE,
) -> None:
    limit = asyncio.Semaphore(at_once)

    async def create(number: int) -> None:
        async with limit:
            for attempt in range(5):
                try:
                    await client.create(resource, namespace, build(number))
                    return
                except KubeError:
                    if attempt == 4:
                        raise
                    await asyncio.sleep(1)

    await asyncio.gather(*(create(number) for number in range(count)))
