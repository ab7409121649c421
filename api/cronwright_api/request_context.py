"""The request that is being answered: its id, language and user. Set by the middleware, read by log and envelope."""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass

from cronwright_core.domain.errors import Message

CHINESE = "zh"
ENGLISH = "en"


@dataclass(slots=True)
class RequestContext:
    """One request; `user` is filled in once the token is checked."""

    request_id: str = "-"
    language: str = CHINESE
    user: str | None = None

    def text(self, message: Message) -> str:
        """The message in the caller's language."""
        return message.en if self.language == ENGLISH else message.zh


_current: ContextVar[RequestContext | None] = ContextVar("request", default=None)


def current() -> RequestContext:
    """The request of this task or thread; outside of requests an empty one."""
    return _current.get() or RequestContext()


def begin(context: RequestContext) -> None:
    """Makes `context` the current one for this task and the threads that it starts."""
    _current.set(context)


_LANGUAGE = re.compile(r"\s*([A-Za-z*]{1,8})(?:-[A-Za-z0-9-]+)?\s*(?:;\s*q=([01](?:\.\d{0,3})?))?\s*")


def preferred_language(accept_language: str) -> str:
    """Chooses Chinese or English (RFC 9110 12.5.4): the greater weight, at a tie the earlier; Chinese if none."""
    weights: dict[str, float] = {}
    for part in accept_language.split(",")[:20]:
        match = _LANGUAGE.fullmatch(part)
        if match is not None:
            weights.setdefault(match[1].lower(), float(match[2] or 1))
    return max(
        (tag for tag in weights if tag in (CHINESE, ENGLISH) and weights[tag] > 0),
        key=weights.__getitem__,
        default=CHINESE,
    )
