"""Cancel annotations of a task -> what to do with each. Pure.

`cancel.cronwright.dev/<execution id>` holds JSON {by, at} if the API wrote it, and anything if a person did.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from cronwright_core.domain import naming
from cronwright_core.domain.cluster import StopIntent, StopReason
from cronwright_core.domain.execution import ExecutionKind
from cronwright_core.domain.task import Request
from cronwright_operator.reconciling.actions import Action, Event, RecordCancelled, StopExecution, WithdrawRequest
from cronwright_operator.reconciling.observed import Observed
from cronwright_operator.reconciling.requests import parse_request


@dataclass(frozen=True, slots=True)
class Cancels:
    """What the cancels of a task mean. `triggers` are those that are left: a cancelled one gets no Job.

    `records`, of manual runs without a Job, are apart from `actions`, which need the API server only.
    """

    actions: tuple[Action, ...]
    records: tuple[RecordCancelled, ...]
    events: tuple[Event, ...]
    triggers: tuple[Request, ...]


def decide_cancels(seen: Observed) -> Cancels:
    """Each cancel ends one execution: a Job of the task, or a manual run that has no Job yet.

    The annotation goes after the intent stands on the Job (or the record is committed): if we die in between, it is
    carried out once more and finds it done.
    """
    task = seen.task
    actions: list[Action] = []
    records: list[RecordCancelled] = []
    events: list[Event] = []
    triggers = {naming.TRIGGER_PREFIX + trigger.key: trigger for trigger in task.triggers}
    views = {view.execution_id: view for view in seen.jobs}
    for cancel in task.cancels:
        id_ = cancel.key
        by = _author(cancel.value)
        stop = StopIntent(StopReason.CANCELLED, by, seen.now, f"cancelled by {by}")
        view = views.get(id_)
        if view is not None and (view.job.finished or view.state.status.ended):
            events.append(Event("Normal", "CancelTooLate", f"execution {id_} had ended before it could be cancelled"))
        elif view is not None and not view.job.stopping:
            actions.append(StopExecution(view.job.uid, stop))
            events.append(Event("Normal", "ExecutionCancelled", f"execution {id_} is being ended: {stop.message}"))
        elif view is None:
            trigger = next((name for name, item in triggers.items() if _id_of(seen, item) == id_), None)
            if trigger is not None:
                request = triggers.pop(trigger)
                time, requested_by = parse_request(request, seen.now)
                both = (trigger, naming.CANCEL_PREFIX + cancel.key)
                records.append(RecordCancelled(request, time, requested_by, stop, both))
                told = f"execution {id_} was {stop.message}, unrun"
                events.append(Event("Normal", "ExecutionCancelled", told, of_record=True))
                continue
            message = f"there is no execution {id_[:64]} of this task in the cluster to cancel"
            events.append(Event("Warning", "UnknownExecution", message))
        actions.append(WithdrawRequest(naming.CANCEL_PREFIX + cancel.key))
    return Cancels(tuple(actions), tuple(records), tuple(events), tuple(triggers.values()))


def _id_of(seen: Observed, trigger: Request) -> str:
    time, _ = parse_request(trigger, seen.now)
    return naming.execution_id(seen.task.uid, ExecutionKind.ADHOC, time, trigger.key)


def _author(value: str) -> str:
    try:
        return str(json.loads(value)["by"])[:253] or "kubectl"
    except (ValueError, TypeError, KeyError, RecursionError):
        return "kubectl"
