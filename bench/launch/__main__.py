"""`python -m bench.launch`: lateness of many runs due at once, natively and by Cronwright, on one control plane.

.venv/bin/python -m bench.launch                       # everything: about 40 minutes
.venv/bin/python -m bench.launch --due 100 --rates default
.venv/bin/python -m bench.launch --only scale          # memory and restart with 10 000 tasks
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from bench import audit_log
from bench.launch.control_plane import NODES, ROOT, ControlPlane

sys.path[:0] = [str(ROOT / name) for name in ("core", "operator", "tests")]

from bench.launch import kubelet, report, scale, scenarios  # noqa: E402
from bench.launch.operator_process import OperatorProcess, wait_settled  # noqa: E402
from cronwright_core.kube.client import KubeClient  # noqa: E402
from support import postgres  # noqa: E402

WAYS = {
    "native": None,
    "native-alike": None,
    scenarios.BARE_CLIENT: None,
    "step-in": {"CRONWRIGHT_CRON_JOBS_STEP_IN": "true"},
    "step-in-off": {"CRONWRIGHT_CRON_JOBS_STEP_IN": "false"},
}
RATES = {"default": None, "raised": 500}


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.launch", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--due", default="1,100,300,1000", help="how many runs are due at once")
    parser.add_argument("--ways", default=",".join(WAYS), help="who launches")
    parser.add_argument("--rates", default=",".join(RATES), help="client rate of the controller manager")
    parser.add_argument("--only", choices=("lateness", "scale"), help="one part of it")
    parser.add_argument("--keep", action="store_true", help="leave control plane and database running, to look at them")
    parser.add_argument("--tasks", type=int, default=10_000, help="tasks of the scale part")
    options = parser.parse_args()
    state = Path(tempfile.gettempdir()) / "cronwright-bench"
    plane = ControlPlane(state)
    server = postgres.PostgresServer()
    server.start()
    try:
        if options.only != "scale":
            for rate in options.rates.split(","):
                print(asyncio.run(lateness(plane, server, state, rate, options)), flush=True)
        if options.only != "lateness":
            print(asyncio.run(scale.measure(plane, server, state, options.tasks, progress)), flush=True)
    finally:
        if not options.keep:
            plane.stop()
            server.remove()


async def lateness(
    plane: ControlPlane, server: postgres.PostgresServer, state: Path, rate: str, options: argparse.Namespace
) -> str:
    """The table for one client rate of the controller manager."""
    results = [
        await scenario(plane, server, state, rate, way, due)
        for due in (int(word) for word in options.due.split(","))
        for way in options.ways.split(",")
    ]
    return report.table(f"{rate} ({RATES[rate] or 20} requests a second)", results) + "\n"


async def scenario(
    plane: ControlPlane, server: postgres.PostgresServer, state: Path, rate: str, way: str, due: int
) -> scenarios.Result:
    """One way and one number, on a control plane and a database of its own: what ran before must slow nobody down."""
    audit = state.parent / "cronwright-bench-audit"
    plane.start(RATES[rate], (*kubelet.API_SERVER_ARGUMENTS, *audit_log.arguments(audit, audit_log.NEW_JOBS)))
    async with AsyncExitStack() as stack:
        client = await connect(plane, as_service_account=way == scenarios.BARE_CLIENT)
        stack.push_async_callback(client.close)
        await stack.enter_async_context(kubelet.serving(client, plane.kubeconfig, NODES))
        pids = {**plane.pids(), "benchmark": os.getpid()}
        operator = None
        if (settings := WAYS[way]) is not None:
            url = postgres.make_database(server, f"launch_{int(time.time())}")
            environment = {"DATABASE_URL": url, "KUBECONFIG": str(plane.as_service_account()), **settings}
            operator = OperatorProcess(state.parent / f"cronwright-bench-{way}.log", environment)
            operator.start()
            stack.callback(operator.stop)
            assert operator.pid is not None
            pids["operator"] = operator.pid

        async def settle(count: int) -> None:
            assert operator is not None
            await asyncio.to_thread(wait_settled, count, 240, operator.running)

        return await scenarios.run(client, way, due, settle, progress, pids, audit)


async def connect(plane: ControlPlane, *, as_service_account: bool = False) -> KubeClient:
    """A client of the benchmark's own control plane, with the CRDs there."""
    await asyncio.to_thread(plane.apply_crds)
    os.environ["KUBECONFIG"] = str(plane.as_service_account() if as_service_account else plane.kubeconfig)
    return await KubeClient.connect(user_agent="cronwright-bench", connections=scenarios.AT_ONCE)


_last = 0.0


def progress(text: str) -> None:
    """A line every five seconds at most."""
    global _last
    if time.monotonic() - _last > 5:
        _last = time.monotonic()
        print(f"    ... {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
