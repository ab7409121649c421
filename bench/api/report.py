"""The table of a run, as Markdown. Milliseconds, and ratios: the machine's noise is in both of their parts."""

from __future__ import annotations

import os
import platform
import statistics
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

BEGIN, END = "<!-- bench.api -->", "<!-- end of bench.api -->"
GOAL_RATIO, GOAL_MEMORY_MB = 3.0, 150.0


@dataclass(frozen=True)
class Load:
    """What a client saw: latencies in seconds, and the CPU time that it used itself."""

    latencies: list[float]
    cpu_seconds: float
    server_cpu_seconds: float
    requests: int
    """All that were answered, the warm-up's too."""

    @property
    def server_cpu_ms(self) -> float:
        """The server process's CPU time for one request: what noise of the machine distorts least."""
        return self.server_cpu_seconds / max(1, self.requests) * 1000

    @property
    def client_cpu_ms(self) -> float:
        """The client's own CPU time for one request, its start included."""
        return self.cpu_seconds / max(1, self.requests) * 1000


@dataclass(frozen=True)
class Row:
    """One read at one number of clients."""

    name: str
    clients: int
    statements: int
    goal: bool
    empty: Load
    sql: list[float]
    read: Load

    @property
    def ratio(self) -> float:
        """p99 of the read in times of the empty route's."""
        return percentile(self.read.latencies, 99) / percentile(self.empty.latencies, 99)

    @property
    def median_ratio(self) -> float:
        """As `ratio`, of the medians."""
        return percentile(self.read.latencies, 50) / percentile(self.empty.latencies, 50)

    def line(self) -> str:
        """As a line of the table."""
        cells = [self.name, str(self.clients), str(self.statements)]
        for latencies in (self.empty.latencies, self.sql, self.read.latencies):
            cells += [f"{percentile(latencies, 50) * 1000:.2f}", f"{percentile(latencies, 99) * 1000:.2f}"]
        cells += [f"{self.median_ratio:.1f}", f"{self.ratio:.1f}"]
        cells += [f"{load.server_cpu_ms:.2f}" for load in (self.empty, self.read)]
        return "| " + " | ".join(cells) + " |"


@dataclass(frozen=True)
class Result:
    """A whole run."""

    rows: list[Row]
    bare: dict[int, Load]
    memory: dict[str, dict[str, float]]
    tasks: int
    executions: int
    seconds: float


def percentile(values: list[float], percent: int) -> float:
    """The value below which so many percent lie."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def render(result: Result) -> list[str]:
    """The section for docs/benchmarks.md."""
    beyond = result.memory["api, after it"]["pss"] - result.memory["bare, after it"]["pss"]
    lines = [
        f"{result.tasks:,} tasks of one owner, {result.executions:,} executions with attempts and logs, a tenth of them"
        " of one task (the busy one).",
        f"Python {platform.python_version()}, {os.cpu_count()} cores shared with the client and PostgreSQL,"
        f" {datetime.now(UTC):%Y-%m-%d}; {result.seconds:g} s a measurement. p50 and p99 in milliseconds.",
        "",
        "| read | clients | SQL statements | empty p50 | empty p99 | SQL p50 | SQL p99 | read p50 | read p99 |"
        " p50 ÷ empty | p99 ÷ empty | CPU empty | CPU read |",
        "| --- " * 13 + "|",
        *(row.line() for row in result.rows),
        "",
        "*empty*: a route of the same server that does nothing. *SQL*: the same statements over psycopg2 alone."
        " *CPU*: milliseconds that the API process computes for one request.",
        "",
    ]
    for clients, load in result.bare.items():
        lines.append(
            f"- A bare FastAPI process answers the empty route in p50 {percentile(load.latencies, 50) * 1000:.2f} ms,"
            f" p99 {percentile(load.latencies, 99) * 1000:.2f} ms at {clients} clients; the load client itself uses"
            f" {load.client_cpu_ms:.2f} ms of CPU a request."
        )
    for row in result.rows:
        if row.goal:
            met = "met" if row.ratio <= GOAL_RATIO else "NOT met"
            lines.append(f"- Goal, {row.name} at {row.clients} clients: {row.ratio:.1f} ≤ {GOAL_RATIO:g} times: {met}.")
    lines.append(
        f"- Memory (PSS): API {result.memory['api, idle']['pss']:.0f} MB idle,"
        f" {result.memory['api, after it']['pss']:.0f} MB after the run; bare FastAPI with the same imports"
        f" {result.memory['bare, after it']['pss']:.0f} MB. Goal, {beyond:.0f} < {GOAL_MEMORY_MB:g} MB beyond it:"
        f" {'met' if beyond < GOAL_MEMORY_MB else 'NOT met'}."
    )
    return lines


def write(path: Path, lines: list[str]) -> None:
    """Puts the section between its marks, or at the end of the file."""
    text = path.read_text() if path.exists() else "# Benchmarks\n"
    if BEGIN not in text:
        text = text.rstrip("\n") + f"\n\n## Reads of the REST API\n`python3 -m bench.api --write`\n\n{BEGIN}\n{END}\n"
    before, rest = text.split(BEGIN, 1)
    path.write_text(before + "\n".join([BEGIN, *lines, END]) + rest.split(END, 1)[1])
