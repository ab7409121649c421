"""What can go wrong, as the person at the terminal shall read it.

ClusterError                 anything with advice; printed without a traceback
├── ComponentFailed          a component ended or did not become healthy: carries its log
└── LeftoverFound            `down` could not take everything away
"""

from __future__ import annotations

from pathlib import Path


class ClusterError(Exception):
    """Says what is wrong and what to do about it; `advice` is a sentence for the reader, not for the program."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


class ComponentFailed(ClusterError):
    """A component of the cluster ended or did not become healthy in time.

    Stale state may be the cause: `up` starts afresh once.
    """

    def __init__(self, component: str, reason: str, log: Path | None, advice: str = "") -> None:
        super().__init__(f"{component}: {reason}", advice)
        self.component = component
        self.log = log


class LeftoverFound(ClusterError):
    """Something of the cluster is still on the machine after `down`; the message lists it."""


def last_lines(path: Path, count: int = 15) -> list[str]:
    """The last `count` lines of a log, or none if it cannot be read. Reads at most the last 64 KiB."""
    try:
        with path.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - 65536))
            return stream.read().decode(errors="replace").splitlines()[-count:]
    except OSError:
        return []
