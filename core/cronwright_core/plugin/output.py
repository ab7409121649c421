"""Where the plugin's words go: results to standard output, all else to standard error, so pipes get results only."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """A line of the result."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def write(text: str) -> None:
    """A text of whole lines of the result."""
    sys.stdout.write(text)
    sys.stdout.flush()


def note(text: str) -> None:
    """A line about what is being done."""
    sys.stderr.write(f"cronwright: {text}\n")
    sys.stderr.flush()
