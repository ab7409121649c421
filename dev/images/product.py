"""The images that a local installation needs: the product's own, PostgreSQL, and one with a shell and Python for
example tasks.
"""

from __future__ import annotations

from pathlib import Path

from cluster.settings import Layout
from images.base import archive_of, ensure_base
from images.builder import DOCKER_BASE, BuiltImage, build_image, uses_docker
from images.delivery import deliver

REPOSITORY = Path(__file__).resolve().parents[2]
OFFICIAL_POSTGRES = "postgres:16"


def ensure_images(layout: Layout, kind: str) -> dict[str, str]:
    """Builds what changed and brings it to the node of a `built` or `kind` cluster; answers image names for app,
    postgres and demo.

    Where Docker reaches a registry, PostgreSQL and the demo image are the official ones, and the node pulls them
    itself.
    """
    app = build_image(layout, "cronwright", REPOSITORY / "Dockerfile", REPOSITORY)
    deliver(layout, app, kind)
    if uses_docker() and kind == "kind":
        return {"app": app.name, "postgres": OFFICIAL_POSTGRES, "demo": DOCKER_BASE}
    # The node of the built cluster reaches no registry, Docker or not.
    base_name = ensure_base(layout)
    demo = BuiltImage(base_name, archive_of(layout, base_name))
    deliver(layout, demo, kind)
    postgres = build_postgres(layout, base_name)
    deliver(layout, postgres, kind)
    return {"app": app.name, "postgres": postgres.name, "demo": demo.name}


def build_postgres(layout: Layout, base_name: str) -> BuiltImage:
    """Builds the PostgreSQL image on the Debian base."""
    folder = REPOSITORY / "dev" / "images" / "postgres"
    return build_image(layout, "cronwright-postgres", folder / "Dockerfile", folder, {"BASE_IMAGE": base_name})
