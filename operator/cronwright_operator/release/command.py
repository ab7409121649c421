"""`cronwright release`: takes our finalizers off Jobs in a namespace, or an installation, that no operator serves any
more, and says first which records are lost by it. Runs in the operator's Pod, or anywhere with a kubeconfig.

It needs the rights to list and patch Jobs and CronJobs, and to get and update the operator's Lease if that is named.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from cronwright_core.kube.client import KubeClient, KubeConfigError
from cronwright_core.kube.errors import (
    KubeConflict,
    KubeError,
    KubeForbidden,
    KubeInvalid,
    KubeNotFound,
    is_another_object,
)
from cronwright_core.kube.ports import Json, PatchKind
from cronwright_core.kube.resources import CRON_JOBS, JOBS, Resource
from cronwright_operator.launching.clock import system_now
from cronwright_operator.release.held import (
    HeldJob,
    LiveCronJob,
    build_release_patch,
    build_suspend_patch,
    held_jobs,
    live_cronjobs,
)
from cronwright_operator.release.standstill import HOLD_SECONDS, stand_still
from cronwright_operator.watched import WithoutNamespaces

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. `namespaces` holds None for the whole cluster."""

    namespaces: tuple[str | None, ...]
    suspend_cronjobs: bool
    dry_run: bool
    lease: tuple[str, str] | None


class ReleaseFailed(Exception):
    """One line that says why, and what to do."""


def run(argv: Sequence[str]) -> int:
    """Runs the command: 0 if nothing is held any more (or --dry-run), 1 if something could not be done, 2 for usage."""
    try:
        options = _parse(argv)
    except ReleaseFailed as error:
        print(f"cronwright release: {error}", file=sys.stderr)
        return 2
    try:
        return asyncio.run(_release(options))
    except (ReleaseFailed, KubeConfigError) as error:
        print(f"cronwright release: {error}", file=sys.stderr)
    except KubeError as error:
        print(f"cronwright release: {error}; what was done before stays done, run it again", file=sys.stderr)
    return 1


