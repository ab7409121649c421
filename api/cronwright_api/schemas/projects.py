"""Bodies and answers of /projects (an addition to the customer's document, in its form)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, Field

from cronwright_api.envelope import Instant
from cronwright_api.schemas.container import Env, Resources, env_to_kube, resources_to_kube
from cronwright_api.schemas.fields import BODY, Text
from cronwright_api.schemas.placement import NodeSelector, PodAnnotations, Tolerations, tolerations_to_kube
from cronwright_core.domain.project import ContainerTemplate, ProjectSpec, Workspace
from cronwright_core.domain.retention import MAX_DAYS
from cronwright_core.domain.validation import normalize_name
from cronwright_core.store.records.projects import ProjectRecord

NAME_LENGTH = (1, 100)
"""As the CRD's `displayName`."""


class WorkspaceBody(BaseModel):
    """The volume in which every execution gets a directory of its own."""

    model_config = BODY

    claim_name: Text
    mount_path: Text = "/workspace"


class SecurityContext(BaseModel):
    """Who the container runs as, in Kubernetes' words."""

    model_config = BODY

    run_as_user: int | None = Field(default=None, ge=0, alias="runAsUser")
    run_as_group: int | None = Field(default=None, ge=0, alias="runAsGroup")
    fs_group: int | None = Field(default=None, ge=0, alias="fsGroup")
    run_as_non_root: bool | None = Field(default=None, alias="runAsNonRoot")
    read_only_root_filesystem: bool | None = Field(default=None, alias="readOnlyRootFilesystem")


