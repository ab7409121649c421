"""`python3 -m bench.recording.logs`: output stored through the operator's way, beside a plain COPY of the same bytes.

One PostgreSQL, loopback only. In turns, so that the machine's noise is in both: psql copies a file of lines into a
table with one text column; a process of its own reads the same lines, with the kubelet's stamps, from a local HTTP
server and stores them as the operator does (splitting, redaction, size limit, chunks); and the store alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATHS = [str(ROOT), *(str(ROOT / part) for part in ("core", "api", "operator", "tests"))]
sys.path[:0] = PATHS

from cronwright_core.domain import naming  # noqa: E402
from cronwright_core.domain.execution import ExecutionKind  # noqa: E402
from cronwright_core.store.logs import LogStore  # noqa: E402
from cronwright_core.store.records.logs import LogAppend  # noqa: E402
from cronwright_core.store.session import Database  # noqa: E402
from support.postgres import PostgresServer, execute, find_binaries, migrate  # noqa: E402

BEGIN, END = "<!-- bench.recording.logs -->", "<!-- end of bench.recording.logs -->"
TITLE = "## Storing output\n`python3 -m bench.recording.logs --write`\n"
GOAL_SHARE, GOAL_GROWTH_MB = 0.5, 100.0
PORTION = 1024 * 1024


@dataclass
class Measured:
    """Seconds (and memory) of each turn."""

    copy: list[float] = field(default_factory=list)
    store: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    whole_cpu: list[float] = field(default_factory=list)
    grown_mb: list[float] = field(default_factory=list)
    before_mb: list[float] = field(default_factory=list)


def main() -> None:
    """Runs it all."""
    parser = argparse.ArgumentParser(prog="python3 -m bench.recording.logs", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=100, help="of output, 1 MB = 1,000,000 bytes (100)")
    parser.add_argument("--turns", type=int, default=5, help="(5)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args()
    server = PostgresServer()
    try:
        server.start()
        migrate(server.url)
        with tempfile.TemporaryDirectory() as folder:
            # psql runs as we do, so that the file needs no other rights.
            plain, stamped = make_log(Path(folder), options.megabytes * 1_000_000)
            results = measure(server, Path(folder), plain, stamped, options.turns)
            lines = render(results, plain, options.turns)
    finally:
        server.remove()
    print("\n".join(lines))
    if options.write:
        write(ROOT / "docs" / "benchmarks.md", lines)


def make_log(folder: Path, size: int) -> tuple[Path, Path]:
    """Lines as programs print them, about 110 bytes each; once bare, once as the API server shows them."""
    chosen = random.Random(1)
    words = [f"{chosen.getrandbits(32):x}" for _ in range(5000)] + ["progress", "INFO", "loaded", "rows", "from"] * 500
    plain, stamped = folder / "plain.log", folder / "stamped.log"
    moment, written = datetime(2026, 3, 1, tzinfo=UTC), 0
    with plain.open("w") as bare, stamped.open("w") as with_stamps:
        while written < size:
            moment += timedelta(microseconds=chosen.randrange(1, 500))
            text = f"{moment:%Y-%m-%d %H:%M:%S,%f} INFO worker.{written % 7}: {' '.join(chosen.choices(words, k=9))}\n"
            bare.write(text)
            with_stamps.write(f"{moment:%Y-%m-%dT%H:%M:%S.%f}000Z {text}")
            written += len(text)
    return plain, stamped


def measure(server: PostgresServer, folder: Path, plain: Path, stamped: Path, turns: int) -> Measured:
    """All in turns, into tables that are empty but for the first page."""
    measured = Measured()
    execute(server.url, "CREATE TABLE plain (line text)")
    with log_server(stamped) as address:
        for turn in range(turns):
            for table in ("plain", "log_chunks", "log_streams"):
                execute(server.url, f"TRUNCATE {table}")
            execute(server.url, "CHECKPOINT")
            measured.copy.append(copy(server.url, plain))
            execute(server.url, "CHECKPOINT")
            measured.store.append(store(server.url, plain, id_of(f"store {turn}")))
            execute(server.url, "TRUNCATE log_chunks")
            execute(server.url, "CHECKPOINT")
            id_ = id_of(f"whole {turn}")
            said = whole(server.url, address, id_, folder)
            check(server.url, id_, plain)
            measured.whole.append(said["seconds"])
            measured.whole_cpu.append(said["cpu"])
            measured.grown_mb.append(said["grown_mb"])
            measured.before_mb.append(said["before_mb"])
    return measured


def id_of(name: str) -> str:
    """An execution of its own."""
    return naming.execution_id(name, ExecutionKind.SCHEDULED, datetime(2026, 3, 1, tzinfo=UTC), "")


def copy(url: str, plain: Path) -> float:
    """psql's COPY of the lines."""
    start = time.monotonic()
    subprocess.run(
        [find_binaries() / "psql", url, "-qc", rf"\copy plain FROM '{plain}' (DELIMITER E'\x01')"], check=True
    )
    return time.monotonic() - start


