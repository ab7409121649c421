"""The API's log: the shared JSON lines, with the id and user of the request that they belong to."""

from __future__ import annotations

import logging

from cronwright_api import request_context
from cronwright_core import json_log


def configure(level: str) -> None:
    """Sends every logger of the process through the formatter.

    Raises:
        ValueError: the level is not one of logging's names.
    """
    json_log.configure(level, request_members)
    # The access log is ours (middleware.py): it knows the user, and leaves out queries.
    logging.getLogger("uvicorn.access").disabled = True


def request_members() -> dict[str, object]:
    """The id and user of the request that is being served; empty outside of one."""
    context = request_context.current()
    members: dict[str, object] = {}
    if context.request_id != "-":
        members["request_id"] = context.request_id
    if context.user is not None:
        members["user"] = context.user
    return members