class ProjectCreate(BaseModel):
    """Body of POST /projects: the container that the project's tasks run."""

    model_config = BODY

    name: Text = Field(
        json_schema_extra={"minLength": NAME_LENGTH[0], "maxLength": NAME_LENGTH[1]}, examples=["数据处理项目"]
    )
    image: Text = Field(examples=["registry.example.com/etl:1.4"])
    description: Text | None = None
    command: list[Text] = Field(default_factory=list)
    args: list[Text] = Field(default_factory=list)
    env: Env = Field(default_factory=list)
    resources: Resources = Field(default_factory=Resources)
    owner: Text | None = Field(default=None, min_length=1, max_length=253, description="default: who creates it")
    members: list[Text] = Field(default_factory=list, description="users who may create tasks in it")
    service_account_name: Text | None = Field(default=None, min_length=1)
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    image_pull_secrets: list[Text] = Field(default_factory=list)
    security_context: SecurityContext = Field(default_factory=SecurityContext)
    workspace: WorkspaceBody | None = None
    max_concurrent_executions: int | None = Field(default=None, ge=1, le=100_000)
    retention_days: int | None = Field(
        default=None,
        ge=0,
        le=MAX_DAYS,
        description="how long its executions are kept; default: as the installation says, 0: for ever",
    )
    allow_overrides: bool = Field(default=False, description="whether tasks may change image and command")
    node_selector: NodeSelector = Field(default_factory=dict)
    tolerations: Tolerations = Field(default_factory=list)
    pod_annotations: PodAnnotations = Field(default_factory=dict)
    namespace: Text | None = Field(default=None, min_length=1, max_length=63, pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")

    def to_spec(self, *, creator: str) -> ProjectSpec:
        """The resource's spec that this body asks for."""
        return ProjectSpec(
            display_name=normalize_name(self.name),
            container=ContainerTemplate(
                image=self.image,
                command=tuple(self.command),
                args=tuple(self.args),
                env=env_to_kube(self.env),
                resources=resources_to_kube(self.resources),
            ),
            description=self.description,
            owner=self.owner or creator,
            members=tuple(dict.fromkeys(self.members)),
            service_account_name=self.service_account_name,
            image_pull_policy=self.image_pull_policy,
            image_pull_secrets=tuple(self.image_pull_secrets),
            security_context=self.security_context.model_dump(by_alias=True, exclude_none=True),
            workspace=Workspace(self.workspace.claim_name, self.workspace.mount_path) if self.workspace else None,
            max_concurrent_executions=self.max_concurrent_executions,
            retention_days=self.retention_days,
            allow_overrides=self.allow_overrides,
            node_selector=self.node_selector,
            tolerations=tolerations_to_kube(self.tolerations),
            pod_annotations=self.pod_annotations,
        )


class ProjectUpdate(ProjectCreate):
    """Body of PUT /projects/{id}: any of the fields of its creation but `namespace`; what is absent stays as it is."""

    name: Text = Field(default="", json_schema_extra={"minLength": NAME_LENGTH[0], "maxLength": NAME_LENGTH[1]})
    image: Text = ""
    owner: Text | None = Field(
        default="", min_length=1, max_length=253, description="null only where the project has none: it stays so"
    )

    def changed(self, current: ProjectSpec) -> ProjectSpec:
        """`current` with the fields that this body holds."""
        wanted = self.to_spec(creator="")
        given = self.model_fields_set
        if self.owner is None and current.owner is None:
            given = given - {"owner"}  # what was read is sent back; else null is an owner of no name, which is refused
        own = {_SPEC_FIELDS[field]: getattr(wanted, _SPEC_FIELDS[field]) for field in given & _SPEC_FIELDS.keys()}
        container = {field: getattr(wanted.container, field) for field in given & _CONTAINER_FIELDS}
        return replace(current, **own, container=replace(current.container, **container))


_CONTAINER_FIELDS = frozenset({"image", "command", "args", "env", "resources"})
_SPEC_FIELDS = {
    "name": "display_name",
    "description": "description",
    "owner": "owner",
    "members": "members",
    "service_account_name": "service_account_name",
    "image_pull_policy": "image_pull_policy",
    "image_pull_secrets": "image_pull_secrets",
    "security_context": "security_context",
    "workspace": "workspace",
    "max_concurrent_executions": "max_concurrent_executions",
    "retention_days": "retention_days",
    "allow_overrides": "allow_overrides",
    "node_selector": "node_selector",
    "tolerations": "tolerations",
    "pod_annotations": "pod_annotations",
}


class ProjectOut(BaseModel):
    """A project."""

    id: int
    name: str
    description: str | None
    image: str
    command: list[str]
    args: list[str]
    env: list[dict[str, Any]]
    resources: dict[str, Any]
    owner: str | None
    members: list[str]
    service_account_name: str | None
    image_pull_policy: str | None
    image_pull_secrets: list[str]
    security_context: dict[str, Any]
    workspace: WorkspaceBody | None
    max_concurrent_executions: int | None
    retention_days: int | None
    allow_overrides: bool
    node_selector: dict[str, str]
    tolerations: list[dict[str, Any]]
    pod_annotations: dict[str, str]
    namespace: str | None
    resource_name: str | None = Field(description="metadata.name of the Project resource")
    ready: bool | None
    ready_reason: str | None
    ready_message: str | None
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, project: ProjectRecord) -> ProjectOut:
        """From the store's record."""
        spec, container = project.spec, project.spec.container
        workspace = spec.workspace
        return cls(
            id=project.project_id,
            name=spec.display_name,
            description=spec.description,
            image=container.image,
            command=list(container.command),
            args=list(container.args),
            env=[dict(variable) for variable in container.env],
            resources=dict(container.resources),
            owner=spec.owner,
            members=list(spec.members),
            service_account_name=spec.service_account_name,
            image_pull_policy=spec.image_pull_policy,
            image_pull_secrets=list(spec.image_pull_secrets),
            security_context=dict(spec.security_context),
            workspace=WorkspaceBody(claim_name=workspace.claim_name, mount_path=workspace.mount_path)
            if workspace
            else None,
            max_concurrent_executions=spec.max_concurrent_executions,
            retention_days=spec.retention_days,
            allow_overrides=spec.allow_overrides,
            node_selector=dict(spec.node_selector),
            tolerations=[dict(toleration) for toleration in spec.tolerations],
            pod_annotations=dict(spec.pod_annotations),
            namespace=project.namespace,
            resource_name=project.cr_name,
            ready=project.ready,
            ready_reason=project.ready_reason,
            ready_message=project.ready_message,
            created_at=project.created_at,
            updated_at=project.updated_at,
        )
