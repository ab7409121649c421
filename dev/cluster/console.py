"""What the terminal shows: one line a step with its time, and a sign of life every five seconds in between."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PROGRESS_SECONDS = 5.0
NAME_WIDTH = 30


class Step:
    """A step under way. `detail` is shown beside the elapsed time while it lasts and when it is done."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.detail: str | Callable[[], str] = ""
        self.started = time.monotonic()

    @property
    def elapsed_seconds(self) -> float:
        return time.monotonic() - self.started

    def describe(self) -> str:
        return self.detail() if callable(self.detail) else self.detail


def say(text: str) -> None:
    """Prints a line at once, also into a pipe."""
    print(text, flush=True)


def complain(text: str) -> None:
    """Prints a line to standard error at once."""
    print(text, file=sys.stderr, flush=True)


def format_duration(seconds: float) -> str:
    """`4.1 s` below a minute, `2 min 05 s` above."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


@contextmanager
def step(name: str, *, quiet_below_seconds: float = 0.0) -> Iterator[Step]:
    """Times what runs inside and prints `  name   4.1 s` at its end; every five seconds it shows how far it is.

    A step shorter than `quiet_below_seconds` prints nothing. On an exception the line says "failed" and the exception
    goes on.
    """
    current = Step(name)
    done = threading.Event()

    def report() -> None:
        while not done.wait(PROGRESS_SECONDS):
            detail = current.describe()
            say(f"    ... {name}: {format_duration(current.elapsed_seconds)}{', ' + detail if detail else ''}")

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        yield current
    except BaseException:
        done.set()
        reporter.join()
        say(f"  {name:<{NAME_WIDTH}} failed after {format_duration(current.elapsed_seconds)}")
        raise
    done.set()
    reporter.join()
    if current.elapsed_seconds >= quiet_below_seconds:
        detail = current.describe()
        say(f"  {name:<{NAME_WIDTH}} {format_duration(current.elapsed_seconds):>8}{'  ' + detail if detail else ''}")
