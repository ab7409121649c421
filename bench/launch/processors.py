"""Who computes between the tick and the last Job: processor time of each process, from proc(5)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

Times = dict[str, float]
"""Seconds of processor time, by the process's name."""


def read(pids: Mapping[str, int]) -> Times:
    """What each process, by its name, has used so far; one that is gone is left out."""
    times = {}
    for name, pid in pids.items():
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        fields = text.rpartition(")")[2].split()
        times[name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return times


def used(before: Times, after: Times) -> Times:
    """What each has used between two readings."""
    return {name: after[name] - begun for name, begun in before.items() if name in after}
