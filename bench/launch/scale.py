"""Ten thousand tasks that are not due: memory beside a bare kopf operator, idle CPU, and how long a restart takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.launch import loads
from bench.launch.control_plane import ControlPlane
from bench.launch.operator_process import OperatorProcess, wait_settled
from support import postgres

IDLE_SECONDS = 60.0


async def measure(
    plane: ControlPlane, server: postgres.PostgresServer, state: Path, count: int, progress: Callable[[str], None]
) -> str:
    """The lines of the report."""
    from bench.launch.__main__ import connect

    plane.start(500)
    client = await connect(plane)
    environment = {
        "DATABASE_URL": postgres.make_database(server, f"scale_{int(time.time())}"),
        "KUBECONFIG": str(plane.as_service_account()),
    }
    ours = OperatorProcess(state.parent / "cronwright-bench-scale.log", environment)
    bare = OperatorProcess(
        state.parent / "cronwright-bench-kopf.log", environment, (str(Path(__file__).with_name("bare_kopf.py")),)
    )
    try:
        ours.start()
        await loads.make_namespace(client, "scale")
        begin = time.monotonic()
        await loads.make_tasks(client, "scale", count, datetime.now(UTC) + timedelta(hours=12))
        applied = time.monotonic() - begin
        progress(f"{count} tasks applied in {applied:.0f} s")
        await asyncio.to_thread(wait_settled, count, 1800, ours.running)
        made = time.monotonic() - begin
        ours.stop()

        ours.start()
        bare.start()
        caught_up = await asyncio.to_thread(wait_settled, count, 600, ours.running)
        await asyncio.sleep(10)
        before = ours.cpu_seconds()
        await asyncio.sleep(IDLE_SECONDS)
        idle = (ours.cpu_seconds() - before) / IDLE_SECONDS * 100
        memory, floor = ours.memory_mb(), bare.memory_mb()
    finally:
        ours.stop()
        bare.stop()
        await client.close()
    return "\n".join(
        (
            f"{count} tasks that are not due, controller-manager raised",
            "",
            "| what | measured |",
            "| --- | --- |",
            f"| tasks applied (one client) | {applied:.0f} s |",
            f"| until the operator had a CronJob, a row and a status for each | {made:.0f} s |",
            f"| operator restarted: until it leads, knows all and its queue is empty | {caught_up:.1f} s |",
            f"| memory of the operator | {memory:.0f} MB |",
            f"| memory of a bare kopf operator that keeps the same objects | {floor:.0f} MB |",
            f"| difference | {memory - floor:.0f} MB |",
            f"| processor while nothing is due | {idle:.2f} % of one core |",
        )
    )
