"""Every exception to the document's error envelope, once; routes and services only raise.

InvalidInput 400   Unauthenticated 401   Forbidden 403   NotFound 404   Conflict, KubeConflict, KubeNoRoom 409
KubeDenied, and KubeInvalid where a policy or webhook refused, 400
PreconditionFailed 412   Unavailable, KubeUnreachable 503   anything else 500 with an id to look up in the log
"""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from cronwright_api import messages, request_context
from cronwright_api.bodies import to_field_errors
from cronwright_api.envelope import failure
from cronwright_api.services.rejections import to_refusal
from cronwright_core.domain.errors import (
    Conflict,
    CronwrightError,
    FieldError,
    Forbidden,
    InvalidInput,
    Message,
    NotFound,
    Unavailable,
)
from cronwright_core.kube.errors import KubeConflict, KubeDenied, KubeError, KubeInvalid, KubeNoRoom, KubeUnreachable

RETRY_AFTER_SECONDS = 5
logger = logging.getLogger(__name__)


class Unauthenticated(CronwrightError):
    """There is no token, or it is not accepted. Answered with 401; `problem` says what to do about it."""

    def __init__(self, message: Message, problem: Message) -> None:
        super().__init__(message)
        self.errors = (FieldError("Authorization", problem),)


class PreconditionFailed(CronwrightError):
    """What the caller's `If-Match` asks for does not hold. Answered with 412 (RFC 9110 13.1.1); nothing was changed."""


_STATUS: tuple[tuple[type[CronwrightError], int], ...] = (
    (InvalidInput, 400),
    (Unauthenticated, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (PreconditionFailed, 412),
    (Unavailable, 503),
)
_HTTP_MESSAGES = {
    400: messages.INVALID_REQUEST,
    401: messages.UNAUTHENTICATED,
    403: messages.ADMIN_ONLY,
    404: messages.NO_SUCH_ROUTE,
    405: messages.METHOD_NOT_ALLOWED,
}


def install(app: FastAPI) -> None:
    """Registers the handlers; `middleware.RequestFrame` catches what is left."""
    app.add_exception_handler(CronwrightError, on_domain_error)
    app.add_exception_handler(KubeError, on_kube_error)
    app.add_exception_handler(RequestValidationError, on_invalid_parameters)
    app.add_exception_handler(HTTPException, on_http_error)


async def on_domain_error(request: Request, error: Exception) -> JSONResponse:
    """The domain's own errors."""
    if not isinstance(error, CronwrightError):
        raise error
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), None)
    if status is None:
        return internal_error(error)
    if isinstance(error, Unavailable):
        return on_unavailable(error)
    headers: dict[str, str] = {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="cronwright"'
    errors = error.errors if isinstance(error, InvalidInput | Conflict | Unauthenticated) else ()
    return failure(status, error.message, errors, headers=headers)


def on_unavailable(error: Unavailable) -> JSONResponse:
    """503: something that is needed is away, or there is too much of something; worth another try."""
    logger.warning("a backing service is away", extra={"error": str(error), "cause": repr(error.__cause__)[:300]})
    return failure(503, error.message, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


async def on_kube_error(request: Request, error: Exception) -> JSONResponse:
    """What a service did not map itself: the API server is away, the object changed, admission refused what is asked
    for, or our own rights are missing."""
    if isinstance(error, KubeUnreachable):
        logger.warning("the API server cannot be reached", extra={"error": str(error)})
        return failure(503, messages.CLUSTER_UNAVAILABLE, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
    if isinstance(error, KubeConflict):
        return failure(409, messages.CHANGED_MEANWHILE)
    if isinstance(error, KubeDenied | KubeNoRoom) or (isinstance(error, KubeInvalid) and error.words is not None):
        logger.warning("the cluster's admission refused a write", extra={"error": str(error)})
        return await on_domain_error(request, to_refusal(error))
    return internal_error(error)


async def on_invalid_parameters(request: Request, error: Exception) -> JSONResponse:
    """FastAPI's 422 of path and query becomes the document's 400."""
    if not isinstance(error, RequestValidationError):
        raise error
    return failure(400, messages.INVALID_REQUEST, to_field_errors(error.errors(), skip=("path", "query", "header")))


async def on_http_error(request: Request, error: Exception) -> JSONResponse:
    """Starlette's own answers: no such route, a wrong method."""
    if not isinstance(error, HTTPException):
        raise error
    message = _HTTP_MESSAGES.get(error.status_code) or Message(str(error.detail), str(error.detail))
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods(request)) or headers.get("Allow", "")
    return failure(error.status_code, message, headers=headers)


def _methods(request: Request) -> list[str]:
    """What the path allows: Starlette names the first route only, and every method is one here."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    paths = request.app.openapi()["paths"]
    matching = (paths[template] for template in paths if compile_path(template)[0].match(path))
    return sorted({method.upper() for operations in matching for method in operations})


def internal_error(error: BaseException) -> JSONResponse:
    """Logs `error` with its traceback under the request's id, and answers with that id alone."""
    logger.error("request failed", exc_info=error)
    return failure(500, messages.internal_error(request_context.current().request_id))
