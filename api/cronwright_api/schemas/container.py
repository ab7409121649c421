"""Env and resources of a container in bodies: Kubernetes' own JSON, env also as a plain object of names and values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from cronwright_api.schemas.fields import BODY, Quantity, Text, refuse


class KeyRef(BaseModel):
    """A key of a Secret or ConfigMap in the task's namespace."""

    model_config = BODY

    name: Text
    key: Text
    optional: bool | None = None


class ValueFrom(BaseModel):
    """Where an environment variable's value comes from; exactly one of the two."""

    model_config = BODY

    secret_key_ref: KeyRef | None = Field(default=None, alias="secretKeyRef")
    config_map_key_ref: KeyRef | None = Field(default=None, alias="configMapKeyRef")


class EnvVar(BaseModel):
    """An environment variable, as in a container of a Pod."""

    model_config = BODY

    name: Text = Field(examples=["REGION"])
    value: Text | None = None
    value_from: ValueFrom | None = Field(default=None, alias="valueFrom")


class Resources(BaseModel):
    """CPU and memory, as in a container of a Pod."""

    model_config = BODY

    requests: dict[Text, Quantity] = Field(default_factory=dict)
    limits: dict[Text, Quantity] = Field(default_factory=dict)


def _from_object(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    for name, text in value.items():
        if not isinstance(text, str):
            refuse(f"环境变量 {name} 的值必须是字符串", f"the value of {name} must be a string")
    return [{"name": name, "value": text} for name, text in value.items()]


Env = Annotated[list[EnvVar], BeforeValidator(_from_object, json_schema_input_type=dict[str, str] | list[EnvVar])]
"""`{"REGION": "eu"}` or `[{"name": "REGION", "value": "eu"}]`."""


def env_to_kube(env: Sequence[EnvVar]) -> tuple[Mapping[str, Any], ...]:
    """Kubernetes' JSON of the variables."""
    return tuple(variable.model_dump(by_alias=True, exclude_none=True) for variable in env)


def resources_to_kube(resources: Resources) -> Mapping[str, Any]:
    """Kubernetes' JSON of the resources."""
    return resources.model_dump(exclude_defaults=True)
