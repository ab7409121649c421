"""A kubelet as far as the API server asks one for the log of a Pod: every log is empty. A program of its own."""

from __future__ import annotations

import ssl
import sys

from aiohttp import web


async def empty(_: web.Request) -> web.Response:
    """`GET /containerLogs/NAMESPACE/POD/CONTAINER`"""
    return web.Response(text="")


def main() -> None:
    """`executions_kubelet.py PORT CERTIFICATE KEY`: answers until it is ended."""
    port, certificate, key = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", empty)
    web.run_app(app, host="127.0.0.1", port=int(port), ssl_context=context, print=None, access_log=None)


if __name__ == "__main__":
    main()
