"""Prometheus' own programs, for tests of rules and dashboards: from PATH, or unpacked from Debian's package (19 MB).

Nothing is installed: the package would start a server.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path


class NoPromtool(Exception):
    """There is none and none can be had; the text says what to do."""


@cache
def find(program: str = "promtool") -> str:
    """The path of `promtool` or `prometheus`: CRONWRIGHT_PROMTOOL's folder, PATH, the cache, or Debian's package.

    Raises NoPromtool.
    """
    given = os.environ.get("CRONWRIGHT_PROMTOOL")
    found = str(Path(given).with_name(program)) if given else shutil.which(program)
    if found:
        return found
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(os.environ.get("CRONWRIGHT_CACHE") or Path(home) / "cronwright") / "prometheus"
    unpacked = folder / "usr" / "bin" / program
    if not unpacked.exists():
        _unpack(folder)
    return str(unpacked)


def _unpack(folder: Path) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise NoPromtool("no promtool: put one on PATH, or name it in CRONWRIGHT_PROMTOOL")
    work = folder.with_name(f"prometheus.{os.getpid()}")
    work.mkdir(parents=True, exist_ok=True)
    try:
        # Lists of packages may be missing or old on a new machine; only then they are fetched, which needs root.
        for command in (["apt-get", "download", "prometheus"], ["apt-get", "update", "-q"], None):
            if command is None:
                _run(["apt-get", "download", "prometheus"], work, check=True)
            elif _run(command, work, check=False) and list(work.glob("*.deb")):
                break
        (package,) = work.glob("*.deb")
        _run(["dpkg", "-x", str(package), str(work / "root")], work, check=True)
        if not folder.exists():
            (work / "root").rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run(command: list[str], folder: Path, *, check: bool) -> bool:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if check and done.returncode != 0:
        raise NoPromtool(f"{' '.join(command)}: {done.stderr.strip()[-300:]}")
    return done.returncode == 0
