"""The installation as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """The active operator's last sign of life. `installation` None: of a release that gave no name."""

    holder: str
    version: str
    time: datetime
    tz_release: str
    details: Mapping[str, Any]
    installation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemSnapshot:
    """Counts over the whole installation. `active_tasks` are neither paused nor finished; `completed_executions` ended
    since the instant that was asked for.
    """

    active_tasks: int
    pending_executions: int
    running_executions: int
    completed_executions: int
    heartbeat: Heartbeat | None


@dataclass(frozen=True, slots=True)
class Notification:
    """A PostgreSQL notification: that something was committed. `payload` is JSON, see `notifications`."""

    channel: str
    payload: str
