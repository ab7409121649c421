"""The requests to the API server that one execution costs, beside those of a native CronJob's run, in one run.

All due in the same minute: so many CronJobs as anybody would write them, and so many ScheduledTasks. kwok plays the
nodes, a program of ours the kubelets' logs (all empty). Counted are the requests from before the tick until all Jobs
are recorded and deleted again, by whoever sent them, but for the benchmark's own and those of kwok.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import audit_log as audit
from bench.launch import kubelet, loads
from bench.launch.control_plane import NODES, ControlPlane
from bench.recording.executions_operator import build, connect, wait_settled
from cronwright_core.kube.client import KubeClient
from cronwright_core.kube.ports import Json
from cronwright_core.kube.resources import CRON_JOBS, JOBS, PODS
from support import postgres

GOAL = 6
LEAD_SECONDS = 15
OTHERS = ("cronwright-bench", "kwok", "kubectl")
OURS, NATIVE = "requests-ours", "requests-native"
Counts = Counter[tuple[str, str]]


async def measure(plane: ControlPlane, server: postgres.PostgresServer, state: Path, count: int) -> list[str]:
    """The lines of the report."""
    folder = state.parent / "cronwright-bench-recording-audit"
    await asyncio.to_thread(plane.stop)
    plane.start(500, (*audit.arguments(folder), *kubelet.API_SERVER_ARGUMENTS))
    client = await connect(plane)
    url = postgres.make_database(server, f"requests_{int(time.time())}")
    # Recorded Jobs go at once, as a CronJob's do whose history limits are 0.
    settings = {"CRONWRIGHT_KEEP_FINISHED_SECONDS": "0"}
    operator = build(plane, url, state.parent / "cronwright-bench-recording-requests.log", settings)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(client.close)
        stack.callback(operator.stop)
        await stack.enter_async_context(kubelet.serving(client, plane.kubeconfig, NODES))
        operator.start()
        for namespace in (OURS, NATIVE):
            await loads.make_namespace(client, namespace)
        # The full minute after the guess of how long it takes to make them.
        made = datetime.now(UTC) + timedelta(seconds=10 + count * 0.3)
        tick = made.replace(second=0, microsecond=0) + timedelta(minutes=1)
        await loads.make_tasks(client, OURS, count, tick)
        await loads.make_native(client, NATIVE, count, tick)
        for body in (await client.list(CRON_JOBS, NATIVE)).items:
            patch: Json = {"spec": {"successfulJobsHistoryLimit": 0, "failedJobsHistoryLimit": 0}}
            await client.patch(CRON_JOBS, NATIVE, body["metadata"]["name"], patch)
        await wait_settled(count)
        if datetime.now(UTC) + timedelta(seconds=LEAD_SECONDS) > tick:
            raise RuntimeError("making it took longer than expected")
        before = {namespace: audit.count(folder, namespace) for namespace in (OURS, NATIVE)}
        await _over(client, count, tick)
        ((stored,),) = postgres.execute(url, "SELECT count(*) FROM executions WHERE status = 'SUCCESS'")
        assert stored == count, f"{stored} of {count} are recorded"
        spent = {namespace: audit.count(folder, namespace) - before[namespace] for namespace in (OURS, NATIVE)}
    return _report(count, spent[OURS], spent[NATIVE])


async def _over(client: KubeClient, count: int, tick: datetime) -> None:
    """Waits until all Jobs have come, have been recorded, and are gone with their Pods."""
    deadline = time.monotonic() + 600
    seen: dict[str, set[str]] = {OURS: set(), NATIVE: set()}
    while time.monotonic() < deadline:
        left = 0
        for namespace, names in seen.items():
            found = {body["metadata"]["name"] for body in (await client.list(JOBS, namespace)).items}
            names |= found
            left += len(found) + len((await client.list(PODS, namespace)).items)
        fired = [
            body
            for namespace in (OURS, NATIVE)
            for body in (await client.list(CRON_JOBS, namespace)).items
            if (body.get("status") or {}).get("lastScheduleTime", "") >= f"{tick:%Y-%m-%dT%H:%M:%SZ}"
        ]
        if not left and len(fired) == 2 * count:
            # What follows the end: statuses, events.
            await asyncio.sleep(10)
            return
        await asyncio.sleep(1)
    raise RuntimeError(f"not over after ten minutes: {[len(names) for names in seen.values()]}")


def _report(count: int, ours: Counts, native: Counts) -> list[str]:
    ours, native = (_relevant(counts) for counts in (ours, native))
    lines = [
        f"**{count} ScheduledTasks (Cron) and {count} native CronJobs, due in the same minute, one run each.** Requests"
        " for one run, from the audit log, deletion of the Job included; without watches, kwok's own and the"
        " benchmark's.",
        "",
        "| who | request | ScheduledTask | native CronJob |",
        "| --- | --- | --- | --- |",
    ]
    for key in sorted(set(ours) | set(native)):
        if key[1] != audit.LOGS:
            lines.append(f"| {key[0]} | {key[1]} | {ours[key] / count:.2f} | {native[key] / count:.2f} |")
    logs = sum(number for key, number in ours.items() if key[1] == audit.LOGS) / count
    mine, theirs = (sum(n for key, n in counts.items() if key[1] != audit.LOGS) / count for counts in (ours, native))
    more = mine - theirs
    return [
        *lines,
        f"| all | | **{mine:.2f}** | **{theirs:.2f}** |",
        f"| cronwright-operator | {audit.LOGS}, apart | {logs:.2f} | |",
        "",
        f"- Goal, {more:.1f} ≤ {GOAL} more than a native run ({mine / theirs:.2f} times its requests):"
        f" {'met' if more <= GOAL else 'NOT met'}.",
        "",
    ]


def _relevant(counts: Counts) -> Counts:
    return Counter({key: number for key, number in counts.items() if not key[0].startswith(OTHERS)})