def _parse(argv: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(
        prog="cronwright release",
        description=(
            "Takes Cronwright's finalizers off Jobs, so that a namespace or an installation can go away without an "
            "operator. Executions whose record is not committed are named first: their Jobs may then be deleted, and "
            "with them what is not recorded. Where an operator still works, it takes Jobs that are left again."
        ),
    )
    parser.add_argument(
        "-n", "--namespace", action="append", default=[], help="the namespace to let go of; may be given several times"
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help=(
            "every namespace that is served: those of CRONWRIGHT_WATCH_NAMESPACES, else the whole cluster without those"
            " of CRONWRIGHT_IGNORE_NAMESPACES"
        ),
    )
    parser.add_argument(
        "--suspend-cronjobs",
        action="store_true",
        help="first take the operator's Lease, which stops it, and suspend the CronJobs of tasks: before an uninstall",
    )
    parser.add_argument(
        "--lease",
        metavar="NAMESPACE/NAME",
        help="the operator's Lease; default: POD_NAMESPACE and CRONWRIGHT_LEASE_NAME, as in the operator's Pod",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    given = parser.parse_args(argv)
    if given.all == bool(given.namespace):
        raise ReleaseFailed("name what to let go of: either --namespace N (once or more), or --all")
    watched = _names("CRONWRIGHT_WATCH_NAMESPACES")
    namespaces = tuple(dict.fromkeys(watched if given.all else given.namespace)) or (None,)
    return Options(namespaces, given.suspend_cronjobs, given.dry_run, _lease(given.lease))


def _names(variable: str) -> list[str]:
    return [name.strip() for name in os.environ.get(variable, "").split(",") if name.strip()]


def _lease(text: str | None) -> tuple[str, str] | None:
    if text is None:
        name = os.environ.get("CRONWRIGHT_LEASE_NAME")
        return (os.environ.get("POD_NAMESPACE", "default"), name) if name else None
    namespace, _, name = text.partition("/")
    if not namespace or not name or "/" in name:
        raise ReleaseFailed(f"--lease {text}: must be NAMESPACE/NAME")
    return namespace, name


async def _release(options: Options) -> int:
    client = await KubeClient.connect(user_agent="cronwright-release")
    try:
        problems = 0
        if options.suspend_cronjobs:
            problems += await _suspend(client, options)
        problems += await _let_go(client, options)
    finally:
        await client.close()
    return 1 if problems else 0


async def _suspend(client: KubeClient, options: Options) -> int:
    live = live_cronjobs(await _list(client, CRON_JOBS, options.namespaces))
    if options.dry_run:
        for cronjob in live:
            print(f"would suspend CronJob {cronjob.namespace}/{cronjob.name} of task {cronjob.task}")
        return 0
    if options.lease is None:
        print(
            "note: no Lease is named (--lease), so an operator that runs is not stopped and would undo the suspension",
            file=sys.stderr,
        )
    else:
        holder = await stand_still(client, *options.lease, system_now())
        if holder is not None:
            print(f"the operator {holder} has been stopped for {HOLD_SECONDS} s: its Lease is taken")
    problems = 0
    for cronjob in live:
        if await _suspended(client, cronjob):
            print(f"suspended CronJob {cronjob.namespace}/{cronjob.name} of task {cronjob.task}")
        else:
            problems += 1
    print(f"{len(live) - problems} of {len(live)} CronJobs suspended")
    return problems


async def _suspended(client: KubeClient, cronjob: LiveCronJob) -> bool:
    try:
        await client.patch(CRON_JOBS, cronjob.namespace, cronjob.name, build_suspend_patch(cronjob))
    except KubeNotFound:
        return True
    except (KubeConflict, KubeInvalid, KubeForbidden) as error:
        if is_another_object(error):
            return True  # deleted, and made anew by somebody since
        print(f"CronJob {cronjob.namespace}/{cronjob.name}: {error}", file=sys.stderr)
        return False
    return True


async def _let_go(client: KubeClient, options: Options) -> int:
    held = held_jobs(await _list(client, JOBS, options.namespaces))
    if not held:
        print(f"no Job is held by a finalizer in {_shown(options.namespaces)}")
        return 0
    # Before the first one goes, so that whoever reads it can still stop.
    print(f"{len(held)} executions whose record is not known to be committed:")
    for job in held:
        print(f"  {job.namespace}/{job.name}  task {job.task}  {job.execution_id}  {job.state}")
    if options.dry_run:
        print("nothing was changed (--dry-run)")
        return 0
    problems = 0
    for job in held:
        problems += 0 if await _released(client, job) else 1
    print(f"{len(held) - problems} of {len(held)} Jobs released")
    if any(not job.deleting for job in held):
        print("Jobs that are not being deleted stay; an operator that serves their namespace takes and records them.")
    return problems


async def _released(client: KubeClient, job: HeldJob) -> bool:
    for _ in range(_ATTEMPTS):
        try:
            await client.patch(JOBS, job.namespace, job.name, build_release_patch(job), kind=PatchKind.JSON)
            return True
        except KubeNotFound:
            return True
        except (KubeInvalid, KubeConflict) as error:
            # Somebody else's finalizer came or went, or the operator was faster: looked at again.
            refused = error
        except KubeForbidden as error:
            print(f"Job {job.namespace}/{job.name}: {error}", file=sys.stderr)
            return False
        # A list and no get, which the account of the chart's uninstallation has no right to.
        listed = await client.list(JOBS, job.namespace, field_selector=f"metadata.name={job.name}")
        found = held_jobs(listed.items)
        if not found or found[0].uid != job.uid:
            return True
        job = found[0]
    print(f"Job {job.namespace}/{job.name}: {refused}", file=sys.stderr)
    return False


async def _list(client: KubeClient, resource: Resource, namespaces: Sequence[str | None]) -> list[Json]:
    found: list[Json] = []
    # Another installation's Jobs and CronJobs are none of ours, with --all neither.
    lists = WithoutNamespaces(client, _names("CRONWRIGHT_IGNORE_NAMESPACES"))
    for namespace in namespaces:
        try:
            found += (await lists.list(resource, namespace)).items
        except KubeForbidden as error:
            if namespace is None:
                todo = (
                    "name the namespaces with --namespace, or in CRONWRIGHT_WATCH_NAMESPACES as the operator's Pod does"
                )
            else:
                todo = "is the operator's RoleBinding gone already? Run it with an administrator's kubeconfig"
            raise ReleaseFailed(f"{resource.plural} of {_shown([namespace])}: {error.message}; {todo}") from error
    return found


def _shown(namespaces: Sequence[str | None]) -> str:
    return ", ".join("all namespaces" if name is None else f"namespace {name}" for name in namespaces)
