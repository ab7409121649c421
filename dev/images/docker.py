"""Calls of a Docker engine, where there is one."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from cluster.console import Step
from cluster.errors import ClusterError, last_lines
from cluster.settings import Layout


def has_image(image: str) -> bool:
    """Whether the engine holds an image of this name."""
    return subprocess.run(["docker", "image", "inspect", image], capture_output=True).returncode == 0


def can_get(image: str) -> bool:
    """Whether the engine holds an image or can pull it now; without a registry it cannot."""
    return has_image(image) or subprocess.run(["docker", "pull", "--quiet", image], capture_output=True).returncode == 0


def build_image(layout: Layout, image: str, folder: Path, arguments: Mapping[str, str], current: Step) -> None:
    """Builds the Dockerfile in the folder. Raises ClusterError with the end of the engine's output."""
    log = layout.cache / "logs" / "docker.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    settings = [option for name, value in arguments.items() for option in ("--build-arg", f"{name}={value}")]
    command = ["docker", "build", "--progress=plain", "--network=host", *settings, "--tag", image, str(folder)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        current.detail = lambda: (last_lines(log, 1) or [""])[0].strip()[:80]
        code = process.wait()
    if code != 0:
        raise ClusterError("docker build failed:\n    " + "\n    ".join(last_lines(log, 25)), f"All of it: {log}")
    current.detail = ""


def write_archive(image: str, archive: Path) -> None:
    """Saves an image as a docker-archive, whole or not at all."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    temporary = archive.with_name(f".{archive.name}.part")
    answer = subprocess.run(["docker", "save", "--output", str(temporary), image], capture_output=True, text=True)
    if answer.returncode != 0:
        temporary.unlink(missing_ok=True)
        raise ClusterError(f"docker save {image}: {answer.stderr.strip()}")
    temporary.rename(archive)
