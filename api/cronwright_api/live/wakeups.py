"""Who waits for an execution hears at once that something of it was stored: one listening connection per process.

A wake-up is a hint. Whoever waits looks again after a while anyway, sooner while nobody listens (`listening`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from cronwright_core.domain.errors import Unavailable
from cronwright_core.store.notifications import Listener

WAIT_SECONDS = 1.0
"""How long the thread waits for notifications before it looks whether it shall end."""
_FIRST_BACKOFF_SECONDS, _MAX_BACKOFF_SECONDS = 0.5, 10.0
Listen = Callable[[], AbstractContextManager[Listener]]
logger = logging.getLogger(__name__)


class Wakeups:
    """Waits for notifications in a thread of its own, which starts with the first subscriber.

    Belongs to one event loop. `listen` None: nobody listens, and who waits looks by himself.
    """

    def __init__(self, listen: Listen | None = None) -> None:
        self._listen = listen
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()
        self.listening = False

    @contextmanager
    def subscribe(self, execution_id: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever something of the execution was stored, and when all are woken."""
        event = asyncio.Event()
        waiting = self._waiting.setdefault(execution_id, set())
        waiting.add(event)
        self._start()
        try:
            yield event
        finally:
            waiting.discard(event)
            if not waiting and self._waiting.get(execution_id) is waiting:
                del self._waiting[execution_id]

    def wake_all(self) -> None:
        """Wakes everybody, whatever they wait for."""
        for events in self._waiting.values():
            for event in events:
                event.set()

    async def close(self) -> None:
        """Ends the thread; returns when it has ended."""
        self._ending.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def _start(self) -> None:
        if self._thread is None and self._listen is not None and not self._ending.is_set():
            self._thread = threading.Thread(
                target=self._run, args=(self._listen, asyncio.get_running_loop()), name="log-wakeups", daemon=True
            )
            self._thread.start()

    def _run(self, listen: Listen, loop: asyncio.AbstractEventLoop) -> None:
        backoff = _FIRST_BACKOFF_SECONDS
        while not self._ending.is_set():
            try:
                with listen() as listener:
                    backoff = _FIRST_BACKOFF_SECONDS
                    # What was stored while nobody listened has not been told.
                    self._tell(loop, self._set_listening, True)
                    while not self._ending.is_set():
                        ids = {id_ for item in listener.wait(WAIT_SECONDS) for id_ in _ids(item.payload)}
                        if ids:
                            self._tell(loop, self._wake, ids)
            except Unavailable as error:
                logger.warning("not listening to the database: %s; again in %.1f s", error, backoff)
            except Exception:  # a bug here must not leave everybody without wake-ups for good
                logger.exception("listening to the database failed")
            self._tell(loop, self._set_listening, False)
            self._ending.wait(backoff)
            backoff = min(backoff * 2, _MAX_BACKOFF_SECONDS)

    def _tell(self, loop: asyncio.AbstractEventLoop, call: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(call, *arguments)

    def _set_listening(self, listening: bool) -> None:
        self.listening = listening
        self.wake_all()

    def _wake(self, ids: set[str]) -> None:
        for id_ in ids & self._waiting.keys():
            for event in self._waiting[id_]:
                event.set()


def _ids(payload: str) -> list[str]:
    try:
        return [str(item["execution_id"]) for item in json.loads(payload)]
    except (ValueError, TypeError, KeyError):
        return []  # not ours: anybody with the database's password may notify
