"""`python -m bench.recording.executions`: finished executions recorded per second, and what one costs.

    .venv/bin/python -m bench.recording.executions              # both parts, some minutes
    .venv/bin/python -m bench.recording.executions --only rate --count 500
    .venv/bin/python -m bench.recording.executions --write      # puts the tables into docs/benchmarks.md

The operator is the real one, as a process of its own, on a control plane and a PostgreSQL of the benchmark's own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

# Beside the other benchmarks' control plane; read when `cluster.settings` is imported.
os.environ.setdefault("CRONWRIGHT_PORT_SHIFT", "211")
os.environ.setdefault("CRONWRIGHT_HEALTH_PORT", "18211")

from bench.launch.control_plane import ROOT, ControlPlane

sys.path[:0] = [str(ROOT / name) for name in ("core", "operator", "tests")]

from bench.recording import executions_rate, executions_requests  # noqa: E402
from support import postgres  # noqa: E402

BEGIN, END = "<!-- bench.recording.executions -->", "<!-- end of bench.recording.executions -->"


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.recording.executions", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", choices=("rate", "requests"), help="one part of it")
    parser.add_argument("--count", type=int, default=2000, help="finished Jobs of the rate part")
    parser.add_argument("--tasks", type=int, default=50, help="tasks of the requests part, each natively and by us")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    parser.add_argument("--profile", action="store_true", help="write where the operator's time goes beside its log")
    options = parser.parse_args()
    state = Path(tempfile.gettempdir()) / "cronwright-bench-recording"
    plane = ControlPlane(state)
    server = postgres.PostgresServer()
    # What is confirmed is on the disk, as on a server that people rely on.
    server.start("fsync=on", "synchronous_commit=on", "full_page_writes=on")
    load = os.getloadavg()
    lines = [
        f"Python {platform.python_version()}, {os.cpu_count()} cores shared by operator, API server, etcd, PostgreSQL"
        f" and whatever else the machine had to do (load average before the run: {load[0]:.1f});"
        f" {datetime.now(UTC):%Y-%m-%d}.",
        "",
    ]
    try:
        if options.only != "requests":
            lines += asyncio.run(executions_rate.measure(plane, server, state, options.count, options.profile))
        if options.only != "rate":
            lines += asyncio.run(executions_requests.measure(plane, server, state, options.tasks))
    finally:
        plane.stop()
        server.remove()
    print("\n".join(lines))
    if options.write:
        write(ROOT / "docs" / "benchmarks.md", lines)


def write(path: Path, lines: list[str]) -> None:
    """Puts the tables between their marks, or at the end of the file."""
    text = path.read_text()
    if BEGIN not in text:
        text = text.rstrip("\n") + f"\n\n## Recording executions\n\n{BEGIN}\n{END}\n"
    before, rest = text.split(BEGIN, 1)
    path.write_text(before + "\n".join([BEGIN, *lines, END]) + rest.split(END, 1)[1])


if __name__ == "__main__":
    main()
