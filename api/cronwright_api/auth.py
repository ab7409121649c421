"""Who is calling: the bearer token of a request to a `User`."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from cronwright_api import messages, request_context
from cronwright_api.errors import Unauthenticated
from cronwright_api.metrics import ApiMetrics
from cronwright_api.tokens import ExpiredToken, InvalidToken, MalformedToken, TokenVerifier, UnknownPublicKey, User
from cronwright_core.domain.errors import Forbidden

logger = logging.getLogger(__name__)
BEARER = HTTPBearer(scheme_name="jwt", bearerFormat="JWT", auto_error=False)
"""Takes the token from the header and tells the OpenAPI document so; what is wrong is answered by `authenticate`."""


async def authenticate(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]
) -> User:
    """Returns the caller.

    Raises:
        Unauthenticated: there is no bearer token, or it is not accepted; the log says why.
    """
    metrics: ApiMetrics = request.app.state.metrics
    if credentials is None:
        metrics.auth_failed("missing")
        raise Unauthenticated(messages.UNAUTHENTICATED, messages.NO_TOKEN)
    verifier: TokenVerifier = request.app.state.backends.verifier
    try:
        user = await verifier.authenticate(credentials.credentials)
    except ExpiredToken as error:
        metrics.auth_failed("expired")
        raise Unauthenticated(messages.TOKEN_EXPIRED, messages.TOKEN_ENDED) from error
    except InvalidToken as error:
        metrics.auth_failed("unknown_key" if isinstance(error, UnknownPublicKey) else "invalid")
        logger.info("token refused", extra={"problem": str(error)})
        problem = messages.TOKEN_MALFORMED if isinstance(error, MalformedToken) else messages.TOKEN_REFUSED
        raise Unauthenticated(messages.UNAUTHENTICATED, problem) from error
    request_context.current().user = user.name
    return user


CurrentUser = Annotated[User, Depends(authenticate)]


async def require_admin(request: Request, user: CurrentUser) -> User:
    """The caller, who must be an administrator.

    Raises:
        Forbidden
    """
    if not user.is_admin:
        request.app.state.metrics.auth_failed("forbidden")
        raise Forbidden(messages.ADMIN_ONLY)
    return user


CurrentAdmin = Annotated[User, Depends(require_admin)]
