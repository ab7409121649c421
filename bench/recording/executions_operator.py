"""The operator of these benchmarks: started on their control plane, asked for its own figures."""

from __future__ import annotations

import asyncio
import os
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.launch.control_plane import ControlPlane
from bench.launch.operator_process import OperatorProcess
from cronwright_core.kube.client import KubeClient


async def connect(plane: ControlPlane) -> KubeClient:
    """A client of the control plane, with the CRDs there."""
    os.environ["KUBECONFIG"] = str(plane.kubeconfig)
    await asyncio.to_thread(plane.apply_crds)
    return await KubeClient.connect(user_agent="cronwright-bench", connections=32)


def build(
    plane: ControlPlane, url: str, log: Path, settings: Mapping[str, str], profile: Path | None = None
) -> OperatorProcess:
    """The operator, not started yet; `profile` is where cProfile shall write to."""
    environment = {
        "DATABASE_URL": url,
        "KUBECONFIG": str(plane.kubeconfig),
        "CRONWRIGHT_HEALTH_PORT": os.environ["CRONWRIGHT_HEALTH_PORT"],
        **settings,
    }
    if profile is not None:
        program = str(Path(__file__).with_name("executions_profile.py"))
        return OperatorProcess(log, environment, (program, str(profile)))
    return OperatorProcess(log, environment)


def read_metrics() -> dict[str, float]:
    """The operator's gauges by name and labels, as they are printed; empty while it does not answer."""
    address = f"http://127.0.0.1:{os.environ['CRONWRIGHT_HEALTH_PORT']}/metrics"
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return {}
    pairs = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def unrecorded() -> int | None:
    """How many finished Jobs wait for their record; None while the operator does not answer."""
    found = read_metrics().get('cronwright_executions_open{state="unrecorded"}')
    return None if found is None else int(found)


async def until(condition: Callable[[], bool], what: str, seconds: float = 600, pause: float = 0.1) -> None:
    """Waits until the condition holds."""
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {seconds:.0f} s: {what}; {read_metrics()}")
        await asyncio.sleep(pause)


async def wait_settled(tasks: int) -> None:
    """Waits until the operator leads, knows the tasks and has nothing to do."""

    def settled() -> bool:
        found = read_metrics()
        known = sum(value for name, value in found.items() if name.startswith("cronwright_tasks{"))
        busy = [
            found.get(f'cronwright_workqueue_depth{{queue="{name}"}}', 1) for name in ("reconcile", "record", "rows")
        ]
        return found.get("cronwright_operator_leader") == 1 and known >= tasks and not any(busy)

    for _ in range(5):
        await until(settled, "a settled operator")
        await asyncio.sleep(0.3)
