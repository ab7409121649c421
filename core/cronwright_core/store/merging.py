"""What is stored of an execution, and what is reported anew, become what shall be stored. Pure, on rows as mappings.

The rules: the first final status stays, whatever is reported later, and only what it left open is filled in; before
that the newest report counts; a time, an exit code or a uid once known is never forgotten; the snapshot of the task's
name and owner is that of the first report (whose the execution is follows from the task's row: `owned_by`). Progress is
that of the newest attempt that is known of. Of resource use the highest memory counts, and the newest figure of the
CPU, which stands for the whole run up to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cronwright_core.domain.execution import Attempt, Execution, ExecutionKind, ExecutionStatus
from cronwright_core.domain.usage import usage_of
from cronwright_core.store.columns import clean_json

Values = dict[str, Any]

_FILLED = (
    "job_uid",
    "requested_by",
    "admitted_time",
    "start_time",
    "end_time",
    "exit_code",
    "output_summary",
    "workspace_claim",
    "parameters",
)
"""Columns that are never set back to null."""
_EXPLAINING = ("reason", "message", "error_message")
"""Columns that explain the status: they go with it, and only a report of the same final status may fill them."""
_PROGRESS = ("progress_step", "progress_percent")
_AVERAGED = ("avg_cpu_percent",)
_PEAK = "max_memory_mb"
_ATTEMPT_FILLED = ("node_name", "start_time", "end_time", "exit_code")
_ATTEMPT_EXPLAINING = ("reason", "message")


def to_execution_values(execution: Execution) -> Values:
    """The columns of `executions` that a report knows, cleaned as they will be stored."""
    key, state, progress = execution.key, execution.state, execution.progress
    usage = usage_of(state.attempts)
    values: Values = clean_json(
        {
            "execution_id": execution.execution_id,
            "task_id": execution.task_id,
            "task_uid": key.task_uid,
            "task_name": execution.task_name,
            "owner": execution.owner,
            "project_id": execution.project_id,
            "namespace": execution.namespace,
            "job_name": execution.job_name,
            "job_uid": execution.job_uid,
            "kind": key.kind.value,
            "request_key": key.request_key,
            "requested_by": execution.requested_by,
            "status": state.status.value,
            "reason": state.reason,
            "message": state.message,
            "exit_code": state.exit_code,
            "output_summary": execution.output_summary,
            "error_message": execution.error_message,
            "progress_step": progress.step if progress else None,
            "progress_percent": progress.percent if progress else None,
            "progress_attempt": progress.attempt if progress else None,
            "workspace_claim": execution.workspace_claim,
            "parameters": list(execution.parameters) or None,
            "max_memory_mb": usage.max_memory_mb,
            "avg_cpu_percent": usage.avg_cpu_percent,
        }
    )
    return values | {
        "execution_time": key.time,
        "scheduled_time": key.time if key.kind is ExecutionKind.SCHEDULED else None,
        "admitted_time": state.admitted_time,
        "start_time": state.start_time,
        "end_time": state.end_time,
        "created_at": execution.created_time,
    }


def to_attempt_values(execution: Mapping[str, Any], attempt: Attempt) -> Values:
    """The columns of `attempts`."""
    values: Values = clean_json(
        {
            "number": attempt.number,
            "pod_name": attempt.pod_name,
            "pod_uid": attempt.pod_uid,
            "status": attempt.status.value,
            "node_name": attempt.node_name,
            "exit_code": attempt.exit_code,
            "reason": attempt.reason,
            "message": attempt.message,
            "max_memory_mb": attempt.max_memory_mb,
            "avg_cpu_percent": attempt.avg_cpu_percent,
        }
    )
    return values | {
        "execution_time": execution["execution_time"],
        "execution_id": execution["execution_id"],
        "created_time": attempt.created_time,
        "start_time": attempt.start_time,
        "end_time": attempt.end_time,
    }


def merge_execution(old: Mapping[str, Any], new: Mapping[str, Any]) -> Values:
    """The row to be stored, with `old`'s keys; equal to `old` if the report says nothing new."""
    merged = _merge(old, new, _FILLED, _EXPLAINING)
    if new["job_name"]:
        merged["job_name"] = new["job_name"]
    _merge_progress(merged, old, new)
    return merged


def _merge_progress(merged: Values, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """A later attempt's progress replaces an earlier one's; of one attempt, what was said stays until it says more."""
    before, attempt = old.get("progress_attempt") or 0, new.get("progress_attempt") or 0
    if attempt > before:
        merged.update({column: new[column] for column in (*_PROGRESS, "progress_attempt")})
    elif attempt and attempt == before:
        merged.update({column: new[column] for column in _PROGRESS if new[column] is not None})


def merge_attempts(
    stored: Sequence[Mapping[str, Any]], reported: Iterable[Mapping[str, Any]]
) -> tuple[list[Values], dict[str, int]]:
    """The attempts of one execution that must be written, and the number that each Pod of the report keeps.

    A Pod that is stored keeps its number. A new one takes the number given, or the next free one if that is lower:
    when earlier Pods are gone from the cluster, the reporter's count starts anew.
    """
    by_uid = {row["pod_uid"]: dict(row) for row in stored}
    highest = max((row["number"] for row in stored), default=0)
    numbers: dict[str, int] = {}
    written: dict[str, Values] = {}
    for report in sorted(reported, key=lambda row: row["number"]):
        uid = report["pod_uid"]
        old = by_uid.get(uid)
        if old is None:
            number = max(report["number"], highest + 1)
            highest = number
            by_uid[uid] = written[uid] = {**report, "number": number}
        else:
            merged = _merge(old, report, _ATTEMPT_FILLED, _ATTEMPT_EXPLAINING)
            if merged != old:
                by_uid[uid] = written[uid] = merged
        numbers[uid] = by_uid[uid]["number"]
    return list(written.values()), numbers


def _merge(old: Mapping[str, Any], new: Mapping[str, Any], filled: Sequence[str], explaining: Sequence[str]) -> Values:
    merged = dict(old)
    ended = ExecutionStatus(old["status"]).ended
    if not ended:
        merged["status"] = new["status"]
        for column in explaining:
            merged[column] = new[column]
    elif old["status"] == new["status"]:
        for column in explaining:
            merged[column] = new[column] if old[column] is None else old[column]
    for column in (*filled, *_AVERAGED):
        new_value = new.get(column)
        keep = new_value is None or (ended and old[column] is not None)
        merged[column] = old[column] if keep else new_value
    peaks = [value for value in (old[_PEAK], new.get(_PEAK)) if value is not None]
    merged[_PEAK] = max(peaks, default=None)
    return merged
