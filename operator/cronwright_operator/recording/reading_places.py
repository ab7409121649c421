"""Who may read a log now: so many at once in all, fewer of one node, and of one that does not answer hardly any.

A read of a node that is gone takes half a minute to fail. Without a bound of their own the Pods of one such node would
hold every place, and nothing of the whole installation would be recorded.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic

from cronwright_core.kube.errors import KubeUnreachable

AT_ONCE = 16
AT_ONCE_OF_A_NODE = 12
"""Leaves some for the others until it shows that it does not answer; all but these, as there may be one node only."""
PROBES = 4
"""Reads of nodes that do not answer, beside `AT_ONCE`: however many there are, the other nodes are not held up."""
SILENCE_SECONDS = 5.0
"""A read that fails sooner held nobody up, and need not be the node's fault: a Secret may be missing."""
FIRST_BACKOFF_SECONDS = 2.0
MAX_BACKOFF_SECONDS = 30.0


class NodeSilent(KubeUnreachable):
    """The node did not answer lately, and it is not time to ask it again: look again after `seconds`."""

    def __init__(self, node: str, seconds: float) -> None:
        super().__init__(f"node {node or '(unknown)'} does not answer: the logs of its Pods wait")
        self.seconds = seconds


@dataclass(slots=True)
class _Silence:
    """Of a node that does not answer: how often it was asked in vain, when it may be asked again, and whether somebody
    is asking."""

    failures: int
    until: float
    probed: bool = False


class ReadingPlaces:
    """Gives places; last reads come before those of Pods that run. Belongs to one event loop."""

    def __init__(self, *, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._reading: Counter[str] = Counter()
        self._silent: dict[str, _Silence] = {}
        # In the order in which they came; dicts, as one that is cancelled leaves from the middle.
        self._last: dict[asyncio.Future[None], str] = {}
        self._usual: dict[asyncio.Future[None], str] = {}

    @asynccontextmanager
    async def taken(self, node: str, *, last: bool) -> AsyncIterator[None]:
        """A place for a read of a Pod of this node. That the node is silent is told by KubeUnreachable coming out of
        the block after a while, and that it is not, by a block that ends well.

        Raises:
            NodeSilent: it does not answer, and somebody else asks it or asked it lately. Waits for nothing.
        """
        silence = self._silent.get(node)
        if silence is None:
            await self._wait(node, self._last if last else self._usual)
            silence = self._silent.get(node)  # told by another read, at the moment at which we got our place
            if silence is not None:
                self._leave(node)
        if silence is not None:
            self._begin_probe(node, silence)
        begun = self._now()
        try:
            yield
        except KubeUnreachable:
            if self._now() - begun >= SILENCE_SECONDS:
                self._note_silence(node, silence)
            raise
        else:
            self._silent.pop(node, None)
        finally:
            if silence is None:
                self._leave(node)
            else:
                silence.probed = False

    async def _wait(self, node: str, line: dict[asyncio.Future[None], str]) -> None:
        place = asyncio.get_running_loop().create_future()
        line[place] = node
        self._admit()
        try:
            await place
        except BaseException:
            if place.done() and not place.cancelled() and place.exception() is None:
                self._leave(node)  # we are cancelled at the moment at which we got it
            raise
        finally:
            line.pop(place, None)

    def _admit(self) -> None:
        while self._reading.total() < AT_ONCE:
            for line in (self._last, self._usual):
                place = next((place for place, node in line.items() if self._may_have(place, node)), None)
                if place is not None:
                    self._reading[line.pop(place)] += 1
                    place.set_result(None)
                    break
            else:
                return

    def _may_have(self, place: asyncio.Future[None], node: str) -> bool:
        return not place.done() and self._reading[node] < AT_ONCE_OF_A_NODE

    def _leave(self, node: str) -> None:
        self._reading[node] -= 1
        if not self._reading[node]:
            del self._reading[node]
        self._admit()

    def _begin_probe(self, node: str, silence: _Silence) -> None:
        left = silence.until - self._now()
        if left > 0:
            raise NodeSilent(node, left)
        if silence.probed or sum(other.probed for other in self._silent.values()) >= PROBES:
            raise NodeSilent(node, FIRST_BACKOFF_SECONDS)
        silence.probed = True

    def _note_silence(self, node: str, probed: _Silence | None) -> None:
        known = self._silent.get(node)
        if known is not None and known is not probed:
            return  # of several reads that were under way the first has told
        failures = known.failures + 1 if known is not None else 1
        pause = min(FIRST_BACKOFF_SECONDS * 2 ** min(failures - 1, 10), MAX_BACKOFF_SECONDS)
        self._silent[node] = _Silence(failures, self._now() + pause)
        for line in (self._last, self._usual):
            for place, waits_for in list(line.items()):
                if waits_for == node and not place.done():
                    place.set_exception(NodeSilent(node, pause))
