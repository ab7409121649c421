"""How executions ended whose Jobs are gone, for tasks whose status still shows them as going on.

The recorder knows what it has recorded itself. What its predecessor recorded and released, just before it ended, stands
in the history alone. It is read beside the decisions: none of them waits for PostgreSQL.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable

from cronwright_core.domain.errors import Unavailable
from cronwright_core.domain.execution import ExecutionStatus
from cronwright_operator.workqueue import WorkQueue

_REMEMBERED = 10_000
_ASK_AGAIN_SECONDS = 60.0
"""A row that is not closed although its Job is gone is closed by `upkeep.orphans` within some minutes."""


class PastOutcomes:
    """`of` answers at once, with None while it is not known; once it is, `look_again(task uid)` is called.

    `read` gives None for an execution that the history does not have (any more).
    """

    def __init__(
        self, read: Callable[[str], Awaitable[ExecutionStatus | None]], look_again: Callable[[str], None]
    ) -> None:
        self._read = read
        self._look_again = look_again
        self._found: OrderedDict[str, ExecutionStatus | None] = OrderedDict()
        self._queue: WorkQueue[tuple[str, str]] = WorkQueue("outcomes", self._ask, workers=2, expected=(Unavailable,))

    def of(self, task_uid: str, execution_id: str) -> ExecutionStatus | None:
        """How an execution of the task ended."""
        if execution_id not in self._found:
            self._queue.add((task_uid, execution_id))
        return self._found.get(execution_id)

    async def run(self) -> None:
        """Works until cancelled."""
        await self._queue.run()

    async def _ask(self, key: tuple[str, str]) -> None:
        task_uid, execution_id = key
        if execution_id in self._found:
            return
        status = await self._read(execution_id)
        if status is not None and not status.ended:
            self._queue.add_after(key, _ASK_AGAIN_SECONDS)
            return
        self._found[execution_id] = status
        if len(self._found) > _REMEMBERED:
            self._found.popitem(last=False)
        self._look_again(task_uid)
