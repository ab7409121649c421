"""One Dockerfile to one image, with Docker where an engine answers, else with buildah; nothing is done if nothing
changed.
"""

from __future__ import annotations

import configparser
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster import kind
from cluster.console import step
from cluster.packages import IMAGE_PACKAGES, ensure_packages, require_root
from cluster.settings import Layout
from images import buildah, docker
from images.base import archive_of, ensure_base
from images.context import compute_tag, copy_context

DOCKER_BASE = "python:3.11-slim-bookworm"

# Of the host's pip settings those that say how to reach the package index; the rest (find-links, cache) are paths of
# the host.
PIP_SETTINGS = ("index_url", "extra_index_url", "trusted_host", "default_timeout", "proxy", "retries")
HOST_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
BUILD_CERTIFICATES = "/run/cronwright-build/ca.crt"
BUILD_PIP_CONFIG = "/etc/pip.conf"


@dataclass(frozen=True)
class BuiltImage:
    """An image that is ready to be brought to a node: its name (tagged by content) and its docker-archive."""

    name: str
    archive: Path


def uses_docker() -> bool:
    """Whether images are built with Docker: an engine answers and reaches a registry, or holds the base already."""
    return kind.is_engine_answering() and docker.can_get(DOCKER_BASE)


def build_image(
    layout: Layout, name: str, dockerfile: Path, context: Path, arguments: Mapping[str, str] | None = None
) -> BuiltImage:
    """Builds `localhost/<name>:<hash of content>` unless its archive is in the cache. BASE_IMAGE is given unless it
    is set.

    Raises ClusterError with the end of the builder's output.
    """
    given = dict(arguments or {})
    if "BASE_IMAGE" not in given:
        given["BASE_IMAGE"] = DOCKER_BASE if uses_docker() else ensure_base(layout)
    layout.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="context-", dir=layout.cache) as temporary:
        folder = Path(temporary) / "context"
        copy_context(context, dockerfile, folder)
        image = f"localhost/{name}:{compute_tag(folder, given)}"
        archive = archive_of(layout, image)
        if not archive.exists():
            with step(f"image {name}") as current:
                # An image of buildah's own storage is unknown to Docker.
                if uses_docker() and not given["BASE_IMAGE"].startswith("localhost/"):
                    docker.build_image(layout, image, folder, given, current)
                    docker.write_archive(image, archive)
                else:
                    require_root()
                    ensure_packages(IMAGE_PACKAGES)
                    command = build_buildah_command(image, folder, given, Path(temporary))
                    buildah.run_buildah(layout, command, current)
                    buildah.write_archive(layout, image, archive, current)
            _forget_older(layout, archive, name)
    return BuiltImage(image, archive)


def build_buildah_command(image: str, folder: Path, arguments: Mapping[str, str], temporary: Path) -> list[str]:
    """The `buildah bud` command. chroot isolation needs no capability that this kind of machine lacks.

    How the host reaches its package index (a proxy's certificate, another index) is mounted, not set as environment:
    nothing of it shall stay in the image.
    """
    config = temporary / "pip.conf"
    certificates = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE") or HOST_CERTIFICATES
    has_certificates = Path(certificates).is_file()
    with config.open("w") as output:
        write_pip_config(os.environ, has_certificates).write(output)
    mounts = ["--volume", f"{config}:{BUILD_PIP_CONFIG}:ro"]
    if has_certificates:
        mounts += ["--volume", f"{certificates}:{BUILD_CERTIFICATES}:ro"]
    settings = [option for name, value in arguments.items() for option in ("--build-arg", f"{name}={value}")]
    return [
        *("bud", "--isolation", "chroot", "--network", "host", "--layers", "--pull-never", "--format", "docker"),
        *mounts,
        *settings,
        *("--tag", image, "--file", str(folder / "Dockerfile"), str(folder)),
    ]


def write_pip_config(environment: Mapping[str, str], has_certificates: bool) -> configparser.ConfigParser:
    """The host's PIP_* variables as a pip.conf. Interpolation is off: an index address may hold a percent sign."""
    config = configparser.ConfigParser(interpolation=None)
    config["global"] = {}
    if has_certificates:
        config["global"]["cert"] = BUILD_CERTIFICATES
    for name in PIP_SETTINGS:
        value = environment.get(f"PIP_{name.upper()}")
        if value:
            config["global"][name.replace("_", "-")] = value
    return config


def _forget_older(layout: Layout, archive: Path, name: str) -> None:
    """Keeps the newest three archives of an image: every change of the code makes one, and they are large."""
    siblings = sorted(archive.parent.glob(f"{name}-????????????.tar"), key=lambda path: path.stat().st_mtime)
    for path in siblings[:-3]:
        path.unlink(missing_ok=True)
        buildah.remove_image(layout, f"localhost/{name}:{path.stem.rpartition('-')[2]}")
