"""Answers rendered where they are made.

FastAPI would validate each answer a second time, and hand the work of a plain function to a thread twice: once for the
function, once for that validation. Routes build checked models, so the thread that made one writes its JSON as well.
The declared return type still describes the answer in the OpenAPI document.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel


class RenderedRoute(APIRoute):
    """A route whose function returns a model; use it as a router's `route_class`."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, _rendering(endpoint), **options)


def _rendering(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """`endpoint` with its answer as a Response, of the same signature; FastAPI looks at what is wrapped."""
    if inspect.iscoroutinefunction(endpoint):

        @functools.wraps(endpoint)
        async def answer_async(**arguments: Any) -> Any:
            return _render(await endpoint(**arguments), arguments)

        return answer_async

    @functools.wraps(endpoint)
    def answer(**arguments: Any) -> Any:
        return _render(endpoint(**arguments), arguments)

    return answer


def _render(result: Any, arguments: Mapping[str, Any]) -> Any:
    if not isinstance(result, BaseModel):
        return result
    response = Response(result.model_dump_json(by_alias=True), media_type="application/json")
    for injected in arguments.values():
        # What the function set on the Response that FastAPI gave it; a response of one's own replaces that one.
        if isinstance(injected, Response):
            response.headers.raw.extend(injected.headers.raw)
            response.status_code = injected.status_code or response.status_code
    return response
