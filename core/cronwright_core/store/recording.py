"""One batch of reports into `executions`, `attempts` and `task_stats`, within the caller's transaction.

Order of locks, which makes parallel recorders wait for each other instead of deadlocking: (1) new rows are inserted in
key order, (2) the others are locked in key order, (3) statistics in order of task id, (4) ends in order of time. In (1)
one waits only for rows not yet committed, in (2) only for committed ones, each time in ascending order; so nobody waits
in a circle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from cronwright_core.domain.execution import Attempt, Execution, ExecutionStatus
from cronwright_core.store import statistics
from cronwright_core.store.columns import columns_of
from cronwright_core.store.ends import apply_ends
from cronwright_core.store.errors import StoreError
from cronwright_core.store.merging import (
    Values,
    merge_attempts,
    merge_execution,
    to_attempt_values,
    to_execution_values,
)
from cronwright_core.store.models import attempts, executions
from cronwright_core.store.notifications import EXECUTION_CHANNEL, notify
from cronwright_core.store.records.executions import RecordedExecution, RecordResult
from cronwright_core.store.upserts import replace_rows

Key = tuple[Any, str]
"""(execution_time, execution_id)"""

_LOCK = text(
    f"SELECT {columns_of(executions)}"  # noqa: S608 - names of our own columns
    " FROM unnest(CAST(:times AS timestamptz[]), CAST(:ids AS text[])) AS wanted (execution_time, execution_id)"
    " JOIN executions USING (execution_time, execution_id)"
    " WHERE executions.execution_time BETWEEN :first AND :last"
    " ORDER BY execution_time, execution_id FOR UPDATE OF executions"
)
_INSERT_NEW = (
    upsert(executions).on_conflict_do_nothing().returning(executions.c.execution_time, executions.c.execution_id)
)
_ATTEMPTS = text(
    f"SELECT {columns_of(attempts)}"  # noqa: S608
    " FROM unnest(CAST(:times AS timestamptz[]), CAST(:ids AS text[])) AS wanted (execution_time, execution_id)"
    " JOIN attempts USING (execution_time, execution_id)"
    " WHERE attempts.execution_time BETWEEN :first AND :last"
)


def record_batch(connection: Connection, batch: Sequence[Execution]) -> RecordResult:
    """Stores the batch; see `executions.ExecutionStore.record`. The partitions must be there."""
    now = connection.execute(select(func.now())).scalar_one()
    reported, pods = _fold(batch)
    keys = sorted(reported)
    inserted = _insert_new(connection, [{**reported[key], "updated_at": now} for key in keys])
    stored = _lock(connection, [key for key in keys if key not in inserted], _span(keys))
    pairs: list[tuple[Mapping[str, Any] | None, Values]] = []
    rewritten: list[Values] = []
    for key in keys:
        if key in inserted:
            pairs.append((None, reported[key]))
            continue
        if key not in stored:
            raise StoreError("an execution's id does not follow from its key: the key is stored under another id")
        merged = merge_execution(stored[key], reported[key])
        if merged != stored[key]:
            pairs.append((stored[key], merged))
            rewritten.append(merged)
    replace_rows(connection, executions, [{**row, "updated_at": now} for row in rewritten])
    numbers, renumbered = _record_attempts(connection, pods)
    statistics.keep_in_step(connection, pairs)
    apply_ends(connection, pairs)
    changed = {_key(row) for _, row in pairs} | renumbered
    current = {key: stored.get(key, reported[key]) for key in keys} | {_key(row): row for _, row in pairs}
    announce(connection, [current[key] for key in keys if key in changed])
    return RecordResult(
        executions=tuple(
            RecordedExecution(
                execution_id=key[1],
                status=ExecutionStatus(current[key]["status"]),
                changed=key in changed,
                attempt_numbers=numbers.get(key, {}),
            )
            for key in reported
        )
    )


def announce(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Tells listeners, at commit, of executions that are new or have changed."""
    notify(
        connection,
        EXECUTION_CHANNEL,
        [{"execution_id": row["execution_id"], "task_id": row["task_id"], "status": row["status"]} for row in rows],
    )


def _fold(batch: Sequence[Execution]) -> tuple[dict[Key, Values], dict[Key, dict[str, Attempt]]]:
    """One report per execution, in the order of the batch: a batch may hold several, the later ones newer."""
    reported: dict[Key, Values] = {}
    pods: dict[Key, dict[str, Attempt]] = {}
    for execution in batch:
        values = to_execution_values(execution)
        key = _key(values)
        reported[key] = merge_execution(reported[key], values) if key in reported else values
        pods.setdefault(key, {}).update({attempt.pod_uid: attempt for attempt in execution.state.attempts})
    return reported, pods


def _insert_new(connection: Connection, rows: list[Values]) -> set[Key]:
    return {(row.execution_time, row.execution_id) for row in connection.execute(_INSERT_NEW, rows)}


def _lock(connection: Connection, keys: list[Key], span: Values) -> dict[Key, Values]:
    """Locks the rows, in key order, and reads them. The span of times lets the planner leave other months out."""
    if not keys:
        return {}
    rows = connection.execute(_LOCK, {**_arrays(keys), **span})
    return {_key(row): row for row in map(dict, rows.mappings())}


def _record_attempts(
    connection: Connection, pods: Mapping[Key, Mapping[str, Attempt]]
) -> tuple[dict[Key, dict[str, int]], set[Key]]:
    """Writes the attempts that differ; their executions' rows are locked or our own, so nobody else writes them now."""
    keys = sorted(key for key, reports in pods.items() if reports)
    if not keys:
        return {}, set()
    stored: dict[Key, list[Values]] = {}
    for row in connection.execute(_ATTEMPTS, {**_arrays(keys), **_span(keys)}).mappings():
        values = dict(row)
        stored.setdefault(_key(values), []).append(values)
    numbers: dict[Key, dict[str, int]] = {}
    written: list[Values] = []
    for key in keys:
        execution = {"execution_time": key[0], "execution_id": key[1]}
        reports = [to_attempt_values(execution, attempt) for attempt in pods[key].values()]
        rows, numbers[key] = merge_attempts(stored.get(key, []), reports)
        written += rows
    replace_rows(connection, attempts, written)
    return numbers, {_key(row) for row in written}


def _arrays(keys: Sequence[Key]) -> Values:
    return {"times": [time for time, _ in keys], "ids": [id_ for _, id_ in keys]}


def _span(keys: Sequence[Key]) -> Values:
    return {"first": keys[0][0], "last": keys[-1][0]}


def _key(row: Mapping[str, Any]) -> Key:
    return row["execution_time"], row["execution_id"]
