"""From the store's snapshot to endpoint 13's figures. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cronwright_api.schemas.system import NodeMetrics, QueueStatus, SystemMetrics
from cronwright_core.domain.errors import Message
from cronwright_core.domain.times import from_rfc3339
from cronwright_core.store.records.system import Heartbeat, SystemSnapshot

HEARTBEAT_LIMIT = timedelta(seconds=45)
"""The operator gives a sign of life every 10 s; a successor takes over within 10 s of the Lease."""
SAMPLE_LIMIT = timedelta(minutes=5)
"""What was seen of the nodes longer ago says nothing of now."""

_WHY = {
    "Disabled": Message(
        "未启用节点指标（Helm参数nodeMetrics.enabled）",
        "node metrics are switched off (chart value nodeMetrics.enabled)",
    ),
    "NotMeasuredYet": Message("尚未采样", "nothing has been measured yet"),
    "Forbidden": Message("调度器无权读取节点统计信息", "the operator may not read the nodes' statistics"),
    "CertificateNotTrusted": Message(
        "kubelet证书不受信任（Helm参数kubelet.caBundle）",
        "the kubelets' certificates are not trusted (chart value kubelet.caBundle)",
    ),
    "BadCaBundle": Message("Helm参数kubelet.caBundle无效", "the chart value kubelet.caBundle is no usable certificate"),
    "Unreachable": Message("无法连接节点的kubelet", "the nodes' kubelets cannot be reached"),
    "NoNodes": Message("集群中没有节点", "the cluster has no nodes"),
    "Partial": Message("部分节点或指标无法读取", "some nodes or figures could not be read"),
    "Stale": Message("采样数据已过期", "the last sample is too old"),
    "SchedulerStopped": Message("调度器未运行", "the scheduler is not running"),
    "DatabaseUnavailable": Message("数据库不可用", "the database cannot be reached"),
}
_UNKNOWN = Message("指标不可用", "the figures are not available")


def midnight(now: datetime, zone: str) -> datetime:
    """The instant at which today began in the zone."""
    local = now.astimezone(ZoneInfo(zone))
    return datetime.combine(local.date(), time.min, tzinfo=local.tzinfo).astimezone(now.tzinfo)


def system_metrics(
    snapshot: SystemSnapshot | None, now: datetime, *, is_admin: bool, say: Mapping[str, str]
) -> SystemMetrics:
    """The answer; `snapshot` None: the database is away, and what only it knows is null. `say` has each reason's
    sentence in the caller's language.
    """
    if snapshot is None:
        return SystemMetrics(
            **_FIGURES_OF_NOTHING,
            active_tasks=None,
            scheduler_status=None,
            queue_status=QueueStatus(pending_tasks=None, running_tasks=None, completed_today=None),
            database_status="UNHEALTHY",
            last_updated=now,
            scheduler_heartbeat=None,
            scheduler_version=None,
            node_metrics=_no_figures("DatabaseUnavailable", say),
        )
    beat = snapshot.heartbeat
    runs = beat is not None and now - beat.time <= HEARTBEAT_LIMIT
    figures, node_metrics = _of_nodes(beat if runs else None, now, is_admin, say)
    return SystemMetrics(
        **figures,
        active_tasks=snapshot.active_tasks,
        scheduler_status="RUNNING" if runs else "STOPPED",
        queue_status=QueueStatus(
            pending_tasks=snapshot.pending_executions,
            running_tasks=snapshot.running_executions,
            completed_today=snapshot.completed_executions,
        ),
        database_status="HEALTHY",
        last_updated=now,
        scheduler_heartbeat=beat.time if beat is not None else None,
        scheduler_version=beat.version if beat is not None else None,
        node_metrics=node_metrics,
    )


def reasons() -> Mapping[str, Message]:
    """The sentence for each reason; the one under the empty key is for a reason of a later release."""
    return {**_WHY, "": _UNKNOWN}


_FIGURES_OF_NOTHING: dict[str, float | None] = dict.fromkeys(("cpu_percent", "memory_percent", "disk_usage"))


def _of_nodes(
    beat: Heartbeat | None, now: datetime, is_admin: bool, say: Mapping[str, str]
) -> tuple[dict[str, float | None], NodeMetrics]:
    if beat is None:
        return _FIGURES_OF_NOTHING, _no_figures("SchedulerStopped", say)
    usage = beat.details.get("usage")
    if not isinstance(usage, Mapping):
        return _FIGURES_OF_NOTHING, _no_figures("NotMeasuredYet", say)
    sampled_at = from_rfc3339(usage["sampled_at"]) if usage.get("sampled_at") else None
    if sampled_at is not None and now - sampled_at > SAMPLE_LIMIT:
        return _FIGURES_OF_NOTHING, _no_figures("Stale", say)
    reason: str | None = usage.get("reason")
    return {key: usage.get(key) for key in _FIGURES_OF_NOTHING}, NodeMetrics(
        source=usage.get("source"),
        nodes=usage.get("nodes"),
        nodes_measured=usage.get("nodes_measured"),
        sampled_at=sampled_at,
        reason=reason,
        message=_sentence(reason, say),
        detail=usage.get("message") if is_admin else None,
    )


def _no_figures(reason: str, say: Mapping[str, str]) -> NodeMetrics:
    nothing: dict[str, Any] = dict.fromkeys(("source", "nodes", "nodes_measured", "sampled_at", "detail"))
    return NodeMetrics(**nothing, reason=reason, message=_sentence(reason, say))


def _sentence(reason: str | None, say: Mapping[str, str]) -> str | None:
    return None if reason is None else say.get(reason, say[""])
