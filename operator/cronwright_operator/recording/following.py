"""Polls the logs of all running Pods, each at its own pace: soon after output, ever more rarely while it is silent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from cronwright_core.domain.errors import Unavailable
from cronwright_core.kube.errors import KubeError
from cronwright_operator.recording.pod_log import PodLog

logger = logging.getLogger(__name__)

MAX_SILENCE_SECONDS = 30.0
"""The longest pause between two reads of a running Pod's log."""
FIRST_SECONDS = 1.0
"""Not before a Pod has run for so long: one that takes less is read once, after its end."""
BESIDE_A_CROWD_SECONDS = 10.0
"""The pause while many Jobs wait for their first Pod: the API server has to pass each read on to a kubelet."""
_CONCURRENT_READS = 16


class LogFollower:
    """A task per running Pod; `finish` makes the last, complete read. Belongs to one event loop.

    `crowded` tells whether the API server is better left to others.
    """

    def __init__(self, *, poll_seconds: float, crowded: Callable[[], bool] = lambda: False) -> None:
        self._poll_seconds = poll_seconds
        self._crowded = crowded
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._urgent: set[str] = set()
        self._reads = asyncio.Semaphore(_CONCURRENT_READS)

    def follow(self, pod_uid: str, log: PodLog, *, urgent: bool = False) -> None:
        """Starts polling the Pod, if nobody does yet. `urgent`: at once, and without longer pauses while it is silent,
        as its output is about to go."""
        if urgent and pod_uid not in self._urgent:
            self.forget(pod_uid)
            self._urgent.add(pod_uid)
        if pod_uid not in self._tasks:
            self._tasks[pod_uid] = asyncio.get_running_loop().create_task(
                self._poll(log, urgent), name=f"log {pod_uid}"
            )

    async def finish(self, pod_uid: str, log: PodLog) -> None:
        """Ends the polling and reads to the end. Raises what `PodLog.poll` raises."""
        self.forget(pod_uid)
        async with self._reads:
            await log.poll(final=True)

    def forget(self, pod_uid: str) -> None:
        """Ends the polling of a Pod; what is stored stays."""
        self._urgent.discard(pod_uid)
        task = self._tasks.pop(pod_uid, None)
        if task is not None:
            task.cancel()

    def close(self) -> None:
        """Ends all polling."""
        for pod_uid in list(self._tasks):
            self.forget(pod_uid)

    async def _poll(self, log: PodLog, urgent: bool) -> None:
        longest = self._poll_seconds if urgent else MAX_SILENCE_SECONDS
        pause = self._poll_seconds
        rest = asyncio.sleep if urgent else self._rest
        if not urgent:
            await rest(min(FIRST_SECONDS, pause))
        while True:
            try:
                async with self._reads:
                    grown = await log.poll(final=False)
                pause = self._poll_seconds if grown else min(pause * 2, longest)
            except (KubeError, Unavailable) as error:
                logger.info("a running Pod's log could not be read now: %s", error)
                pause = min(pause * 2, longest)
            except Exception:  # a bug here must not end the record of the execution
                logger.exception("following a log failed")
                pause = MAX_SILENCE_SECONDS
            await rest(pause)

    async def _rest(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, BESIDE_A_CROWD_SECONDS) if self._crowded() else seconds)
