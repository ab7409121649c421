"""What may be done to a Job that must end, or whose attempts must be limited, as data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cronwright_core.domain.cluster import JobFacts, PodFacts, StopIntent


@dataclass(frozen=True, slots=True)
class WriteIntent:
    """Writes why it ends, and `backoffLimit`, in one patch; from then on no attempt follows the present one.

    `backoff_limit` is the number of attempts that have failed already. A lower one makes the Job controller delete the
    running Pod with its log (tried).
    """

    job: JobFacts
    stop: StopIntent
    backoff_limit: int


@dataclass(frozen=True, slots=True)
class FinishJob:
    """Writes why it ends and lets the Job controller finish the Job at once: no Pod of it has output to lose.

    `parallelism: 0` makes no Pod ever, `activeDeadlineSeconds: 1` fails the Job, `suspend: false` lets that happen to a
    waiting one (tried: Failed within 3 s in all cases). A Pod that no node has taken is deleted by the controller.
    """

    job: JobFacts
    stop: StopIntent


@dataclass(frozen=True, slots=True)
class LowerDeadline:
    """Lowers a Pod's `activeDeadlineSeconds`, counted from when its node took it. 1 ends it now, its log stays."""

    pod: PodFacts
    seconds: int


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Deletes a Pod that no node has taken, of a Job that is being deleted: nothing else would end it."""

    pod: PodFacts


StopAction = WriteIntent | FinishJob | LowerDeadline | DeletePod


@dataclass(frozen=True, slots=True)
class StopDecision:
    """What to do now, and when to look again although nothing changed.

    `explain` is the uid of the Pod or Job whose events must be read before its end can be given a reason.
    """

    actions: tuple[StopAction, ...] = ()
    wake_at: datetime | None = None
    explain: str | None = None
