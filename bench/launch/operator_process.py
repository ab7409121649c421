"""The operator as a process of its own, and a bare kopf operator that watches the same objects, to compare memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.launch import processors

ROOT = Path(__file__).resolve().parents[2]
HEALTH_PORT = 18099


class OperatorProcess:
    """`cronwright operator`, or another command, with its log in a file."""

    def __init__(self, log: Path, environment: Mapping[str, str], command: tuple[str, ...] = ("operator",)) -> None:
        self._log = log
        self._environment = environment
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; does not wait."""
        program = [sys.executable, "-m", "cronwright_core.cli", *self._command]
        if self._command and self._command[0].endswith(".py"):
            program = [sys.executable, *self._command]
        paths = os.pathsep.join(str(ROOT / name) for name in ("core", "api", "operator"))
        environment = {
            **os.environ,
            "PYTHONPATH": paths,
            "CRONWRIGHT_HEALTH_PORT": str(HEALTH_PORT),
            "CRONWRIGHT_HEALTH_HOST": "127.0.0.1",
            **self._environment,
        }
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(program, env=environment, stdout=output, stderr=output, cwd=ROOT)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it and wait."""
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    @property
    def pid(self) -> int | None:
        """Its number, while it was started and not stopped."""
        return self._process.pid if self._process is not None else None

    def memory_mb(self) -> float:
        """Its own memory (proportional set size), in MiB. Source: proc(5), smaps_rollup."""
        assert self._process is not None
        text = Path(f"/proc/{self._process.pid}/smaps_rollup").read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1024

    def cpu_seconds(self) -> float:
        """Processor time used so far. Source: proc(5), stat."""
        assert self._process is not None
        return processors.read({"operator": self._process.pid})["operator"]

    def running(self) -> bool:
        """Whether it still runs."""
        return self._process is not None and self._process.poll() is None


def read_metrics() -> dict[str, float]:
    """The operator's gauges by name and labels, as they are printed; empty while it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{HEALTH_PORT}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    values = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            values[name] = float(value)
    return values


def wait_settled(tasks: int, seconds: float, running: Callable[[], bool]) -> float:
    """Wait until the operator leads, knows so many tasks and its queues are empty; how long that took, in seconds."""
    begin = time.monotonic()
    calm = 0
    while time.monotonic() - begin < seconds and running():
        found = read_metrics()
        settled = (
            found.get("cronwright_operator_leader") == 1
            and sum(value for name, value in found.items() if name.startswith("cronwright_tasks{")) >= tasks
            and found.get('cronwright_workqueue_depth{queue="reconcile"}') == 0
        )
        calm = calm + 1 if settled else 0
        if calm == 3:
            return time.monotonic() - begin
        time.sleep(0.2)
    if not running():
        raise RuntimeError("the operator has ended; its log tells why")
    raise RuntimeError(f"the operator has not settled within {seconds:.0f} s: {read_metrics()}")
