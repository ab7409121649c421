"""A Project: the container that its tasks run, who may use it, and how much at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cronwright_core.domain.task import Request, ScheduledTask


@dataclass(frozen=True, slots=True)
class ContainerTemplate:
    """The container of a Project, with a task's overrides merged in where that is allowed.

    `env` and `resources` hold Kubernetes' own JSON (EnvVar, ResourceRequirements): they are passed through, never read.
    """

    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[Mapping[str, Any], ...] = ()
    resources: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Workspace:
    """A PersistentVolumeClaim in which every execution gets a directory of its own."""

    claim_name: str
    mount_path: str = "/workspace"


@dataclass(frozen=True, slots=True)
class ProjectSpec:
    """`spec` of a Project, defaults applied. `retention_days` None: the installation's setting; 0: for ever.

    `tolerations` hold Kubernetes' own JSON, as `env` of the container does; `domain.placement` judges them.
    """

    display_name: str
    container: ContainerTemplate
    description: str | None = None
    owner: str | None = None
    members: tuple[str, ...] = ()
    service_account_name: str | None = None
    image_pull_policy: str | None = None
    image_pull_secrets: tuple[str, ...] = ()
    security_context: Mapping[str, Any] = field(default_factory=dict)
    workspace: Workspace | None = None
    max_concurrent_executions: int | None = None
    retention_days: int | None = None
    allow_overrides: bool = False
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    pod_annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Project:
    """A Project resource as read from the API server; `cleanups` are requests to clean its workspace."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    creation_time: datetime
    spec: ProjectSpec
    project_id: int | None = None
    project_id_label: int | None = None
    cleanups: tuple[Request, ...] = ()
    deleting: bool = False

    def may_use(self, user: str, *, is_admin: bool = False) -> bool:
        """Whether the user may create tasks in this Project: administrators, its owner and its members may."""
        return is_admin or user == self.spec.owner or user in self.spec.members


def owner_of(task: ScheduledTask, project: Project | None) -> str | None:
    """Whose task it is; None if only a Project could say, which is not there (any more)."""
    if task.spec.owner or project is None:
        return task.spec.owner or None
    return project.spec.owner or ""
