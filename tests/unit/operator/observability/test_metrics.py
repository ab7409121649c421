"""What /metrics says: names, labels that do not grow, and figures of the operator that lives now."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from cronwright_core.domain.execution import ExecutionState, ExecutionStatus
from cronwright_core.domain.task import Condition
from cronwright_core.metrics import Vocabulary
from cronwright_operator.observability.launching import Stage
from cronwright_operator.observability.metrics import OperatorMetrics
from cronwright_operator.observability.recording import RecordingMetrics
from cronwright_operator.observability.state import Sources
from support.builders import CREATED, at, make_task


def sources(leader: bool = True, depth: int = 0) -> Sources:
    ready = make_task()
    ready = replace(ready, status=replace(ready.status, conditions=(Condition("Ready", True, "Ok", "", CREATED, 1),)))
    return Sources(
        leader=lambda: leader,
        shares_database=lambda: not leader,
        tasks=lambda: [ready, make_task()],
        next_due=lambda: CREATED,
        watch_ages=lambda: {"pods": 1.5},
        kopf_restarts=lambda: 2,
        queue_depths=lambda: {"reconcile": depth},
        open_executions=lambda: {"waiting": 3},
        blocked_executions=lambda: {"GlobalLimit": 2},
    )


def test_the_answer_is_what_prometheus_reads() -> None:
    metrics = OperatorMetrics()
    metrics.show(sources())
    metrics.launch.reached(Stage.JOB_CREATED, 0.2, "Cron")
    metrics.database.watch_pool(lambda: (1, 2, 20))
    families = {family.name: family for family in text_string_to_metric_families(metrics.render().decode())}
    ours = {name: family for name, family in families.items() if name.startswith("cronwright_")}
    assert {"process_resident_memory_bytes", "process_cpu_seconds"} <= families.keys()
    assert all(family.documentation and family.type != "unknown" for family in ours.values())
    # https://prometheus.io/docs/practices/naming: base units, and `_total` for counters only (the parser takes it off).
    unsound = re.compile(r"_(ms|milliseconds|minutes|hours|kb|mb|count|total)$")
    assert not [name for name in ours if unsound.search(name)]
    values = {(s.name, *s.labels.values()): s.value for family in ours.values() for s in family.samples}
    assert values["cronwright_operator_leader",] == 1
    assert values["cronwright_database_shared",] == 0
    assert values["cronwright_tasks", "true"] == values["cronwright_tasks", "unknown"] == 1
    assert values["cronwright_next_due_timestamp_seconds",] == CREATED.timestamp()
    assert values["cronwright_watch_age_seconds", "pods"] == 1.5
    assert values["cronwright_kopf_restarts_total",] == 2
    assert values["cronwright_executions_open", "waiting"] == 3
    assert values["cronwright_executions_blocked", "GlobalLimit"] == 2
    assert values["cronwright_database_connections", "idle"] == 2


def test_an_operator_that_starts_anew_shows_itself_and_keeps_its_counters() -> None:
    metrics = OperatorMetrics()
    metrics.show(sources(depth=7))
    metrics.database.watch_pool(lambda: (1, 0, 20))
    metrics.launch.tick_skipped("MissedSchedule", 4)
    metrics.show(sources(leader=False))
    metrics.database.watch_pool(lambda: (0, 0, 20))
    value = metrics.registry.get_sample_value
    assert value("cronwright_operator_leader") == 0
    assert value("cronwright_database_shared") == 1
    assert value("cronwright_workqueue_depth", {"queue": "reconcile"}) == 0
    assert value("cronwright_ticks_skipped_total", {"reason": "MissedSchedule"}) == 4
    assert value("cronwright_database_connections", {"state": "lent"}) == 0


def test_a_label_does_not_grow_whatever_comes() -> None:
    words = Vocabulary(limit=3)
    assert [words(word) for word in ("Evicted", "no word", "x" * 41, "", "A", "B", "C", "Evicted", "C")] == [
        "Evicted",
        *["Other"] * 3,
        "A",
        "B",
        "Other",
        "Evicted",
        "Other",
    ]
    assert words(None) == ""


def test_an_end_is_counted_with_its_reason_and_its_lag() -> None:
    registry = CollectorRegistry()
    recording = RecordingMetrics(registry)
    end = at("10:05:00")
    state = ExecutionState(ExecutionStatus.FAILED, start_time=at("10:00:00"), end_time=end, reason="OOMKilled")
    recording.ended(state, end + timedelta(seconds=2.5))
    recording.ended(ExecutionState(ExecutionStatus.SUCCESS, end_time=end), end - timedelta(milliseconds=400))
    value = registry.get_sample_value
    assert value("cronwright_executions_total", {"status": "FAILED", "reason": "OOMKilled"}) == 1
    assert value("cronwright_executions_total", {"status": "SUCCESS", "reason": ""}) == 1
    assert value("cronwright_recording_lag_seconds_sum") == 2.5
    assert value("cronwright_execution_duration_seconds_sum", {"status": "FAILED"}) == 300
