"""Ticks that fell due while the API server refused the task's Jobs (a quota, an admission rule). Pure.

A refused tick stays open until the next one is due: then it is over without a run, and the history says why. It is not
a missed one, as somebody was there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from cronwright_core.domain.task import ScheduledTask
from cronwright_core.domain.ticks import MISSED, MISSED_MESSAGE, Skip

JOB_REFUSED = "JobRefused"
"""The reason of the condition Ready, and of the ticks."""
CRONJOB_REFUSED = "CronJobRefused"
"""The reason of the condition Ready while the CronJob cannot follow an edit."""
_MESSAGE = "the API server refused its Job until the next one was due; the task's condition Ready said why"


def with_refusals(task: ScheduledTask, skips: Iterable[Skip], offset: timedelta) -> list[Skip]:
    """The skipped ticks, oldest first, with those that were refused told from those that nobody was there to start.

    The first refused one is the newest that was due when Ready became False; those before it had been missed by then.
    """
    found = list(skips)
    ready = task.status.ready
    if ready is None or ready.status or ready.reason != JOB_REFUSED:
        return found
    since = ready.last_transition_time
    first = max((skip.tick for skip in found if skip.tick + offset <= since), default=None)
    return [
        replace(skip, reason=JOB_REFUSED, message=skip.message.removesuffix(MISSED_MESSAGE) + _MESSAGE)
        if skip.reason == MISSED and (first is None or skip.tick >= first)
        else skip
        for skip in found
    ]
