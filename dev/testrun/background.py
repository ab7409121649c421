"""The compilation of the cluster's binaries beside the parts that need none of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

from cluster.console import format_duration, step
from up.commands import ROOT, failure, last_of

LOG = ROOT / ".local" / "log" / "build.log"
LIMIT_SECONDS = 45 * 60


class Background:
    """At most one `python3 dev/cluster build`, at low priority, in a session of its own that ends with the run."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin to compile, unless it was begun already."""
        if self._process is not None:
            return
        LOG.parent.mkdir(parents=True, exist_ok=True)
        with LOG.open("wb") as log:
            self._process = subprocess.Popen(
                ["nice", "-n", "10", sys.executable, str(ROOT / "dev" / "cluster"), "build"],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Wait until it is done, showing what it says. Raises ClusterError when it failed or takes for ever."""
        if self._process is None:
            return
        with step("binaries of the local cluster") as current:
            while self._process.poll() is None:
                if current.elapsed_seconds > LIMIT_SECONDS:
                    raise failure(f"not compiled within {format_duration(LIMIT_SECONDS)}", f"See {LOG}", _said())
                current.detail = _said(1).strip()
                time.sleep(0.2)
            current.detail = ""
            if self._process.returncode != 0:
                raise failure("compiling the cluster's binaries failed", f"See {LOG}", _said())

    def end(self) -> None:
        """End it if it still runs: only the processes of its own session."""
        if self._process is None or self._process.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


def _said(lines: int = 15) -> str:
    return last_of(LOG.read_text(errors="replace"), lines) if LOG.exists() else ""
