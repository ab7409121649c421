"""What a process uses of memory and CPU."""

from __future__ import annotations

import os
import re
from pathlib import Path


def memory_mb(pid: int) -> dict[str, float]:
    """`pss` (shared pages counted in part) and `rss`, in MB of 1024 × 1024 bytes."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {
        name.lower(): int(re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)[1]) / 1024  # type: ignore[index]
        for name in ("Pss", "Rss")
    }


def cpu_seconds(pid: int) -> float:
    """User and system time of all its threads so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
