"""A JWKS behind an address (an identity provider's `jwks_uri`), fetched in the background and kept.

Requests never wait for it, with one exception: a token of a key that is not known yet asks for one fetch. Forged kids
cannot make more of them than one in REFETCH_SECONDS. While the address is away the last good set stays in force.

PyJWT's own client is not used: it blocks the event loop, drops its set when the address is away, bounds neither the
answer nor the tries that fail.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial

import aiohttp

from cronwright_api.jwks import NotAJwks, parse_jwks
from cronwright_api.keys import VerifyingKey

FETCH_SECONDS = 5.0
"""The whole fetch, from the name's resolution to the last byte."""
REFETCH_SECONDS = 5.0
"""Between two fetches that unknown kids ask for, also after one that failed."""
FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 1.0, 30.0
MAX_BYTES = 256 * 1024

logger = logging.getLogger(__name__)


class FetchFailed(Exception):
    """The address did not give a usable answer; the text says why."""


class JwksAddress:
    """The keys behind an address; `run` keeps them fresh. For one event loop."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[bytes]],
        *,
        refresh_seconds: float = 300.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`fetch` returns the document, or raises FetchFailed."""
        self._fetch = fetch
        self._refresh_seconds = refresh_seconds
        self._monotonic = monotonic
        self._keys: Sequence[VerifyingKey] = ()
        self._problems: Sequence[str] = ()
        self._failures = 0
        self._tried: float | None = None
        self._under_way: asyncio.Task[bool] | None = None

    def current(self) -> Sequence[VerifyingKey]:
        """The last good set; empty before the first."""
        return self._keys

    async def learn(self) -> bool:
        """Fetches for a kid that is not known, or joins a fetch under way; False if it is too early or failed."""
        too_early = self._tried is not None and self._monotonic() - self._tried < REFETCH_SECONDS
        if self._under_way is None and too_early:
            return False
        return await self.refresh()

    async def refresh(self) -> bool:
        """Fetches once, for all that ask meanwhile; returns whether it worked."""
        if self._under_way is None:
            self._under_way = asyncio.create_task(self._fetch_once())
        # A caller that goes away must not end the fetch of the others.
        return await asyncio.shield(self._under_way)

    async def run(self) -> None:
        """Fetches now and again and again, until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(next_wait(self._failures, self._refresh_seconds))

    async def _fetch_once(self) -> bool:
        self._tried = self._monotonic()
        try:
            keys, problems = parse_jwks(await self._fetch())
        except (FetchFailed, NotAJwks) as error:
            self._failures += 1
            logger.error("the JWKS cannot be fetched; the keys of before stay", extra={"error": str(error)})
            return False
        except Exception as error:
            self._failures += 1
            logger.error("fetching the JWKS failed", exc_info=error)
            return False
        else:
            self._take(keys, problems)
            return True
        finally:
            self._under_way = None

    def _take(self, keys: Sequence[VerifyingKey], problems: Sequence[str]) -> None:
        self._failures = 0
        if problems != self._problems:
            for problem in problems:
                logger.warning("a JWT key is not used", extra={"problem": problem})
        kids = sorted(key.kid for key in keys)
        if kids != sorted(key.kid for key in self._keys):
            logger.info("JWKS fetched, its keys are others than before", extra={"kids": kids})
        # Only what it holds now: a key that was withdrawn must stop working.
        self._keys, self._problems = keys, problems


def next_wait(failures: int, refresh_seconds: float) -> float:
    """Seconds until the next fetch, after so many failures in a row."""
    if failures == 0:
        return refresh_seconds
    return min(FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, 10), MAX_RETRY_SECONDS, refresh_seconds)


@asynccontextmanager
async def open_address(url: str, *, refresh_seconds: float) -> AsyncIterator[JwksAddress]:
    """An address whose keys are kept fresh while the block runs. Does not wait for the first answer."""
    # Proxies and their exceptions come from the environment, as for any other program (HTTPS_PROXY, NO_PROXY).
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=FETCH_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=True,
    ) as session:
        address = JwksAddress(partial(_fetch, session, url), refresh_seconds=refresh_seconds)
        runner = asyncio.create_task(address.run())
        try:
            yield address
        finally:
            runner.cancel()
            with suppress(asyncio.CancelledError):
                await runner


async def _fetch(session: aiohttp.ClientSession, url: str) -> bytes:
    body = bytearray()
    headers = {"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"}
    try:
        # A redirect could lead from https to http, or to an address that nobody configured.
        async with session.get(url, headers=headers, allow_redirects=False) as response:
            if response.status != 200:
                raise FetchFailed(f"the address answered {response.status}")
            async for chunk in response.content.iter_chunked(16 * 1024):
                body += chunk
                if len(body) > MAX_BYTES:
                    raise FetchFailed(f"the answer has more than {MAX_BYTES} bytes")
    except TimeoutError as error:
        raise FetchFailed(f"no complete answer within {FETCH_SECONDS:g} s") from error
    except (aiohttp.ClientError, OSError) as error:
        raise FetchFailed(f"{type(error).__name__}: {str(error)[:200]}") from error
    return bytes(body)
