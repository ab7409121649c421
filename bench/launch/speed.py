"""How fast the machine is at a moment: the same small piece of work, over and over, in a process of its own.

A shared machine changes its speed by half from minute to minute, so two ways of launching that are measured one after
the other differ by that, too. The piece takes some two hundredths of a processor, and the processor time that it needs,
not the time that it waits for one, is the measure: how much else is to do does not count, but what slows all down does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator

_EVERY_SECONDS = 0.05
_OBJECT = {"metadata": {"labels": {f"label-{n}": "value" * 4 for n in range(40)}}, "spec": [list(range(20))] * 10}


def piece() -> float:
    """Do it once; its processor time in seconds."""
    begun = time.thread_time()
    for _ in range(16):
        json.loads(json.dumps(_OBJECT))
    return time.thread_time() - begun


class Speed:
    """What has been measured so far."""

    def __init__(self) -> None:
        self._pieces: list[tuple[float, float]] = []

    async def follow(self, lines: asyncio.StreamReader) -> None:
        """Take what the process tells, until it ends."""
        async for line in lines:
            at, seconds = line.split()
            self._pieces.append((float(at), float(seconds)))

    def seconds(self, begin: float, end: float) -> float:
        """What a piece needed on average between two wall times, in seconds; not a number if none was done."""
        found = [seconds for at, seconds in self._pieces if begin <= at <= end]
        return statistics.fmean(found) if found else float("nan")


@contextlib.asynccontextmanager
async def measuring() -> AsyncIterator[Speed]:
    """Measures while it is open."""
    process = await asyncio.create_subprocess_exec(sys.executable, __file__, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    speed = Speed()
    reader = asyncio.create_task(speed.follow(process.stdout))
    try:
        yield speed
    finally:
        process.terminate()
        await process.wait()
        await reader


def main() -> None:
    """A line for each piece, until the process is ended: the wall time, and the piece's processor time in seconds."""
    while True:
        print(time.time(), piece(), flush=True)
        time.sleep(_EVERY_SECONDS)


if __name__ == "__main__":
    main()
