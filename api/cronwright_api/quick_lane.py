"""A lane of few threads for reads that take a millisecond.

Python runs one thread at a time. Where forty threads with short reads compete, each spends its time waiting for its
turn to run, some of them for very long; a few threads that take the requests in the order of their coming answer as
many in the same time and leave none behind (docs/benchmarks.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

THREADS = 4
PATIENCE_SECONDS = 0.25
"""Who has waited so long goes another way: the lane must not be what a request waits for while something hangs."""

Result = TypeVar("Result")


class QuickLane:
    """For one event loop, which calls `run` and, at the end, `close`."""

    def __init__(self, threads: int = THREADS, patience_seconds: float = PATIENCE_SECONDS) -> None:
        # Not anyio's threads: to get there and back costs twice as much.
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="quick-lane")
        self._threads = threads
        self._patience_seconds = patience_seconds
        self._inside = 0

    def close(self) -> None:
        """Lets the threads end. What they do just now is done first."""
        self._executor.shutdown(wait=False)

    async def run(self, work: Callable[[], Result]) -> Result:
        """Runs `work` in a thread, after those that came before - or, where the lane is held up, beside them."""
        job = self._executor.submit(copy_context().run, work)
        done = asyncio.wrap_future(job)
        self._inside += 1
        try:
            if self._inside > self._threads:
                await asyncio.wait((done,), timeout=self._patience_seconds)
                if job.cancel():  # False once it has begun
                    return await run_in_threadpool(work)
            return await done
        except asyncio.CancelledError:
            done.cancel()  # and with it the job, if it has not begun
            raise
        finally:
            self._inside -= 1
