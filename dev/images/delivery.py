"""Bringing images to the cluster's node, if they are not there already."""

from __future__ import annotations

import subprocess

from cluster import containerd
from cluster.choice import KIND_NAME
from cluster.console import step
from cluster.errors import ClusterError
from cluster.settings import Layout
from images.base import archive_of
from images.builder import BuiltImage


def deliver(layout: Layout, image: BuiltImage, kind: str) -> None:
    """Imports the image into the node of the `built` or the `kind` cluster and tags it `:dev` there as well."""
    if kind == "kind":
        _deliver_to_kind(image)
        return
    if image.name not in containerd.list_images(layout):
        with step(f"{image.name.split(':')[0].removeprefix('localhost/')} to the node"):
            containerd.import_archive(layout, image.archive)
            containerd.remove_images(layout, find_obsolete(layout, image))
    containerd.tag_image(layout, image.name, f"{image.name.split(':')[0]}:dev")


def find_obsolete(layout: Layout, image: BuiltImage) -> list[str]:
    """Older builds of an image on the node whose archive is gone from the cache and which no container uses.

    The kubelet's own cleaning is off, since it cannot know which images could be had again.
    """
    repository = image.name.rpartition(":")[0]
    candidates = [name for name in containerd.list_images(layout) if name.startswith(f"{repository}:")]
    used = containerd.list_images_in_use(layout) | {image.name, f"{repository}:dev"}
    return [name for name in candidates if name not in used and not archive_of(layout, name).exists()]


def _deliver_to_kind(image: BuiltImage) -> None:
    node = f"{KIND_NAME}-control-plane"
    listing = subprocess.run(["docker", "exec", node, "crictl", "images", "-o", "json"], capture_output=True, text=True)
    if f'"{image.name}"' in listing.stdout:
        return
    with step(f"{image.name} to kind"):
        command = ["kind", "load", "image-archive", "--name", KIND_NAME, str(image.archive)]
        answer = subprocess.run(command, capture_output=True, text=True)
        if answer.returncode != 0:
            raise ClusterError(f"kind load image-archive failed: {answer.stderr.strip()}")
