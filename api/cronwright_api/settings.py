"""The API's settings, read from the environment when the process starts; the chart sets them."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

BASE_PATH = "/api/v1/scheduler"
"""The document's base path."""
MAX_BODY_BYTES = 1024 * 1024
"""A task is some hundred bytes; a body beyond this is a mistake or an attack."""


class ApiSettings(BaseSettings):
    """All settings of `cronwright api`; names in the environment are these in upper case after `CRONWRIGHT_`."""

    model_config = SettingsConfigDict(env_prefix="CRONWRIGHT_", extra="ignore", populate_by_name=True)

    database_url: SecretStr = Field(
        validation_alias="DATABASE_URL", description="postgresql://user:password@host:5432/name"
    )
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR")
    namespace: str = Field(
        default="", description="where Projects and tasks made by REST live; default: the Pod's namespace"
    )
    pod_namespace: str = Field(default="default", validation_alias="POD_NAMESPACE", description="from the downward API")
    default_time_zone: str = Field(default="UTC", description="IANA zone of tasks that name none")
    host: str = Field(default="0.0.0.0", description="address to listen on")  # noqa: S104 - a Pod serves its Service
    port: int = Field(default=8000, ge=1, le=65535)
    jwt_keys_dir: Path = Field(
        default=Path("/etc/cronwright/jwt-keys"), description="one file a key: its name is the kid"
    )
    jwt_audience: str | None = Field(default=None, description="if set, a token's `aud` must hold it")
    jwt_issuer: str | None = Field(default=None, description="if set, a token's `iss` must be it")
    root_path: str = Field(default="", description="prefix that a proxy in front cuts off")
    database_pool_size: int = Field(default=10, ge=1, description="connections kept open")
    database_max_overflow: int = Field(default=10, ge=0, description="further connections under load")

    @property
    def home_namespace(self) -> str:
        """Where Projects made by REST go unless their body says otherwise."""
        return self.namespace or self.pod_namespace
