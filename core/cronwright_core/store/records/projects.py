"""What is told of projects, and kept of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cronwright_core.domain.project import ProjectSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectDraft:
    """A Project about to be created by REST, or renamed: then `namespace` and `cr_name` are those of its resource."""

    spec: ProjectSpec
    namespace: str | None = None
    cr_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservedProject:
    """As `ReservedTask`."""

    project_id: int
    active: bool
    spec: ProjectSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectProjection:
    """A Project resource as it is to be projected. Ids as in `TaskProjection`."""

    cr_uid: str
    namespace: str
    cr_name: str
    generation: int
    creation_time: datetime
    spec: ProjectSpec
    project_id: int | None = None
    labelled_project_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingProject:
    """A row whose Project resource was about to be created."""

    project_id: int
    display_name: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveProject:
    """A row that stands for a Project resource."""

    cr_uid: str
    namespace: str
    cr_name: str
    project_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectRecord:
    """A Project as readers see it."""

    project_id: int
    namespace: str | None
    cr_uid: str | None
    cr_name: str | None
    generation: int | None
    spec: ProjectSpec
    ready: bool | None
    ready_reason: str | None
    ready_message: str | None
    created_at: datetime
    updated_at: datetime

    def may_use(self, user: str, *, is_admin: bool = False) -> bool:
        """Whether the user may create tasks in this Project: administrators, its owner and its members may."""
        return is_admin or user == self.spec.owner or user in self.spec.members
