"""The launch gate: which of the runs that are due may start at once.

For now everything is admitted. The limits (maxInstances, the project's, the global one) come with the issue on
launching; the port is here so that nothing launches without asking.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run that is due: of which task and project, and how urgent."""

    task_uid: str
    project_name: str
    priority: int


class Gate(Protocol):
    """Decides on one candidate; pure but for what it has been told of waiting and running executions."""

    def admits(self, candidate: Candidate) -> bool:
        """Whether the candidate may start now; if not, its Job is created suspended and waits."""


class AdmitAll:
    """The gate without limits."""

    def admits(self, candidate: Candidate) -> bool:
        """Always True."""
        return True
