"""On which nodes a project's tasks run, and the annotations of their Pods, in bodies: Kubernetes' own JSON.

`domain.placement` judges keys, values and numbers of entries; here stand their types, and the bounds for who reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from cronwright_api.schemas.fields import BODY, Text
from cronwright_core.domain.placement import (
    MAX_ANNOTATIONS,
    MAX_NODE_LABELS,
    MAX_TOLERATION_SECONDS,
    MAX_TOLERATIONS,
)


class Toleration(BaseModel):
    """A taint of nodes that the Pods tolerate, as in a Pod."""

    model_config = BODY

    key: Text | None = Field(default=None, examples=["dedicated"])
    operator: Literal["Exists", "Equal"] | None = Field(default=None, description="default: Equal")
    value: Text | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="default: every effect"
    )
    toleration_seconds: int | None = Field(default=None, ge=0, le=MAX_TOLERATION_SECONDS, alias="tolerationSeconds")


NodeSelector = Annotated[
    dict[Text, Text],
    Field(
        description="labels that a node must have",
        json_schema_extra={"maxProperties": MAX_NODE_LABELS},
        examples=[{"disktype": "ssd"}],
    ),
]
Tolerations = Annotated[list[Toleration], Field(json_schema_extra={"maxItems": MAX_TOLERATIONS})]
PodAnnotations = Annotated[
    dict[Text, Text],
    Field(
        description="annotations of the Pods; not of cronwright.dev, k8s.io, kubernetes.io but cluster-autoscaler's",
        json_schema_extra={"maxProperties": MAX_ANNOTATIONS},
        examples=[{"sidecar.istio.io/inject": "false"}],
    ),
]


def tolerations_to_kube(tolerations: Sequence[Toleration]) -> tuple[Mapping[str, Any], ...]:
    """Kubernetes' JSON of the tolerations."""
    return tuple(toleration.model_dump(by_alias=True, exclude_none=True) for toleration in tolerations)
