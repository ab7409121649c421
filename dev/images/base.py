"""The base image: a small Debian with Python, made with debootstrap, for machines that reach no image registry."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from cluster.console import step
from cluster.errors import ClusterError, last_lines
from cluster.packages import IMAGE_PACKAGES, ensure_packages, require_root
from cluster.settings import Layout
from images.buildah import has_image, run_buildah, write_archive

NAME = "localhost/cronwright-base"
RECIPE = Path(__file__).resolve().parent / "base" / "recipe.json"


def base_image_name(recipe: Path = RECIPE) -> str:
    """The image's name with a tag that changes when the recipe does."""
    digest = hashlib.sha256(recipe.read_bytes() + os.uname().machine.encode()).hexdigest()
    return f"{NAME}:{digest[:12]}"


def archive_of(layout: Layout, image: str) -> Path:
    """Where the docker-archive of an image lies in the cache folder."""
    return layout.cache / "images" / f"{image.replace('localhost/', '').replace('/', '_').replace(':', '-')}.tar"


def ensure_base(layout: Layout) -> str:
    """Builds the base image unless buildah's storage or an archive in the cache has it; answers its name.

    Needs root. The archive lets a machine whose buildah storage was emptied skip the two minutes of debootstrap.
    """
    require_root()
    ensure_packages(IMAGE_PACKAGES)
    image = base_image_name()
    archive = archive_of(layout, image)
    if not has_image(layout, image):
        if archive.exists():
            with step("base image from cache") as current:
                run_buildah(layout, ["pull", "--quiet", f"docker-archive:{archive}"], current)
        else:
            _make_base(layout, image)
    if not archive.exists():
        with step("base image archive") as current:
            write_archive(layout, image, archive, current)
    run_buildah(layout, ["tag", image, f"{NAME}:dev"])
    return image


def _make_base(layout: Layout, image: str) -> None:
    recipe: dict[str, Any] = json.loads(RECIPE.read_text())
    layout.cache.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="base-", dir=layout.cache))
    root = folder / "root"
    try:
        with step("debootstrap") as current:
            log = folder / "debootstrap.log"
            command = [
                *("debootstrap", "--variant=minbase", f"--include={','.join(recipe['include'])}"),
                *(recipe["suite"], str(root), *_mirror(recipe["suite"])),
            ]
            with log.open("wb") as output:
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
                current.detail = lambda: (last_lines(log, 1) or [""])[0][:70]
                if process.wait() != 0:
                    raise ClusterError(
                        "debootstrap failed:\n    " + "\n    ".join(last_lines(log)),
                        "Is the Debian mirror of this machine's apt reachable (http_proxy)?",
                    )
            current.detail = ""
        with step("base image") as current:
            _slim(root, recipe["empty"])
            container = run_buildah(layout, ["from", "--pull-never", "scratch"])
            run_buildah(layout, ["add", "--quiet", container, str(root), "/"], current)
            settings = [option for value in recipe["config"]["env"] for option in ("--env", value)]
            run_buildah(layout, ["config", *settings, "--cmd", recipe["config"]["cmd"], container])
            run_buildah(layout, ["commit", "--quiet", "--rm", container, image], current)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _mirror(suite: str) -> list[str]:
    """The mirror that this machine's apt uses for the suite; none: debootstrap's own default."""
    command = ["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = [line.split(" ", 1)[1] for line in done.stdout.splitlines() if line.startswith(f"{suite} ")]
    return found[:1]


def _slim(root: Path, folders: list[str]) -> None:
    """Empties folders that an image does not need; the folders themselves stay, since packages expect them."""
    for name in folders:
        folder = root / name
        if not folder.is_dir():
            continue
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    # debootstrap leaves the host's name and resolver behind.
    for name in ("etc/hostname", "etc/resolv.conf"):
        (root / name).unlink(missing_ok=True)
