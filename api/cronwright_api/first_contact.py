"""Says in the log that the database is away when the process starts, and that it has come.

The API serves all the same - a request gets 503 until then -, so without this whoever starts it by hand would see
nothing of what is wrong.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import anyio.to_thread

from cronwright_core.domain.errors import Unavailable

RETRY_SECONDS = 2.0
logger = logging.getLogger(__name__)


@asynccontextmanager
async def tell_of_database(ping: Callable[[], None], where: str) -> AsyncIterator[None]:
    """Tries the database beside the block until it answers; `ping` raises Unavailable, `where` holds no password."""
    teller = asyncio.create_task(_tell(ping, where))
    try:
        yield
    finally:
        teller.cancel()
        with suppress(asyncio.CancelledError):
            await teller


async def _tell(ping: Callable[[], None], where: str) -> None:
    problem = ""
    while True:
        try:
            await anyio.to_thread.run_sync(ping, abandon_on_cancel=True)
        except Unavailable as error:
            if error.message.en != problem:
                problem = error.message.en
                logger.error(
                    "the database cannot be used: requests get 503 until it can; start it, or correct DATABASE_URL",
                    extra={"database": where, "error": problem},
                )
        except Exception as error:
            # A bug, or a database that is broken: requests will say the same, each by itself.
            logger.error("trying the database failed", exc_info=error)
            return
        else:
            if problem:
                logger.info("the database answers", extra={"database": where})
            return
        await asyncio.sleep(RETRY_SECONDS)
