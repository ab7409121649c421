"""Objects that are gone: an answer or a list that was under way when they went must not bring them back."""

from __future__ import annotations

from collections import OrderedDict

_MAX_REMEMBERED = 10_000


class Deletions:
    """The uids of what was deleted last, the newest 10 000; a look at one takes no longer than at one of few."""

    def __init__(self) -> None:
        self._uids: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, uid: str) -> bool:
        return uid in self._uids

    def add(self, uid: str) -> None:
        """Remembers one; the oldest may be forgotten for it."""
        self._uids[uid] = None
        if len(self._uids) > _MAX_REMEMBERED:
            self._uids.popitem(last=False)

    def discard(self, uid: str) -> None:
        """Forgets one, if it is remembered."""
        self._uids.pop(uid, None)
