"""The commands of a page of documentation, run as they are printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"(?:^    .*\n(?:\n(?=    ))?)+", re.M)


def blocks(path: str, begin: str = "", end: str | None = None) -> list[str]:
    """The indented blocks of a page, between two of its headings."""
    text = (ROOT / path).read_text(encoding="utf-8")
    part = text.split(begin, 1)[1] if begin else text
    part = part.split(end, 1)[0] if end else part
    found = [re.sub("^    ", "", block, flags=re.M) for block in _BLOCK.findall(part)]
    assert found, f"{path} has no commands under {begin}"
    return found


def run(script: Sequence[str], folder: Path, **variables: str) -> str:
    """Runs the blocks one after the other in one shell; every command must succeed. Returns what was printed."""
    program = os.environ.get("CRONWRIGHT_KUBECTL")
    link = folder / "kubectl"
    if program and not link.exists():
        link.symlink_to(program)
    path = f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", "\n".join(["set -euo pipefail", *script])],
        env={**os.environ, "PATH": path, **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr
