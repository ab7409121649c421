"""Polls the logs of all running Pods, each at its own pace: soon after output, ever more rarely while it is silent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import monotonic

from cronwright_core.domain.errors import Unavailable
from cronwright_core.kube.errors import KubeError
from cronwright_operator.recording.pod_log import PATIENCE, PodLog
from cronwright_operator.recording.reading_places import NodeSilent, ReadingPlaces

logger = logging.getLogger(__name__)

MAX_SILENCE_SECONDS = 30.0
"""The longest pause between two reads of a running Pod's log."""
FIRST_SECONDS = 1.0
"""Not before a Pod has run for so long: one that takes less is read once, after its end."""
BESIDE_A_CROWD_SECONDS = 10.0
"""The pause while many Jobs wait for their first Pod: the API server has to pass each read on to a kubelet."""


class LogFollower:
    """A task per running Pod; `finish` makes the last, complete read. Belongs to one event loop.

    `crowded` tells whether the API server is better left to others. `node` is where the Pod runs; None: unknown.
    """

    def __init__(
        self, *, poll_seconds: float, crowded: Callable[[], bool] = lambda: False, now: Callable[[], float] = monotonic
    ) -> None:
        self._poll_seconds = poll_seconds
        self._crowded = crowded
        self._now = now
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._urgent: set[str] = set()
        self._places = ReadingPlaces(now=now)
        self._refused_since: dict[str, float] = {}

    def follow(self, pod_uid: str, log: PodLog, *, node: str | None = None, urgent: bool = False) -> None:
        """Starts polling the Pod, if nobody does yet. `urgent`: at once, and without longer pauses while it is silent,
        as its output is about to go."""
        if urgent and pod_uid not in self._urgent:
            self._end_polling(pod_uid)
            self._urgent.add(pod_uid)
        if pod_uid not in self._tasks:
            self._tasks[pod_uid] = asyncio.get_running_loop().create_task(
                self._poll(log, node or "", urgent), name=f"log {pod_uid}"
            )

    async def finish(self, pod_uid: str, log: PodLog, *, node: str | None = None) -> None:
        """Ends the polling and reads to the end.

        Raises what `PodLog.poll` raises; at once where the node is known not to answer, as whoever records must not
        wait for it. If that lasts as long as `PodLog` itself would try, what was not read is marked.
        """
        self._end_polling(pod_uid)
        try:
            async with self._places.taken(node or "", last=True):
                await log.poll(final=True)
        except NodeSilent as error:
            since = self._refused_since.setdefault(pod_uid, self._now())
            if self._now() - since <= PATIENCE.total_seconds():
                raise
            await log.abandon(f"the log could not be read for {PATIENCE}: {error}")
        self._refused_since.pop(pod_uid, None)

    def forget(self, pod_uid: str) -> None:
        """Ends the polling of a Pod of which nothing more is to be read; what is stored stays."""
        self._refused_since.pop(pod_uid, None)
        self._end_polling(pod_uid)

    def _end_polling(self, pod_uid: str) -> None:
        self._urgent.discard(pod_uid)
        task = self._tasks.pop(pod_uid, None)
        if task is not None:
            task.cancel()

    def close(self) -> None:
        """Ends all polling."""
        for pod_uid in list(self._tasks):
            self.forget(pod_uid)

    async def _poll(self, log: PodLog, node: str, urgent: bool) -> None:
        longest = self._poll_seconds if urgent else MAX_SILENCE_SECONDS
        pause = self._poll_seconds
        rest = asyncio.sleep if urgent else self._rest
        if not urgent:
            await rest(min(FIRST_SECONDS, pause))
        while True:
            try:
                async with self._places.taken(node, last=False):
                    grown = await log.poll(final=False)
                pause = self._poll_seconds if grown else min(pause * 2, longest)
            except NodeSilent as error:
                # Who asked it has said so already. Urgent or not: its answer is what there is to wait for.
                await rest(max(error.seconds, self._poll_seconds))
                continue
            except (KubeError, Unavailable) as error:
                logger.info("a running Pod's log could not be read now: %s", error)
                pause = min(pause * 2, longest)
            except Exception:  # a bug here must not end the record of the execution
                logger.exception("following a log failed")
                pause = MAX_SILENCE_SECONDS
            await rest(pause)

    async def _rest(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, BESIDE_A_CROWD_SECONDS) if self._crowded() else seconds)
