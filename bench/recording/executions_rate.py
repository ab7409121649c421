"""Ready-made finished Jobs -> records: how many a second, how much of the database one takes, whose time it costs."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.launch import loads
from bench.launch.control_plane import ControlPlane
from bench.recording.executions_finished import make_bare, make_finished, release_bare, settle_ticks
from bench.recording.executions_operator import build, connect, unrecorded, until, wait_settled
from cronwright_core.kube.client import KubeClient
from cronwright_core.kube.resources import JOBS, SCHEDULED_TASKS
from support import postgres

GOAL = 200
TASKS = 100
AT_ONCE = 64
"""The operator records so many at a time."""
SIZES = """
    SELECT coalesce(parent.relname, child.relname), sum(pg_total_relation_size(child.oid)),
           sum(pg_indexes_size(child.oid))
    FROM pg_class child
    LEFT JOIN pg_inherits ON inhrelid = child.oid LEFT JOIN pg_class parent ON parent.oid = inhparent
    WHERE child.relkind = 'r' AND child.relnamespace = 'public'::regnamespace GROUP BY 1
"""
TABLES = ("executions", "attempts", "log_streams", "log_chunks", "task_stats", "execution_days", "task_days")


async def measure(
    plane: ControlPlane, server: postgres.PostgresServer, state: Path, count: int, profile: bool
) -> list[str]:
    """The lines of the report."""
    plane.start(500)
    client = await connect(plane)
    url = postgres.make_database(server, f"rate_{int(time.time())}")
    log = state.parent / "cronwright-bench-recording.log"
    operator = build(plane, url, log, {}, log.with_suffix(".prof") if profile else None)
    try:
        operator.start()
        await loads.make_namespace(client, "rate")
        await loads.make_tasks(client, "rate", TASKS, datetime.now(UTC) + timedelta(hours=12))
        await wait_settled(TASKS)
        operator.stop()
        tasks = (await client.list(SCHEDULED_TASKS, "rate")).items
        await settle_ticks(client, "rate", tasks)
        begin = time.monotonic()
        await make_finished(client, "rate", tasks, count)
        made = count / (time.monotonic() - begin)
        before = dict(_sizes(url))
        await loads.make_namespace(client, "bare")
        await make_bare(client, "bare", tasks[0], count)
        bare = await release_bare(client, "bare", AT_ONCE)
        operator.start()
        await until(lambda: (unrecorded() or 0) >= count * 0.9, "the operator's first list")
        cpu, begin = operator.cpu_seconds(), time.monotonic()
        curve: list[tuple[float, int]] = []

        def sample() -> bool:
            left = unrecorded()
            if left is not None:
                curve.append((time.monotonic() - begin, count - left))
            return left == 0

        # An operator that loses its lease counts anew: the cluster has the last word.
        lives = 0
        while lives == 0 or await _unreleased(client):
            lives += 1
            await until(sample, "all to be recorded", pause=0.5)
        seconds = curve[-1][0]
        cpu = (operator.cpu_seconds() - cpu) / count * 1000
        stored = postgres.execute(url, "SELECT status, reason, count(*) FROM executions GROUP BY 1, 2")
        assert stored == [("SUCCESS", None, count)], f"not {count} recorded: {stored}"
    finally:
        operator.stop()
        await client.close()
    middle = [point for point in curve if 0.1 * count <= point[1] <= 0.9 * count]
    steady = (middle[-1][1] - middle[0][1]) / (middle[-1][0] - middle[0][0]) if len(middle) > 1 else count / seconds
    return [
        f"**{count} finished Jobs without output, {TASKS} tasks.** From the operator's first complete list to the last"
        " Job released, its record committed (fsync on).",
        "",
        "| what | measured |",
        "| --- | --- |",
        f"| recorded and released | {count / seconds:.0f} a second ({seconds:.1f} s) |",
        f"| between a tenth and nine tenths of them | {steady:.0f} a second |",
        f"| a bare client takes the finalizer off as many Jobs, {AT_ONCE} at once, and records nothing |"
        f" {bare:.0f} a second: recording goes at {count / seconds / bare:.2f} of that |",
        f"| one client with 16 requests at once made these Jobs and Pods, 4 requests each | {made:.0f} a second |",
        f"| CPU of the operator for one | {cpu:.1f} ms: {1000 / cpu:.0f} a second if a core were its own |",
        *_database(url, before, count),
        "",
        f"- Goal, {count / seconds:.0f} ≥ {GOAL} a second: {'met' if count / seconds >= GOAL else 'NOT met'}.",
        "",
    ]


async def _unreleased(client: KubeClient) -> bool:
    return any(job["metadata"].get("finalizers") for job in (await client.list(JOBS, "rate")).items)


def _sizes(url: str) -> list[tuple[str, tuple[int, int]]]:
    return [(str(name), (int(str(total)), int(str(indexes)))) for name, total, indexes in postgres.execute(url, SIZES)]


def _database(url: str, before: dict[str, tuple[int, int]], count: int) -> list[str]:
    after = dict(_sizes(url))
    lines, total = [], 0
    for table in TABLES:
        ((rows,),) = postgres.execute(url, f"SELECT count(*) FROM {table}")
        grown = after[table][0] - before[table][0]
        indexes = after[table][1] - before[table][1]
        total += grown
        if rows and grown:
            lines.append(
                f"| {table}: rows for one; bytes, of these indexes | {int(str(rows)) / count:.2f}; {grown / count:.0f},"
                f" {indexes / count:.0f} |"
            )
    return [*lines, f"| bytes of the database for one, in all | {total / count:.0f} |"]
