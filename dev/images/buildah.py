"""Calls of buildah, with a storage of our own in the cache folder, leaving the machine's other images alone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cluster.console import Step
from cluster.errors import ClusterError, last_lines
from cluster.settings import Layout


def storage_options(layout: Layout) -> list[str]:
    """Where buildah keeps its layers (the cache) and its locks and mounts (gone at reboot)."""
    root = layout.cache / "buildah"
    root.mkdir(parents=True, exist_ok=True)
    return ["--root", str(root), "--runroot", "/run/cronwright-buildah"]


def run_buildah(layout: Layout, arguments: Sequence[str], current: Step | None = None) -> str:
    """Runs one buildah command and answers the last line it prints; its output goes to a log in the cache folder.

    Shows the newest line as the step's detail. Raises ClusterError with the end of the log.
    """
    logs = layout.cache / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / "buildah.log"
    command = ["buildah", *storage_options(layout), *arguments]
    with log.open("wb") as output:
        output.write((" ".join(command) + "\n").encode())
        output.flush()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        if current is not None:
            current.detail = lambda: (last_lines(log, 1) or [""])[0].strip()[:80]
        try:
            code = process.wait()
        except BaseException:
            process.terminate()
            raise
    if code != 0:
        # The line that failed stands some way above buildah's own closing words.
        ending = "\n    ".join(last_lines(log, 25))
        raise ClusterError(f"buildah {arguments[0]} failed ({code}):\n    {ending}", f"The whole output is in {log}.")
    if current is not None:
        current.detail = ""
    return (last_lines(log, 1) or [""])[0].strip()


def has_image(layout: Layout, image: str) -> bool:
    """Whether buildah's storage holds an image of this name."""
    command = ["buildah", *storage_options(layout), "inspect", "--type", "image", image]
    return subprocess.run(command, capture_output=True).returncode == 0


def remove_image(layout: Layout, image: str) -> None:
    """Removes an image and the layers that no other image uses; one that is not there, or in use, is left as it is."""
    subprocess.run(["buildah", *storage_options(layout), "rmi", image], capture_output=True)


def write_archive(layout: Layout, image: str, archive: Path, current: Step | None = None) -> None:
    """Writes an image of buildah's storage as a docker-archive, whole or not at all."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    temporary = archive.with_name(f".{archive.name}.{os.getpid()}")
    # docker-archive refuses to write into a file that exists.
    temporary.unlink(missing_ok=True)
    try:
        run_buildah(layout, ["push", "--quiet", image, f"docker-archive:{temporary}:{image}"], current)
        temporary.rename(archive)
    finally:
        temporary.unlink(missing_ok=True)
