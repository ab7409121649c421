"""Answers that are rendered where they are made are the ones that FastAPI would give."""

from __future__ import annotations

from typing import Any

import anyio
import httpx
import pytest
from fastapi import APIRouter, FastAPI, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel

from cronwright_api.rendering import RenderedRoute


class Answer(BaseModel):
    number: int
    text: str | None


def app_of(route_class: Any) -> FastAPI:
    router = APIRouter(route_class=route_class)

    @router.get("/plain")
    def plain(number: int, response: Response) -> Answer:
        response.headers["Location"] = "/somewhere"
        return Answer(number=number, text="数据")

    @router.get("/async")
    async def in_a_coroutine(response: Response) -> Answer:
        response.status_code = 503
        return Answer(number=1, text=None)

    @router.get("/own")
    def own() -> Response:
        return Response("as it is", media_type="text/plain")

    app = FastAPI()
    app.include_router(router)
    return app


def ask(app: FastAPI, path: str) -> httpx.Response:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
            return await client.get(path)

    return anyio.run(send)


@pytest.mark.parametrize("path", ["/plain?number=7", "/plain?number=x", "/async", "/own", "/openapi.json"])
def test_the_answer_is_fastapis_own(path: str) -> None:
    rendered, expected = (ask(app_of(kind), path) for kind in (RenderedRoute, APIRoute))
    assert rendered.status_code == expected.status_code
    assert rendered.headers == expected.headers
    assert rendered.json() == expected.json() if path != "/own" else rendered.text == expected.text
