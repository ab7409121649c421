"""Tokens that have just been checked, so that a client's next request costs no signature.

What is kept is good only under the very keys that it was checked by: a key that is added, changed or taken away makes
a source give out another set, and with that everything kept is forgotten. Tokens are known by their hash; a refusal is
never kept.
"""

from __future__ import annotations

import hashlib
import operator
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

KEPT_SECONDS = 5.0
"""After this a token is checked anew, whatever it says of itself."""
MAX_TOKENS = 4096
"""Beyond so many the oldest goes: a client cannot make the process grow by sending ever new tokens."""


class Expiring(Protocol):
    """What a token was found to say."""

    @property
    def expires(self) -> float | None:
        """When it ceases to be accepted, in seconds since 1970; None: not known."""


Found = TypeVar("Found", bound=Expiring)


@dataclass(slots=True)
class TokenCache(Generic[Found]):
    """For one event loop."""

    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    _kept: dict[bytes, tuple[float, Found]] = field(default_factory=dict)
    _keys: tuple[Sequence[object], ...] = ()

    def find(self, token: str, keys: tuple[Sequence[object], ...]) -> Found | None:
        """What the token was found to say under `keys` within the last seconds, if it has not expired since."""
        if not self._are_current(keys):
            # Held, not only compared: another set cannot take the place of one that is still there.
            self._keys = keys
            self._kept.clear()
            return None
        digest = _digest(token)
        kept = self._kept.get(digest)
        if kept is None:
            return None
        until, found = kept
        if self.monotonic() >= until or found.expires is None or self.clock() >= found.expires:
            del self._kept[digest]
            return None
        return found

    def keep(self, token: str, keys: tuple[Sequence[object], ...], found: Found) -> None:
        """Keeps what was found, if the keys are still those of the last `find`."""
        if not self._are_current(keys):
            return
        if len(self._kept) >= MAX_TOKENS:
            del self._kept[next(iter(self._kept))]
        self._kept[_digest(token)] = (self.monotonic() + KEPT_SECONDS, found)

    def _are_current(self, keys: tuple[Sequence[object], ...]) -> bool:
        return len(keys) == len(self._keys) and all(map(operator.is_, keys, self._keys))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
