"""What came out of the parts: the time each took, and how many tests it really ran."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.console import format_duration, say
from up.commands import failure


@dataclass
class Row:
    """One part of the table."""

    name: str
    outcome: str = "running"
    elapsed: float = 0.0
    note: str = ""


class Table:
    """The parts so far; `passed` is false as long as one of them failed or none ran."""

    def __init__(self) -> None:
        self._rows: list[Row] = []

    @property
    def passed(self) -> bool:
        """Whether at least one part ran and all that ran succeeded."""
        return bool(self._rows) and all(row.outcome == "passed" for row in self._rows)

    @contextmanager
    def timed(self, name: str) -> Iterator[Row]:
        """Time a part; an exception marks it as failed and goes on."""
        row = Row(name)
        self._rows.append(row)
        begin = time.monotonic()
        try:
            yield row
            row.outcome = "passed"
        except BaseException:
            row.outcome = "FAILED"
            raise
        finally:
            row.elapsed = time.monotonic() - begin

    def show(self) -> None:
        """Print the table with its total."""
        say(f"\n{'part':<16} {'time':>12}  result")
        for row in self._rows:
            say(
                f"{row.name:<16} {format_duration(row.elapsed):>12}  {row.outcome}{'  ' + row.note if row.note else ''}"
            )
        total = sum(row.elapsed for row in self._rows)
        failed = ", ".join(row.name for row in self._rows if row.outcome != "passed")
        verdict = "all passed" if self.passed else (f"FAILED in {failed}" if failed else "nothing ran")
        say(f"{'total':<16} {format_duration(total):>12}  {verdict}")


@dataclass(frozen=True)
class Counts:
    """How many tests a pytest run held."""

    total: int
    skipped: int

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.total + other.total, self.skipped + other.skipped)

    def __str__(self) -> str:
        return f"{self.total - self.skipped} tests" + (f", {self.skipped} skipped" if self.skipped else "")


def read_counts(report: Path) -> Counts:
    """The counts of a JUnit report.

    Raises Failure when no test ran: a run that collects nothing, or skips everything, has shown nothing.
    """
    try:
        suites = list(ElementTree.parse(report).iter("testsuite"))
    except (OSError, ElementTree.ParseError) as error:
        raise failure(f"pytest left no report in {report.name}: {error}") from error
    counts = Counts(
        total=sum(int(suite.get("tests", "0")) for suite in suites),
        skipped=sum(int(suite.get("skipped", "0")) for suite in suites),
    )
    if counts.total - counts.skipped <= 0:
        raise failure(
            f"no test ran ({counts.total} collected, {counts.skipped} skipped)",
            "Look at the reasons for skipping above: something that the tests need is missing.",
        )
    return counts
