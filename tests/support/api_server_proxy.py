"""A door to the real API server for one program: it writes down each request, and can be cut like a network.

Plain HTTP towards the program; towards the API server with the credentials that tests have.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from support.credentials import load_credentials

READS = ("GET", "HEAD")
_NOT_PASSED_ON = {"host", "content-length", "transfer-encoding", "connection", "authorization", "accept-encoding"}


@dataclass
class Call:
    """One request. `status` is None as long as the API server has not answered it: it may never have got there."""

    method: str
    path: str
    arrived: float
    """By `time.monotonic`."""
    delivered: float | None = None
    """When it was passed on; None while the door is cut."""
    status: int | None = None

    @property
    def is_write(self) -> bool:
        """Whether it changes something other than a Lease."""
        return self.method not in READS and "/leases" not in self.path

    @property
    def takes_lease(self) -> bool:
        """Whether it took, renewed or gave back a Lease."""
        return self.method not in READS and "/leases" in self.path and self.status in (200, 201)


class Door:
    """The door while it stands: its address and what went through it."""

    def __init__(self, upstream: aiohttp.ClientSession, host: str) -> None:
        self.url = ""
        self.calls: list[Call] = []
        self._open = asyncio.Event()
        self._open.set()
        self._upstream, self._host = upstream, host
        self._loop = asyncio.get_running_loop()

    def cut(self) -> None:
        """From now on no request gets through; connections stay, as on a cut line.

        A watch that is open goes on: who is cut off still hears of what there is to do, which is the harder case.
        """
        self._loop.call_soon_threadsafe(self._open.clear)

    def mend(self) -> None:
        """What waits and whose sender still waits gets through."""
        self._loop.call_soon_threadsafe(self._open.set)

    def writes(self) -> list[Call]:
        """All requests so far that change something other than a Lease."""
        return [call for call in list(self.calls) if call.is_write]

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Passes one request on and its answer back, piece by piece, as a watch needs it."""
        body = await request.read()
        call = Call(request.method, request.path, time.monotonic())
        self.calls.append(call)
        await self._open.wait()
        call.delivered = time.monotonic()
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _NOT_PASSED_ON}
        address = self._host + request.path_qs
        async with self._upstream.request(request.method, address, data=body or None, headers=headers) as answer:
            call.status = answer.status
            response = web.StreamResponse(status=answer.status)
            response.content_type = answer.content_type
            # Who has gone away does not want the rest.
            with suppress(ConnectionError):
                await response.prepare(request)
                async for piece in answer.content.iter_any():
                    await response.write(piece)
                await response.write_eof()
            return response


@contextmanager
def doors(count: int) -> Iterator[list[Door]]:
    """So many doors, in a thread and loop of their own."""
    ready: list[Door] = []
    started, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def run() -> None:
        async with _upstream() as (session, host):
            runners = []
            for _ in range(count):
                door = Door(session, host)
                runner, door.url = await _listen(door.serve)
                runners.append(runner)
                ready.append(door)
            started.set()
            await stop.wait()
            for runner in runners:
                await runner.cleanup()

    with ThreadPoolExecutor(1, "doors") as pool:
        work = pool.submit(loop.run_until_complete, run())
        work.add_done_callback(lambda _: started.set())
        started.wait(30)
        try:
            if len(ready) == count:
                yield ready
        finally:
            loop.call_soon_threadsafe(stop.set)
            try:
                work.result(30)
            finally:
                loop.close()


async def _listen(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> tuple[web.AppRunner, str]:
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", handler)
    # A sender that has gone away is noticed, so that what it no longer waits for is not delivered.
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    return runner, f"http://{host}:{port}"


@asynccontextmanager
async def _upstream() -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    own = await load_credentials()
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=0, ssl=own.context)
    async with aiohttp.ClientSession(
        connector=connector, headers=own.headers, timeout=timeout, auto_decompress=False, read_bufsize=4 * 1024 * 1024
    ) as session:
        yield session, own.host
        # TLS transports close a little later.
        await session.close()
        await asyncio.sleep(0.25)
