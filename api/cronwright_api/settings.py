"""The API's settings, read from the environment when the process starts; the chart sets them."""

from __future__ import annotations

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
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
    metrics_port: int = Field(default=0, ge=0, le=65535, description="where Prometheus gets its metrics; 0: nowhere")
    jwt_keys_dir: Path | None = Field(
        default=Path("/etc/cronwright/jwt-keys"), description="HS256 secrets, one file a key: its name is the kid"
    )
    jwt_jwks_file: Path | None = Field(default=None, description="a JSON Web Key Set with public keys")
    jwt_jwks_url: str | None = Field(default=None, description="address of such a set; https")
    jwt_jwks_allow_http: bool = Field(default=False, description="whether jwt_jwks_url may be http")
    jwt_jwks_refresh_seconds: float = Field(default=300, ge=10, le=86_400, description="how often it is fetched")
    jwt_audience: str | None = Field(default=None, description="if set, a token's `aud` must hold it")
    jwt_issuer: str | None = Field(default=None, description="if set, a token's `iss` must be it")
    jwt_roles_claim: str = Field(default="roles", min_length=1, description="claim, or path a.b, with a token's roles")
    jwt_admin_role: str = Field(default="admin", min_length=1, description="the role of administrators")
    root_path: str = Field(default="", description="prefix that a proxy in front cuts off")
    database_pool_size: int = Field(default=10, ge=1, description="connections kept open")
    database_max_overflow: int = Field(default=10, ge=0, description="further connections under load")

    max_log_streams: int = Field(default=200, ge=1, description="live logs that this process serves at a time")
    max_log_streams_per_user: int = Field(default=50, ge=1, description="of these, one user's at most")

    @field_validator("jwt_keys_dir", "jwt_jwks_file", "jwt_jwks_url", "jwt_audience", "jwt_issuer", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @model_validator(mode="after")
    def _check_jwks_url(self) -> Self:
        if self.jwt_jwks_url is None:
            return self
        # No part of the address in the messages: somebody may have put a password into it.
        address = urlsplit(self.jwt_jwks_url)
        if address.scheme not in ("https", "http") or not address.hostname or address.fragment:
            raise ValueError("CRONWRIGHT_JWT_JWKS_URL must be an address such as https://sso.example.com/keys")
        if address.username is not None or address.password is not None:
            raise ValueError("CRONWRIGHT_JWT_JWKS_URL must hold no user and no password: key sets are public")
        if address.scheme == "http" and not self.jwt_jwks_allow_http:
            raise ValueError(
                "CRONWRIGHT_JWT_JWKS_URL is http: who stands between could put keys of their own into the answer;"
                " use https, or set CRONWRIGHT_JWT_JWKS_ALLOW_HTTP=true in a network that you trust"
            )
        return self

    @property
    def home_namespace(self) -> str:
        """Where Projects made by REST go unless their body says otherwise."""
        return self.namespace or self.pod_namespace
