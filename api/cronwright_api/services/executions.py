"""Which execution, and which attempt of it, a request means."""

from __future__ import annotations

from cronwright_api import messages
from cronwright_api.deps import Backends
from cronwright_api.tokens import User
from cronwright_core.domain.errors import NotFound
from cronwright_core.store.records.executions import ExecutionRecord


def find_execution(backends: Backends, user: User, execution_id: str, attempt: int | None) -> ExecutionRecord:
    """The execution, with that attempt.

    Raises:
        NotFound: there is none that the user may see, or it has no such attempt.
    """
    execution = backends.executions.get(execution_id, owner=user.owner_filter)
    if attempt is not None and all(known.number != attempt for known in backends.executions.attempts(execution_id)):
        raise NotFound(messages.NO_SUCH_ATTEMPT)
    return execution
