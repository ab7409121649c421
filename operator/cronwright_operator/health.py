"""The operator's HTTP port: liveness, readiness and metrics. A few lines of HTTP/1.1, for probes and scrapers only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cronwright_core.metrics import CONTENT_TYPE

_MAX_REQUEST = 8192


@dataclass(frozen=True, slots=True)
class Health:
    """`problems` says in words what is wrong; empty means healthy."""

    problems: tuple[str, ...] = ()


STALE_SECONDS = 180.0
"""Liveness fails when a watch has heard nothing for so long; bookmarks come once a minute."""


def judge_watches(ages: Mapping[str, float], *, kopf_watches: bool) -> Health:
    """Whether each watch has been heard of lately; `ages` are the seconds since then, by what is watched."""
    problems = [
        f"the watch of {name} has heard nothing for {age:.0f} s" for name, age in ages.items() if age > STALE_SECONDS
    ]
    if not kopf_watches:
        problems.append("kopf does not watch")
    return Health(tuple(problems))


class HealthServer:
    """Serves `/healthz`, `/readyz` and `/metrics` from functions that are called for each request."""

    def __init__(self, live: Callable[[], Health], ready: Callable[[], Health], metrics: Callable[[], bytes]) -> None:
        self._live = live
        self._ready = ready
        self._metrics = metrics
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> None:
        """Opens the port."""
        self._server = await asyncio.start_server(self._serve, host, port)

    async def stop(self) -> None:
        """Closes the port."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(5):
                request = await reader.readuntil(b"\r\n\r\n")
            path = request[:_MAX_REQUEST].split(b" ", 2)[1].decode("ascii", "replace").partition("?")[0]
            status, type_, body = self._answer(path)
            head = (f"HTTP/1.1 {status}", f"Content-Type: {type_}", f"Content-Length: {len(body)}", "Connection: close")
            writer.write("\r\n".join((*head, "", "")).encode() + body)
            await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, IndexError, ConnectionError):
            pass  # not a request; the peer gets a closed connection
        finally:
            writer.close()

    def _answer(self, path: str) -> tuple[str, str, bytes]:
        if path == "/metrics":
            return "200 OK", CONTENT_TYPE, self._metrics()
        if path not in ("/healthz", "/readyz"):
            return "404 Not Found", "application/json", b"{}"
        health = self._live() if path == "/healthz" else self._ready()
        body = json.dumps({"status": "ok" if not health.problems else "failing", "problems": health.problems}).encode()
        return ("200 OK" if not health.problems else "503 Service Unavailable"), "application/json", body
