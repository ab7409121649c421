"""Decisions about ticks, taken while there is time for it: between the reservation of a slot and the tick.

A decision is a pure function of what is seen and of the moment, so it can be taken for a moment that has not come. At
the tick it is carried out if everything is seen as it was - mostly nothing happens in these seconds - and else taken
anew. Where a thousand are due at once, each Job would stand behind the decisions about those before it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cronwright_operator.reconciling.actions import Decision
from cronwright_operator.reconciling.observed import Observed
from cronwright_operator.reconciling.reconcile import reconcile

_GOOD_FOR = timedelta(seconds=20)
"""After its tick. What was decided for the tick then holds: a Cron task has one a minute at most."""
_MAX_PREPARED = 2000
"""A manifest in memory takes some kilobytes. Those beyond are decided at their tick."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    seen: Observed
    """As it will be seen at the tick, if nothing happens until then."""
    until: datetime
    decision: Decision


class PreparedDecisions:
    """`prepare` what will be decided at a tick; `decide` gives that, or what `reconcile` says."""

    def __init__(self) -> None:
        self._of_task: dict[str, _Prepared] = {}

    def prepare(self, seen: Observed, tick: datetime) -> None:
        """Decides now about the tick; `seen` is what will be seen then, whatever its `now`."""
        task = seen.task
        ahead = replace(seen, now=tick)
        known = self._of_task.pop(task.uid, None)
        if task.triggers or task.cancels or len(self._of_task) >= _MAX_PREPARED:
            return  # a request that names no time is of the moment at which it is read
        if known is None or known.seen != ahead:
            deadline = task.spec.starting_deadline_seconds
            good_for = _GOOD_FOR if deadline is None else min(_GOOD_FOR, timedelta(seconds=deadline))
            known = _Prepared(ahead, tick + good_for, reconcile(ahead))
        self._of_task[task.uid] = known

    def decide(self, seen: Observed) -> Decision:
        """What to do now."""
        known = self._of_task.get(seen.task.uid)
        if known is not None and seen.now >= known.seen.now:
            del self._of_task[seen.task.uid]
            if seen.now < known.until and replace(seen, now=known.seen.now) == known.seen:
                return known.decision
        return reconcile(seen)

    def forget(self, task_uid: str) -> None:
        """The task is gone."""
        self._of_task.pop(task_uid, None)
