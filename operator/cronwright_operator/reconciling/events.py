"""Kubernetes events on ScheduledTasks: what `kubectl describe` shows. Best effort; the condition says the same."""

from __future__ import annotations

import logging
from datetime import datetime

from cronwright_core.domain import naming
from cronwright_core.domain.task import ScheduledTask
from cronwright_core.domain.times import to_rfc3339
from cronwright_core.kube.errors import KubeError
from cronwright_core.kube.ports import ObjectClient
from cronwright_core.kube.resources import EVENTS
from cronwright_operator.reconciling.actions import Event

logger = logging.getLogger(__name__)

_MESSAGE_LENGTH = 1024
"""The API server refuses longer notes (events.k8s.io/v1)."""


class EventPoster:
    """Posts events; a failure is logged and forgotten."""

    def __init__(self, client: ObjectClient, reporter: str) -> None:
        self._client = client
        self._reporter = reporter

    async def post(self, task: ScheduledTask, event: Event, now: datetime) -> None:
        """Creates an event on the task."""
        stamp = to_rfc3339(now)
        name = f"{task.name[:200]}.{naming.short_hash(task.uid, event.reason, event.message, stamp, length=16)}"
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": task.namespace},
            "involvedObject": {
                "apiVersion": naming.API_VERSION,
                "kind": "ScheduledTask",
                "namespace": task.namespace,
                "name": task.name,
                "uid": task.uid,
                "resourceVersion": task.resource_version,
            },
            "type": event.type,
            "reason": event.reason,
            "message": event.message[:_MESSAGE_LENGTH],
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
            "source": {"component": "cronwright-operator"},
            "reportingComponent": "cronwright-operator",
            "reportingInstance": self._reporter,
        }
        try:
            await self._client.create(EVENTS, task.namespace, body)
        except KubeError as error:
            logger.info("an event could not be posted: %s", error)
