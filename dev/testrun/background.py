"""What runs beside the parts: the compilation of the cluster's binaries, and a part that mostly waits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cluster.console import format_duration, say, step
from up.commands import ROOT, failure, last_of

LOGS = ROOT / ".local" / "log"
LIMIT_SECONDS = 45 * 60
_BUILD = "build"


class Background:
    """Named processes, each in a session of its own that ends with the run, its output in a file."""

    def __init__(self) -> None:
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Begin to compile at low priority, unless it was begun already."""
        self.begin(_BUILD, ["nice", "-n", "10", sys.executable, ROOT / "dev" / "cluster", "build"])

    def begin(self, name: str, command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> None:
        """Begin a command under a name, unless it was begun already."""
        if name in self._processes:
            return
        log = _log(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            self._processes[name] = subprocess.Popen(
                [str(word) for word in command],
                cwd=ROOT,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def began(self, name: str) -> bool:
        """Whether a command of that name was begun."""
        return name in self._processes

    def wait(self) -> None:
        """Wait until the binaries are there, showing what it says. Raises ClusterError when that failed or takes for
        ever."""
        if _BUILD in self._processes and self._finish(_BUILD, "binaries of the local cluster") != 0:
            raise failure("compiling the cluster's binaries failed", f"See {_log(_BUILD)}", _said(_BUILD))

    def finish(self, name: str) -> int:
        """Wait for a command, show all that it printed, and return its exit code."""
        code = self._finish(name, f"{name}, begun before")
        say(_log(name).read_text(errors="replace").rstrip())
        return code

    def _finish(self, name: str, title: str) -> int:
        process = self._processes[name]
        with step(title) as current:
            while process.poll() is None:
                if current.elapsed_seconds > LIMIT_SECONDS:
                    raise failure(f"{title}: not done within {format_duration(LIMIT_SECONDS)}", f"See {_log(name)}")
                current.detail = _said(name, 1).strip()
                time.sleep(0.2)
            current.detail = ""
        return process.returncode

    def end(self) -> None:
        """End what still runs: only the processes of its own sessions."""
        for process in self._processes.values():
            if process.poll() is not None:
                continue
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def _log(name: str) -> Path:
    return LOGS / f"{name}.log"


def _said(name: str, lines: int = 15) -> str:
    log = _log(name)
    return last_of(log.read_text(errors="replace"), lines) if log.exists() else ""
