"""The servers that are measured: `python3 -m bench.api.serve api|bare PORT`.

`api` is the product's application with one route more, which does nothing; `bare` is a FastAPI application with that
route alone, in a process that has imported the same modules. Both run as `cronwright api` does.
"""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI

from cronwright_api import json_log
from cronwright_api.app import create_app
from cronwright_api.settings import ApiSettings

EMPTY = "/bench/empty"


async def empty() -> dict[str, Any]:
    """Answers nothing."""
    return {}


def main(kind: str, port: int) -> None:
    """Serves until it is ended."""
    json_log.configure("INFO")
    app = create_app(ApiSettings()) if kind == "api" else FastAPI()
    app.add_api_route(EMPTY, empty)
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
    )
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
