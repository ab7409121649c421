"""One client that follows one log: from its position to the end, at the client's own pace.

Memory is bounded by one portion: the next is read when the client has taken the one before. Between portions neither
a thread nor a connection to the database is held.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from cronwright_api import messages, request_context
from cronwright_api.errors import on_unavailable
from cronwright_api.live.events import HEARTBEAT, OPENING, end_event, expired_event, portion_events
from cronwright_api.live.streams import LiveLogs
from cronwright_api.tokens import User
from cronwright_core.domain.errors import NotFound, Unavailable
from cronwright_core.domain.log_position import LogPosition
from cronwright_core.store.records.logs import LogType

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LogRequest:
    """What a client wants to follow, and from where on (None: from the first line)."""

    execution_id: str
    log_type: LogType
    attempt: int | None
    after: LogPosition | None


class LogStream(StreamingResponse):
    """The answer: takes its place among the streams when it begins, and gives it back however it ends."""

    media_type = "text/event-stream"

    def __init__(self, live: LiveLogs, user: User, wanted: LogRequest) -> None:
        # X-Accel-Buffering: nginx would collect events before it passes them on.
        self._events = follow_log(live, user, wanted)
        super().__init__(self._events, headers={"X-Accel-Buffering": "no"})
        self._live = live
        self._user = user

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends events until the log is over, the client leaves, or the process ends."""
        with ExitStack() as place:
            try:
                place.enter_context(self._live.opened(self._user.name))
            except Unavailable as error:
                await on_unavailable(error)(scope, receive, send)
                return
            await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        """As Starlette's, but who takes nothing for too long is let go."""

        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(self._live.limits.send_timeout):
                await send(message)

        try:
            await super().stream_response(send_in_time)
        except TimeoutError:
            # Nothing more can be said to this client: the server closes the connection of an unfinished answer.
            logger.info("a client of a log stream takes nothing and is let go")
        finally:
            await self._events.aclose()


async def follow_log(
    live: LiveLogs, user: User, wanted: LogRequest, now: Callable[[], float] = time.time
) -> AsyncGenerator[bytes, None]:
    """The events from `wanted.after` to the end of the log.

    Ends without an event `end` if the process ends, the database stays away, the execution ceases to be this user's to
    see, or the token expires (with an event `expired`): the client comes back with the last id that it has seen.
    """
    limits, position = live.limits, wanted.after
    trouble_since: float | None = None
    yield OPENING
    sent = time.monotonic()
    with live.wakeups.subscribe(wanted.execution_id) as woken:
        while not live.closing:
            if user.expires is not None and now() >= user.expires:
                yield expired_event(request_context.current().text(messages.TOKEN_EXPIRED))
                return
            # Cleared before the read: what is stored after it sets the event again.
            woken.clear()
            try:
                portion = await live.read(
                    wanted.execution_id,
                    log_type=wanted.log_type,
                    after=position,
                    attempt=wanted.attempt,
                    owner=user.owner_filter,
                )
                trouble_since = None
            except Unavailable as error:
                trouble_since = trouble_since or time.monotonic()
                if time.monotonic() - trouble_since > limits.patience:
                    logger.warning("a log stream ends, as the database is away: %s", error)
                    return
                portion = None
            except NotFound:
                return  # retention has dropped the execution meanwhile, or its task has another owner now
            if portion is not None and portion.lines:
                yield portion_events(portion, position)
                position, sent = portion.position, time.monotonic()
                continue
            if portion is not None and portion.end is not None:
                yield end_event(wanted.execution_id, portion.end)
                return
            quiet = limits.heartbeat - (time.monotonic() - sent)
            if quiet <= 0:
                yield HEARTBEAT
                sent, quiet = time.monotonic(), limits.heartbeat
            heard = live.wakeups.listening and portion is not None
            wait = min(quiet, limits.poll if heard else limits.poll_unheard)
            if user.expires is not None:
                wait = min(wait, max(user.expires - now(), 0.0))
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await woken.wait()
