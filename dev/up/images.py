"""The images of product, database and demo: built and brought to the node, or named by whoever gave the cluster."""

from __future__ import annotations

import os

from cluster.settings import find_layout
from images import product
from up.commands import failure
from up.target import Target

PUBLIC_PYTHON = "python:3.11-slim-bookworm"
PUBLIC_POSTGRES = "postgres:16"


def ensure_images(target: Target) -> dict[str, str]:
    """The names of `app`, `postgres` and `demo` (it has sh and python3), such as the cluster's node has them.

    On a given cluster nothing is built: its nodes pull, so the product's image is named by CRONWRIGHT_IMAGE.
    """
    if target.kind != "given":
        return product.ensure_images(find_layout(), target.kind)
    app = os.environ.get("CRONWRIGHT_IMAGE")
    if not app:
        raise failure(
            f"the nodes of {target.context} have to pull the product's image, and none is named",
            "Build the Dockerfile, push it to a registry that the cluster reaches, and name it in CRONWRIGHT_IMAGE.",
        )
    return {
        "app": app,
        "postgres": os.environ.get("CRONWRIGHT_POSTGRES_IMAGE", PUBLIC_POSTGRES),
        "demo": os.environ.get("CRONWRIGHT_DEMO_IMAGE", PUBLIC_PYTHON),
    }
