"""`cronwright clean-workspace`: what the cleaning Job runs. Needs neither a cluster nor a database."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from cronwright_operator.workspaces.clean import clean, parse_entry

SECONDS = 480
"""After this time no further directory is begun: the report comes before the Job's deadline of ten minutes."""


def run(argv: Sequence[str]) -> int:
    """Removes the directories and writes the report as JSON, at last to standard output too; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="cronwright clean-workspace",
        description="Removes directories of ended executions from a workspace volume. Run by the operator.",
    )
    parser.add_argument("--root", required=True, help="where the volume is mounted")
    parser.add_argument("--report", type=Path, help="a file for the report, such as /dev/termination-log")
    parser.add_argument("entries", nargs="*", metavar="NAME=SECONDS", help="a directory and when its execution ended")
    options = parser.parse_args(argv)
    try:
        entries = [parse_entry(text) for text in options.entries]
    except ValueError as error:
        print(f"cronwright clean-workspace: {error}", file=sys.stderr)
        return 2
    until = time.monotonic() + SECONDS
    try:
        report = clean(options.root, entries, enough=lambda: time.monotonic() > until)
    except OSError as error:
        print(f"cronwright clean-workspace: {options.root}: {error.strerror}", file=sys.stderr)
        return 1
    text = report.to_json()
    print(text)
    if options.report is not None:
        options.report.write_text(text)
    return 0
