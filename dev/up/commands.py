"""Running other programs: their output as text, and when one fails, an error that shows the end of what it said."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from cluster.console import complain, format_duration
from cluster.errors import ClusterError

ROOT = Path(__file__).resolve().parents[2]


def failure(what: str, todo: str = "", details: str = "") -> ClusterError:
    """An error with the lines that show it below what is wrong."""
    return ClusterError(what + "".join(f"\n    {line}" for line in details.splitlines()), todo)


def last_of(text: str, lines: int = 15) -> str:
    """The last lines of a text that hold anything."""
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout_seconds: float = 600,
    todo: str = "",
) -> str:
    """Run a command and return its standard output; `env` is added to this process's own.

    Raises ClusterError with the command and the end of what it printed.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
    except FileNotFoundError as error:
        raise failure(f"{words[0]} is not there", todo or f"Install {words[0]} and run the command again.") from error
    except subprocess.TimeoutExpired as error:
        shown = shlex.join(words[:6])
        raise failure(f"`{shown}` did not end within {format_duration(timeout_seconds)}", todo) from error
    if done.returncode != 0:
        shown = shlex.join(words[:6])
        raise failure(f"`{shown}` failed with code {done.returncode}", todo, last_of(done.stdout + done.stderr))
    return done.stdout


def stream(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> int:
    """Run a command whose output passes through; return its exit code."""
    sys.stdout.flush()
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=ROOT, env={**os.environ, **(env or {})}, check=False).returncode


def read_pairs(text: str) -> dict[str, str]:
    """The KEY=VALUE lines of a text."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.lstrip().startswith("#"))
    return {key.strip(): value.strip() for key, value in pairs}


def report(error: ClusterError) -> None:
    """Print an error: what is wrong, and what to do."""
    sys.stdout.flush()
    complain(f"\nFAILED: {error.message}")
    if error.advice:
        complain(f"\nWhat to do: {error.advice}")
