"""/healthz and /readyz for Kubernetes: outside the document's base path, without a token, with nothing to hide."""

from __future__ import annotations

import anyio.to_thread
from fastapi import APIRouter, Request, Response

from cronwright_api.deps import CurrentBackends
from cronwright_core.domain.errors import Unavailable

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers; the database may be away, which a restart would not mend."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(request: Request, backends: CurrentBackends, response: Response) -> dict[str, str]:
    """Whether requests can be served: 503 says what is missing.

    A database that goes away later is said, but takes no replica out of service: requests then get their 503 in the
    document's envelope instead of a refused connection (docs/adr/0008).
    """
    # Threads of its own: where all others wait for a database that is away, this still says so.
    limiter = request.app.state.ping_limiter
    database = await anyio.to_thread.run_sync(_database_state, backends, limiter=limiter)
    keys = "ok" if backends.verifier.has_keys else "there is no usable JWT key"
    state = request.app.state
    state.database_seen = getattr(state, "database_seen", False) or database == "ok"
    ready = state.database_seen and keys == "ok"
    response.status_code = 200 if ready else 503
    return {"status": "ok" if ready else "unavailable", "database": database, "jwt_keys": keys}


def _database_state(backends: CurrentBackends) -> str:
    try:
        backends.database.ping()
    except Unavailable as error:
        return error.message.en
    return "ok"
