"""The smallest kopf operator that watches what Cronwright's watches: what the framework alone costs.

It keeps each object's body, as any operator with a cache must, and does nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import kopf

KEPT: dict[str, Any] = {}


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: object) -> None:
    """No events and no peering."""
    settings.posting.enabled = False


@kopf.on.event("cronwright.dev", "v1", "scheduledtasks")
@kopf.on.event("cronwright.dev", "v1", "projects")
@kopf.on.event("batch", "v1", "cronjobs")
@kopf.on.event("batch", "v1", "jobs")
@kopf.on.event("", "v1", "pods")
def keep(body: kopf.Body, uid: str, **_: object) -> None:
    """Keep the newest body."""
    KEPT[uid] = dict(body)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(kopf.operator(standalone=True, clusterwide=True))
