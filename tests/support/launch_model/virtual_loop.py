"""An event loop whose time is virtual: when nothing can go on, it goes to the next timer at once. One thread and no
socket, so the same program always gives the same order of steps."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class _NoSelector(selectors.SelectSelector):
    """Waits by moving the time."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("nothing is ready, and nothing ever will be")
        self.loop.seconds += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """`seconds` since it was made."""

    def __init__(self) -> None:
        self.seconds = 0.0
        selector = _NoSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.seconds

    def play(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Runs a coroutine to its end."""
        asyncio.set_event_loop(self)
        return self.run_until_complete(work)
