"""What the API server answered when it did not do what was asked; texts are cut and carry no credentials.

KubeError
├── KubeUnreachable     no answer, 5xx or 429: the outcome is unknown, try again later
│   └── KubeCertificateError    who answered could not prove who it is
└── KubeRejected        the API server said no, with `status`, `reason` and `message`
    ├── KubeNotFound        404
    ├── KubeAlreadyExists   409 AlreadyExists
    ├── KubeConflict        409 Conflict: the object changed meanwhile
    ├── KubeGone            410: the resourceVersion is too old, list again
    ├── KubeInvalid         422, or 400 of an admission rule: `causes` name the fields
    └── KubeForbidden       401 or 403
        ├── KubeDenied          403 of an admission policy or webhook: no right is missing
        └── KubeNoRoom          403 of a quota, or of a namespace that is being deleted
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MESSAGE_LENGTH = 512


class KubeError(Exception):
    """The root of this module's errors."""


class KubeUnreachable(KubeError):
    """No usable answer; a write may or may not have happened. The caller reads again before it decides."""


class KubeCertificateError(KubeUnreachable):
    """The other side's certificate is not trusted; nothing was sent to it."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One field of a rejected object: `field` as a JSON path (`spec.schedule`)."""

    field: str
    message: str


class KubeRejected(KubeError):
    """The API server understood and refused."""

    def __init__(self, status: int, reason: str, message: str, causes: tuple[Cause, ...] = ()) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.causes = causes

    @property
    def words(self) -> str | None:
        """What an admission policy or webhook says to the writer, without the API server's own text around it (may be
        empty); None: none of these refused. They choose the status themselves: 403, or by default 422 and 400."""
        said = _DENIED.split(self.message, maxsplit=1)
        return said[1].strip() if len(said) == 2 else None


class KubeNotFound(KubeRejected):
    """There is no such object (or kind)."""


class KubeAlreadyExists(KubeRejected):
    """An object of this name is there already; the caller checks whose it is."""


class KubeConflict(KubeRejected):
    """The object is not at the resourceVersion that the write was based on."""


class KubeGone(KubeRejected):
    """The resourceVersion of a list or watch is no longer kept."""


class KubeInvalid(KubeRejected):
    """The object breaks its schema or an admission rule."""


class KubeForbidden(KubeRejected):
    """The credentials are not accepted, or have no right to this."""


class KubeDenied(KubeForbidden):
    """An admission policy or webhook refused the object, as 403 (see `words`); whoever wrote it has the right to."""


class KubeNoRoom(KubeForbidden):
    """Admission took the object for one too many: a quota is used up, or the namespace is being deleted."""


# The API server has one code and one reason for a missing right and for what admission refuses: only its texts differ.
_DENIED = re.compile(r"\bdenied (?:the )?request(?:: | without explanation)")
_NO_ROOM = ("exceeded quota: ", "insufficient quota to match", "because it is being terminated")


def _forbidden(message: str) -> type[KubeForbidden]:
    if _DENIED.search(message):
        return KubeDenied
    return KubeNoRoom if any(words in message for words in _NO_ROOM) else KubeForbidden


def error_for(status: int, body: Mapping[str, Any] | None) -> KubeError:
    """Maps an answer of status >= 400 to an error; `body` is its `Status` object, or None if it was something else."""
    body = body if body is not None and body.get("kind") == "Status" else {}
    reason = str(body.get("reason") or "")
    message = str(body.get("message") or "no message")[:_MESSAGE_LENGTH]
    if status == 429 or status >= 500:
        return KubeUnreachable(f"the API server answered {status}: {message}")
    details = body.get("details") or {}
    causes = tuple(
        Cause(str(cause.get("field") or ""), str(cause.get("message") or "")[:_MESSAGE_LENGTH])
        for cause in details.get("causes") or ()
    )
    kind: type[KubeRejected] = KubeRejected
    if status == 404:
        kind = KubeNotFound
    elif status == 409:
        kind = KubeAlreadyExists if reason == "AlreadyExists" else KubeConflict
    elif status == 410:
        kind = KubeGone
    elif status in (401, 403):
        kind = _forbidden(message) if status == 403 else KubeForbidden
    elif status in (400, 422):
        kind = KubeInvalid
    return kind(status, reason or str(status), message, causes)


def is_gone(error: KubeError) -> bool:
    """Whether the object itself is not there: an API server that does not know the kind (yet) answers 404 as well, and
    without a Status."""
    return isinstance(error, KubeNotFound) and error.reason == "NotFound"


def is_another_object(error: KubeRejected) -> bool:
    """Whether a patch that names a uid met another object of the same name (409 of resources, 422 of Jobs)."""
    if isinstance(error, KubeInvalid):
        return any(cause.field == "metadata.uid" for cause in error.causes)
    return isinstance(error, KubeConflict)


def is_out_of_annotations(error: KubeRejected) -> bool:
    """Whether an object has no room for a further annotation: all of them together may have 256 KiB."""
    return isinstance(error, KubeInvalid) and any("annotations" in cause.field for cause in error.causes)
