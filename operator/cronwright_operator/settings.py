"""The operator's settings, read from the environment once at start; the chart's values describe each."""

from __future__ import annotations

import socket
from typing import Literal

from pydantic import BaseModel, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from cronwright_core.domain.retention import MAX_DAYS
from cronwright_operator.recording.redaction import compile_patterns


class PriorityClass(BaseModel):
    """Tasks of at least this priority get Pods of this PriorityClass."""

    min_priority: int = Field(validation_alias="minPriority")
    name: str


class OperatorSettings(BaseSettings):
    """`CRONWRIGHT_*`, and the names that users of Kubernetes know: DATABASE_URL, POD_NAME, POD_NAMESPACE."""

    model_config = SettingsConfigDict(env_prefix="CRONWRIGHT_", extra="ignore")

    database_url: str = Field(validation_alias="DATABASE_URL")
    pod_name: str = Field(default_factory=socket.gethostname, validation_alias="POD_NAME")
    pod_namespace: str = Field(default="default", validation_alias="POD_NAMESPACE")
    log_level: str = "INFO"
    watch_namespaces: str = ""
    ignore_namespaces: str = ""
    health_host: str = "0.0.0.0"  # noqa: S104 - the kubelet's probes come from outside the Pod
    health_port: int = 8081
    lease_name: str = "cronwright-operator"
    keep_finished_seconds: int = Field(default=3600, ge=0)
    keep_finished_per_task: int = Field(default=50, ge=0)
    keep_finished_pods: int = Field(default=5000, ge=0)
    retention_days: int = Field(default=400, ge=0, le=MAX_DAYS)
    log_poll_seconds: float = Field(default=2.0, gt=0)
    log_source: Literal["auto", "streams", "files", "merged"] = "auto"
    log_kubelet_files: bool = False
    log_limit_mib: int = Field(default=100, ge=1, le=102_400)
    log_redact_variables: bool = True
    log_redact_secrets: bool = False
    log_redact_patterns: tuple[str, ...] = ()
    resync_seconds: float = Field(default=300.0, ge=1)
    image: str = "cronwright"
    image_pull_policy: str = "IfNotPresent"
    workspace_user: int = Field(default=10001, ge=0)
    workspace_max_age_hours: int = Field(default=0, ge=0, le=8760)
    workspace_clean_seconds: float = Field(default=3600.0, ge=1)
    node_metrics: bool = False
    node_metrics_seconds: float = Field(default=15.0, ge=1)
    kubelet_ca_file: str | None = None
    kubelet_insecure_tls: bool = False
    kubelet_port: int = Field(default=10250, ge=1, le=65535)
    cron_jobs_step_in: bool = True
    max_concurrent_executions: int = Field(default=0, ge=0)
    max_unrecorded: int = Field(default=2000, ge=0)
    priority_classes: tuple[PriorityClass, ...] = ()
    reconcile_workers: int = Field(default=96, ge=1)
    record_workers: int = Field(default=128, ge=1)

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        if value.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
        return value.upper()

    def priority_class(self, priority: int) -> str | None:
        """The PriorityClass for Pods of tasks of this priority: that of the highest `minPriority` not above it."""
        fitting = [known for known in self.priority_classes if known.min_priority <= priority]
        return max(fitting, key=lambda known: known.min_priority).name if fitting else None

    @field_validator("log_redact_patterns")
    @classmethod
    def _usable_patterns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        compile_patterns(value)
        return value

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces to watch; empty means all."""
        return _names(self.watch_namespaces)

    @property
    def ignored_namespaces(self) -> tuple[str, ...]:
        """The namespaces to leave out where all are watched; those that are named to be watched are watched."""
        return _names(self.ignore_namespaces)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
