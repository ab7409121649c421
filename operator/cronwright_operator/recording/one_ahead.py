"""Stores one portion while the next one is being read: reading and storing wait for different machines."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self


class OneAhead:
    """At most one piece of work under way, in the order given. An error comes out at the next step, or at the end.

    Leaving by an error of the reader waits for the piece under way, so that it is known what is stored; leaving by
    cancellation does not.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    async def settle(self) -> None:
        """Waits for the piece under way."""
        task, self._task = self._task, None
        if task is not None:
            await task

    async def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Starts the next piece; call `settle` before."""
        assert self._task is None  # noqa: S101 - pieces must not overtake each other
        self._task = asyncio.get_running_loop().create_task(work)
        # Lets it start: its first step gives the bytes to another thread.
        await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is None:
            await self.settle()
        elif isinstance(error, Exception):
            with suppress(Exception):
                await self.settle()
        elif self._task is not None:
            self._task.cancel()
