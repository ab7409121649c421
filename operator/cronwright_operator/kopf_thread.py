"""kopf in a thread and loop of its own, supervised: it ends after 54 s of server errors, and then starts again.

On its exit kopf cancels every task of its loop (kopf docs, embedding), which is why nothing else may live there.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from time import monotonic

import kopf

from cronwright_operator import interpreter
from cronwright_operator.handlers import Sink, build_registry, build_settings

logger = logging.getLogger(__name__)

_RESTART_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)


class KopfThread:
    """Runs `kopf.operator` until stopped; `sink` is called in the loop that made this object."""

    def __init__(self, sink: Sink, namespaces: Sequence[str]) -> None:
        loop = asyncio.get_running_loop()

        def hand_over(kind: str, type_: str | None, body: dict[str, object]) -> None:
            loop.call_soon_threadsafe(sink, kind, type_, body)

        self._sink: Sink = hand_over
        self._namespaces = tuple(namespaces)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="kopf", daemon=True)
        self._ready = threading.Event()
        self.restarts = 0
        self.down_since: float | None = monotonic()

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self, timeout_seconds: float = 5.0) -> None:
        """Asks kopf to end and waits a little; a thread that hangs is a daemon and does not hold the process."""
        self._stop.set()
        self._thread.join(timeout_seconds)

    @property
    def alive(self) -> bool:
        """Whether kopf watches, or has been down for less than a minute."""
        if self._ready.is_set():
            self.down_since = None
        return self._thread.is_alive() and (self.down_since is None or monotonic() - self.down_since < 60)

    def _supervise(self) -> None:
        while not self._stop.is_set():
            self._ready.clear()
            try:
                interpreter.run(self._run())
            except Exception:  # whatever ends kopf, it has to start again
                logger.exception("kopf ended with an error")
            if self._stop.is_set():
                return
            self._ready.clear()
            self.down_since = monotonic()
            delay = _RESTART_SECONDS[min(self.restarts, len(_RESTART_SECONDS) - 1)]
            self.restarts += 1
            logger.warning("kopf ended; it starts again in %.1f s", delay)
            self._stop.wait(delay)

    async def _run(self) -> None:
        await kopf.operator(
            registry=build_registry(self._sink),
            settings=build_settings(),
            standalone=True,  # peering is no lock; the Lease is
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            stop_flag=self._stop,
            ready_flag=self._ready,
        )