def store(url: str, plain: Path, execution_id: str) -> float:
    """The store alone, in the operator's portions."""
    database = Database(url, application_name="bench")
    logs = LogStore(database, stream_limit=200 * 1024 * 1024)
    now = datetime(2026, 3, 1, tzinfo=UTC)
    done = 0
    start = time.monotonic()
    with plain.open("rb") as file:
        while part := file.read(PORTION):
            part += file.readline()
            count = part.count(b"\n")
            append = LogAppend(
                execution_id=execution_id,
                execution_time=now,
                attempt=1,
                stream="stdout",
                from_line=done,
                lines=part,
                line_count=count,
                at=now,
            )
            logs.append([append])
            done += count
    seconds = time.monotonic() - start
    database.dispose()
    return seconds


def whole(url: str, address: str, execution_id: str, folder: Path) -> dict[str, float]:
    """From the API server into the store, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.recording.logs_reader", url, address, execution_id],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(PATHS), "BENCH_FOLDER": str(folder)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    said: dict[str, float] = json.loads(done.stdout)
    return said


def check(url: str, execution_id: str, plain: Path) -> None:
    """What is stored is the log, byte for byte."""
    database = Database(url, application_name="bench")
    file = LogStore(database).read(execution_id, log_type="output", lines=1)
    database.dispose()
    assert (file.file_size, file.complete, file.incomplete) == (plain.stat().st_size, True, False), file


@contextmanager
def log_server(file: Path) -> Iterator[str]:
    """The address of a server of the log."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.recording.logs_server", str(file), str(port)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        assert process.stdout.readline().strip() == "ready"
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def render(measured: Measured, plain: Path, turns: int) -> list[str]:
    """The section for docs/benchmarks.md."""
    size = plain.stat().st_size / 1e6
    rows = [
        ("COPY by psql into one text column", measured.copy, None),
        ("the store alone (`LogStore.append`, 1 MiB at a time)", measured.store, None),
        ("HTTP, splitting, redaction, store (`PodLog`)", measured.whole, measured.whole_cpu),
    ]
    lines = [
        f"{size:.0f} MB in lines of about 110 bytes, {turns} turns; Python {platform.python_version()},"
        f" {os.cpu_count()} cores shared with PostgreSQL and the server of the log, {datetime.now(UTC):%Y-%m-%d}."
        f" Load average {os.getloadavg()[0]:.1f} at the end.",
        "",
        "| way | MB/s, median | MB/s, each turn | of COPY in the same turn, median | CPU seconds of our process |",
        "| --- | --- | --- | --- | --- |",
    ]
    shares = {}
    for name, seconds, cpu in rows:
        shares[name] = statistics.median(c / s for c, s in zip(measured.copy, seconds, strict=True))
        each = ", ".join(f"{size / s:.0f}" for s in seconds)
        used = f"{statistics.median(cpu):.2f}" if cpu else "-"
        lines.append(f"| {name} | {size / statistics.median(seconds):.0f} | {each} | {shares[name]:.2f} | {used} |")
    (_, store_name, whole_name) = shares
    grown = max(measured.grown_mb)
    lines += [
        "",
        *(
            f"- Goal, {what} at least {GOAL_SHARE:g} of COPY: {share:.2f}:"
            f" {'met' if share >= GOAL_SHARE else 'NOT met'}."
            for what, share in (("the store", shares[store_name]), ("the whole way", shares[whole_name]))
        ),
        f"- Memory: the process grew by {grown:.0f} MB at most while it read {size:.0f} MB from one Pod"
        f" ({statistics.median(measured.before_mb):.0f} MB before). Goal, less than {GOAL_GROWTH_MB:g} MB:"
        f" {'met' if grown < GOAL_GROWTH_MB else 'NOT met'}.",
    ]
    return lines


def write(path: Path, lines: list[str]) -> None:
    """Puts the section between its marks, or at the end of the file."""
    text = path.read_text()
    if BEGIN not in text:
        text = text.rstrip("\n") + f"\n\n{TITLE}\n{BEGIN}\n{END}\n"
    before, rest = text.split(BEGIN, 1)
    path.write_text(before + "\n".join([BEGIN, *lines, END]) + rest.split(END, 1)[1])


if __name__ == "__main__":
    main()
