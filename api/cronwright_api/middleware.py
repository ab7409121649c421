"""The outermost frame of a request: its id and language, a line of access log, and an answer whatever fails inside."""

from __future__ import annotations

import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cronwright_api import request_context
from cronwright_api.errors import internal_error
from cronwright_api.metrics import ApiMetrics
from cronwright_api.request_context import RequestContext

REQUEST_ID_HEADER = "X-Request-ID"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
access = logging.getLogger("cronwright_api.access")


class RequestFrame:
    """Plain ASGI, not BaseHTTPMiddleware: that one breaks context variables and background cancellation."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get(REQUEST_ID_HEADER, "")
        context = RequestContext(
            request_id=given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex,
            language=request_context.preferred_language(headers.get("accept-language", "")),
        )
        request_context.begin(context)
        started, status = time.perf_counter(), 0
        streams_since: float | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal status, streams_since
            if message["type"] == "http.response.start":
                status = int(message["status"])
                out = MutableHeaders(scope=message)
                out[REQUEST_ID_HEADER] = context.request_id
                out["Content-Language"] = context.language
                out.setdefault("Cache-Control", "no-store")
                if out.get("content-type", "").startswith("text/event-stream"):
                    streams_since = time.perf_counter()  # how long it is followed says nothing of us
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:
            pass  # who asked went away before the whole body was here: nobody reads an answer, and nothing has failed
        except Exception as error:  # noqa: BLE001 - the last frame: whatever it is, the caller gets the envelope and the log the traceback
            response = internal_error(error)
            if status == 0:
                await response(scope, receive, send_with_id)
        finally:
            ended = time.perf_counter()
            self._metrics.request(scope, status, (streams_since or ended) - started)
            level = logging.DEBUG if scope["path"] in ("/healthz", "/readyz") and status < 400 else logging.INFO
            access.log(
                level,
                "request",
                extra={
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "duration_ms": round((ended - started) * 1000, 1),
                },
            )
