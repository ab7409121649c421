"""What the API server refused, in the words of the REST API: paths in a manifest become field names. Pure."""

from __future__ import annotations

import re

from cronwright_api import messages
from cronwright_core.domain.errors import Conflict, FieldError, InvalidInput, Message
from cronwright_core.kube.errors import KubeDenied, KubeInvalid, KubeNoRoom

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
    if error.words is not None:
        return _denied(error.words)
    return InvalidInput(Message(f"请求参数错误：{error.message}", f"the request is invalid: {error.message}"))


_REFUSED = Message("集群的准入策略拒绝了该请求", "a policy of the cluster refuses this")
_NO_ROOM = Message(
    "集群配额已用尽或命名空间正在删除，请稍后重试或联系管理员",
    "a quota of the cluster is used up, or the namespace is being deleted; try again later or ask an administrator",
)
_FIELD = re.compile(r"(spec\.[A-Za-z.]+): ")


def to_refusal(error: KubeDenied | KubeInvalid | KubeNoRoom) -> InvalidInput | Conflict:
    """A 400 in a policy's own words, by field where they begin with one, as those of the chart's do; a 409 where there
    is no room. The API server's text around them names accounts and figures, which are no user's business.
    """
    if isinstance(error, KubeNoRoom):
        return Conflict(_NO_ROOM)
    return to_invalid_input(error) if isinstance(error, KubeInvalid) else _denied(error.words or "")


def _denied(words: str) -> InvalidInput:
    named = _FIELD.match(words)
    if named is not None:
        text = words[named.end() :]
        field = FieldError(rest_field(named[1]), Message(f"值无效：{text}", text), named[1])
        return InvalidInput(messages.INVALID_REQUEST, (field,))
    return InvalidInput(Message(f"{_REFUSED.zh}：{words}", f"{_REFUSED.en}: {words}") if words else _REFUSED)


def rest_field(path: str) -> str:
    """The REST name of a manifest's path: `spec.overrides.env[0].name` is `env`, `spec.suspend` is `is_active`."""
    parts = [part for part in re.split(r"[.\[]", path) if part]
    while parts and parts[0] in ("spec", "overrides"):
        parts = parts[1:]
    if not parts:
        return path
    return _REST_NAMES.get(parts[0]) or re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", parts[0]).lower()
