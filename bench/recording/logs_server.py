"""An API server that has one thing: the log of a Pod. A process of its own, so that it is not measured along."""

from __future__ import annotations

import sys
from pathlib import Path

from aiohttp import web

_BLOCK = 256 * 1024


def make_app(file: Path) -> web.Application:
    """Serves the file as the log of stdout of every Pod; stderr is empty. `sinceTime` is not looked at."""

    async def read_log(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        if request.query.get("stream") == "Stdout":
            with file.open("rb") as log:
                while block := log.read(_BLOCK):
                    await response.write(block)
        await response.write_eof()
        return response

    app = web.Application()
    app.router.add_get("/api/v1/namespaces/{namespace}/pods/{pod}/log", read_log)
    app.on_startup.append(_say)
    return app


async def _say(_: web.Application) -> None:
    print("ready", flush=True)


if __name__ == "__main__":
    web.run_app(make_app(Path(sys.argv[1])), host="127.0.0.1", port=int(sys.argv[2]), print=None)
