"""What a run waits for that the launch gate holds back, in a sentence. Pure.

The sentence speaks of limits and not of counts, so that it changes with what is waited for and not with every run that
ends elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cronwright_core.domain.execution import QUEUED, ExecutionState, ExecutionStatus
from cronwright_core.domain.gate import Block, Candidate, Limits

KUEUE = "KueueAdmission"


@dataclass(frozen=True, slots=True)
class Wait:
    """`reason` is one CamelCase word, `message` a sentence for people."""

    reason: str
    message: str


IN_LINE = Wait(QUEUED, "waits for its turn")


def wait_for_block(block: Block | None, candidate: Candidate, limits: Limits) -> Wait:
    """What a run waits for whose start is held back by `block`; None: nothing that is known of."""
    match block:
        case Block.TASK if (limit := limits.tasks.get(candidate.task)) is not None:
            message = f"waits for another execution of its task to end: {_at_a_time(limit)} (maxInstances)"
        case Block.PROJECT if (limit := limits.projects.get(candidate.project)) is not None:
            message = f"waits for an execution of its project to end: {_at_a_time(limit)} (maxConcurrentExecutions)"
        case Block.TOTAL if (limit := limits.total) is not None:
            message = f"waits for any execution to end: {_at_a_time(limit)} in the whole installation"
        case Block.UNRECORDED if (limit := limits.unrecorded) is not None:
            message = f"waits until ended executions are recorded: {limit} or more are not yet (maxUnrecorded)"
        case _:
            return IN_LINE
    return Wait(block.value, message)


def wait_for_kueue(queue: str) -> Wait:
    """What a run waits for that Kueue lets go."""
    return Wait(KUEUE, f"waits for Kueue to admit it (queue {queue})")


def with_wait(state: ExecutionState, wait: Wait | None) -> ExecutionState:
    """The state of an execution that waits for its turn, with what it waits for."""
    if wait is None or state.status is not ExecutionStatus.PENDING or state.reason != QUEUED:
        return state
    return replace(state, reason=wait.reason, message=wait.message)


def _at_a_time(limit: int) -> str:
    return f"no more than {limit} may run at a time"
