"""A kubelet as far as the API server asks one for the log of a Pod: every log is empty. A program of its own.

Without it each attempt to read an output fails, and what a benchmark measures is how readings are tried again.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from cronwright_core.kube.client import KubeClient

API_SERVER_ARGUMENTS = ("--kubelet-certificate-authority=",)
"""What the API server is to be started with: the program shows the API server's own certificate."""


@asynccontextmanager
async def serving(client: KubeClient, kubeconfig: Path, nodes: int) -> AsyncIterator[None]:
    """Runs the program and leads the logs of so many kwok nodes to it."""
    from cronwright_core.kube.resources import Resource

    port = 10250 + int(os.environ["CRONWRIGHT_PORT_SHIFT"])
    pki = kubeconfig.parent / "pki"
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, str(port), str(pki / "apiserver.crt"), str(pki / "apiserver.key")
    )
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    node = Resource("", "v1", "nodes", "Node")
    try:
        for number in range(nodes):
            await client.patch(node, None, f"kwok-{number:02}", {"status": status}, subresource="status")  # type: ignore[arg-type]
        yield
    finally:
        process.terminate()
        await process.wait()


async def empty(_: web.Request) -> web.Response:
    """`GET /containerLogs/NAMESPACE/POD/CONTAINER`"""
    return web.Response(text="")


def main() -> None:
    """`kubelet.py PORT CERTIFICATE KEY`: answers until it is ended."""
    port, certificate, key = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", empty)
    web.run_app(app, host="127.0.0.1", port=int(port), ssl_context=context, print=None, access_log=None)


if __name__ == "__main__":
    main()
