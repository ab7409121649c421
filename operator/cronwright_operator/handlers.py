"""All kopf decorators. Handlers unpack an event and hand it over; they hold no rule and write nothing.

`on.event` only: it needs no annotation, no finalizer and no timer on users' objects. kopf neither retries it nor
reports deletions that fell into a watch gap, so the operator also lists from time to time (`upkeep.resync`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kopf

from cronwright_core.domain import naming

Sink = Callable[[str, str | None, dict[str, Any]], None]
"""Called with (kind, event type, body); the type is None for an object of the first listing."""


def build_registry(sink: Sink) -> kopf.OperatorRegistry:
    """A registry of its own, so that nothing depends on kopf's global one."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        # The same credentials as our own client's; kopf asks again after a 401, when the Pod's token was renewed.
        return kopf.login_via_client(**kwargs)

    @kopf.on.event(naming.GROUP, naming.VERSION, naming.TASK_PLURAL, registry=registry)
    def task_event(type: str | None, body: kopf.Body, **_: Any) -> None:
        sink("ScheduledTask", type, dict(body))

    @kopf.on.event(naming.GROUP, naming.VERSION, naming.PROJECT_PLURAL, registry=registry)
    def project_event(type: str | None, body: kopf.Body, **_: Any) -> None:
        sink("Project", type, dict(body))

    return registry


def build_settings() -> kopf.OperatorSettings:
    """kopf's settings, each with its reason."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False  # our events are posted by us, at a rate that we choose
    settings.scanning.disabled = True  # no right to watch CRDs and namespaces is needed
    settings.watching.chunk_size = 500  # 10 000 tasks listed at once cost 37 MB more
    settings.watching.inactivity_timeout = 90  # bookmarks come once a minute; a silent watch is dead
    settings.networking.request_timeout = 30
    settings.queueing.idle_timeout = 0.5  # a worker per object ends soon; thousands of idle ones cost memory
    settings.process.ultimate_exiting_timeout = None  # the process is ours to end, not kopf's
    return settings
