"""`python3 -m bench.api`: fills a PostgreSQL of its own, serves it, measures every read, prints and keeps the table."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / part) for part in ("core", "api", "operator", "tests")]

from bench.api import report, serve, sql  # noqa: E402
from bench.api.fill import fill  # noqa: E402
from bench.api.process import cpu_seconds, memory_mb  # noqa: E402
from bench.api.reads import OWNER, all_reads, url_of  # noqa: E402
from cronwright_core.store.session import Database  # noqa: E402
from support.postgres import PostgresServer, migrate  # noqa: E402

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: nowhere
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]
clusters: [{name: nowhere, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: nobody, user: {}}]
"""
"""Reads never touch the API server, so that none is there."""


def main() -> None:
    """Runs it all."""
    parser = argparse.ArgumentParser(prog="python3 -m bench.api", description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement (2)")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--only", default="", help="reads whose name holds this")
    parser.add_argument("--database-url", help="a database that an earlier run has filled")
    parser.add_argument("--keep", action="store_true", help="leave the database running until Enter is pressed")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args()
    with database(options) as url, tempfile.TemporaryDirectory() as folder:
        environment, headers = prepare(Path(folder), url)
        with server("api", environment) as api, server("bare", environment) as bare:
            result = measure(options, url, headers, api, bare)
        lines = report.render(result)
        print("\n".join(lines))
        if options.write:
            report.write(ROOT / "docs" / "benchmarks.md", lines)


@contextmanager
def database(options: argparse.Namespace) -> Iterator[str]:
    """A filled database on a server of its own."""
    if options.database_url:
        yield options.database_url
        return
    postgres = PostgresServer()
    try:
        postgres.start()
        migrate(postgres.url)
        fill(postgres.url, options.tasks, options.executions, say)
        if options.keep:
            say(f"the database stays at {postgres.url}")
        yield postgres.url
        if options.keep:
            input("Enter ends the database: ")
    finally:
        postgres.remove()


def prepare(folder: Path, url: str) -> tuple[dict[str, str], dict[str, str]]:
    """The servers' environment, and the client's headers."""
    keys = folder / "keys"
    keys.mkdir()
    (keys / "k1").write_text(secrets.token_hex(32))
    (folder / "kubeconfig").write_text(KUBECONFIG)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[:4]]),
        "DATABASE_URL": url,
        "CRONWRIGHT_JWT_KEYS_DIR": str(keys),
        "KUBECONFIG": str(folder / "kubeconfig"),
    }
    command = [sys.executable, "-m", "cronwright_core.cli", "token", "--user", OWNER]
    token = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    return environment, {"Authorization": f"Bearer {token}"}


@contextmanager
def server(kind: str, environment: dict[str, str]) -> Iterator[tuple[int, int]]:
    """Port and process id of a server that answers."""
    port = free_port()
    command = [sys.executable, "-m", "bench.api.serve", kind, str(port)]
    with subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 60
            while not answers(port):
                if process.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"the server `{kind}` did not start")
                time.sleep(0.1)
            yield port, process.pid
        finally:
            process.terminate()


def measure(
    options: argparse.Namespace, url: str, headers: dict[str, str], api: tuple[int, int], bare: tuple[int, int]
) -> report.Result:
    """Every read beside the empty route of the same server and its bare SQL, one right after the other."""
    store = Database(url, application_name="bench")
    rows = []
    memory = {"api, idle": memory_mb(api[1])}
    for read in all_reads(store):
        if options.only not in read.name:
            continue
        statements = sql.statements_of(store, read.call)
        for clients in options.clients:
            empty = load(api, clients, options.seconds, [serve.EMPTY], headers)
            plain = sql.run(url, clients, options.seconds / 2, statements)
            answered = load(api, clients, options.seconds, [url_of(read)], headers)
            row = report.Row(read.name, clients, len(statements), read.goal, empty, plain, answered)
            say(row.line())
            rows.append(row)
    store.dispose()
    alone = {clients: load(bare, clients, options.seconds, [serve.EMPTY], {}) for clients in options.clients}
    memory |= {"api, after it": memory_mb(api[1]), "bare, after it": memory_mb(bare[1])}
    return report.Result(rows, alone, memory, options.tasks, options.executions, options.seconds)


def load(
    served: tuple[int, int], clients: int, seconds: float, paths: list[str], headers: dict[str, str]
) -> report.Load:
    """Latencies as a client process of its own sees them."""
    port, pid = served
    before = cpu_seconds(pid)
    done = subprocess.run(
        [sys.executable, "-m", "bench.api.load", str(port), str(clients), str(seconds)],
        input=json.dumps({"paths": paths, "headers": headers}),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"the load client failed for {paths[0]}: {done.stderr[-800:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return report.Load(found["latencies"], found["cpu_seconds"], cpu_seconds(pid) - before, found["requests"])


def answers(port: int) -> bool:
    """Whether the empty route is served."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{serve.EMPTY}", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def say(line: str) -> None:
    """Progress."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
