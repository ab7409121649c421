"""What the API server refused, in the words of the REST API: paths in a manifest become field names. Pure."""

from __future__ import annotations

import re

from cronwright_api import messages
from cronwright_core.domain.errors import FieldError, InvalidInput, Message
from cronwright_core.kube.errors import KubeInvalid

_REST_NAMES = {
    "displayName": "name",
    "projectName": "project_id",
    "schedule": "schedule_config",
    "suspend": "is_active",
    "activeDeadlineSeconds": "timeout_seconds",
    "backoffLimit": "retry_count",
}


def to_invalid_input(error: KubeInvalid) -> InvalidInput:
    """A 400 that names each refused field."""
    errors = tuple(
        FieldError(rest_field(cause.field), Message(f"值无效：{cause.message}", cause.message), cause.field)
        for cause in error.causes
        # `<nil>` is no field: it says that the rules were skipped, as the schema was broken already (tried, 1.35).
        if cause.field not in ("", "<nil>")
    )
    if errors:
        return InvalidInput(messages.INVALID_REQUEST, errors)
    return InvalidInput(Message(f"请求参数错误：{error.message}", f"the request is invalid: {error.message}"))


def rest_field(path: str) -> str:
    """The REST name of a manifest's path: `spec.overrides.env[0].name` is `env`, `spec.suspend` is `is_active`."""
    parts = [part for part in re.split(r"[.\[]", path) if part]
    while parts and parts[0] in ("spec", "overrides"):
        parts = parts[1:]
    if not parts:
        return path
    return _REST_NAMES.get(parts[0]) or re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", parts[0]).lower()
