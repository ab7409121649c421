"""The chart's alert rules by Prometheus' own promtool: each fires when it shall, and is silent when it shall not be."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from support import chart
from support.promtool import NoPromtool, find

RULES = chart.CHART / "files" / "monitoring" / "rules.yaml"
MINUTES = 60


@dataclass(frozen=True)
class Case:
    """Series with which an alert fires, and such with which it does not, a value a minute, at minute `at`."""

    fires: dict[str, str]
    quiet: dict[str, str]
    at: int = MINUTES


def flat(value: float) -> str:
    return f"{value}x{MINUTES + 1}"


def growing(by: float, start: float = 0) -> str:
    return f"{start}+{by}x{MINUTES + 1}"


def histogram(name: str, slow: bool, labels: str = "") -> dict[str, str]:
    """A histogram of which all observations, or none, lie above its middle bucket."""
    low = growing(0 if slow else 60)
    buckets = {"0.5": low, "1": low, "30": low, "60": low, "300": growing(60), "+Inf": growing(60)}
    return {f'{name}_bucket{{namespace="n", le="{le}"{labels}}}': values for le, values in buckets.items()}


CALLS = "cronwright_database_call_duration_seconds_count"
KUBE = "cronwright_kube_request_duration_seconds_count"
REST = "cronwright_api_request_duration_seconds_count"
LATE = ', stage="job_created", kind="Cron"'
CASES = {
    "CronwrightOperatorAbsent": Case({}, {'cronwright_operator_leader{namespace="n"}': flat(1)}),
    "CronwrightNoLeader": Case(
        {'cronwright_operator_leader{namespace="n", pod="a"}': flat(0), 'up{pod="b"}': flat(1)},
        {
            'cronwright_operator_leader{namespace="n", pod="a"}': flat(0),
            'cronwright_operator_leader{namespace="n", pod="b"}': flat(1),
        },
    ),
    "CronwrightTwoLeaders": Case(
        {f'cronwright_operator_leader{{namespace="n", pod="{pod}"}}': flat(1) for pod in "ab"},
        {f'cronwright_operator_leader{{namespace="{namespace}"}}': flat(1) for namespace in "ab"},
    ),
    "CronwrightWatchStale": Case(
        {'cronwright_watch_age_seconds{namespace="n", kind="pods"}': growing(60)},
        {'cronwright_watch_age_seconds{namespace="n", kind="pods"}': flat(70)},
    ),
    "CronwrightKopfRestarts": Case(
        {'cronwright_kopf_restarts_total{namespace="n"}': growing(1)},
        {'cronwright_kopf_restarts_total{namespace="n"}': flat(9)},
    ),
    "CronwrightBug": Case(
        {'cronwright_workqueue_retries_total{namespace="n", queue="record", cause="bug"}': "0x50 1x20"},
        {'cronwright_workqueue_retries_total{namespace="n", queue="record", cause="trouble"}': growing(9)},
    ),
    "CronwrightQueueGrows": Case(
        {'cronwright_workqueue_depth{namespace="n", queue="reconcile"}': flat(2000)},
        {'cronwright_workqueue_depth{namespace="n", queue="reconcile"}': "0x55 2000x10"},
    ),
    "CronwrightLaunchesLate": Case(
        histogram("cronwright_launch_lateness_seconds", True, LATE),
        histogram("cronwright_launch_lateness_seconds", False, LATE)
        | histogram("cronwright_launch_lateness_seconds", True, LATE.replace("Cron", "Manual")),
    ),
    "CronwrightTaskOverdue": Case(
        {'cronwright_next_due_timestamp_seconds{namespace="n"}': flat(3000)},
        {'cronwright_next_due_timestamp_seconds{namespace="n"}': flat(3590)},
    ),
    "CronwrightTicksMissed": Case(
        {'cronwright_ticks_skipped_total{namespace="n", reason="MissedSchedule"}': "0x50 3x20"},
        {'cronwright_ticks_skipped_total{namespace="n", reason="AlreadyRunning"}': growing(1)},
    ),
    "CronwrightExecutionsWaitLong": Case(
        {'cronwright_executions_open{namespace="n", state="waiting"}': f"1x{2 * MINUTES}"},
        {'cronwright_executions_open{namespace="n", state="waiting"}': f"1x80 0 1x{2 * MINUTES}"},
        at=100,
    ),
    "CronwrightTasksNotReady": Case(
        {'cronwright_tasks{namespace="n", ready="false"}': flat(2)},
        {'cronwright_tasks{namespace="n", ready="false"}': "2x40 0x30"},
    ),
    "CronwrightNothingRecorded": Case(
        {
            'cronwright_executions_open{namespace="n", state="unrecorded"}': flat(4),
            'cronwright_executions_total{namespace="n", status="SUCCESS", reason=""}': flat(70),
        },
        {
            'cronwright_executions_open{namespace="n", state="unrecorded"}': flat(4),
            'cronwright_executions_total{namespace="n", status="SUCCESS", reason=""}': growing(1),
        },
    ),
    "CronwrightRecordingLags": Case(
        histogram("cronwright_recording_lag_seconds", True), histogram("cronwright_recording_lag_seconds", False)
    ),
    "CronwrightManyExecutionsFail": Case(
        {
            'cronwright_executions_total{namespace="n", status="FAILED", reason="Error"}': growing(3),
            'cronwright_executions_total{namespace="n", status="SUCCESS", reason=""}': growing(1),
        },
        {
            'cronwright_executions_total{namespace="n", status="FAILED", reason="Error"}': "0x45 9x30",
            'cronwright_executions_total{namespace="n", status="SUCCESS", reason=""}': flat(7),
        },
    ),
    "CronwrightDatabaseUnavailable": Case(
        {
            CALLS + '{namespace="n", job="o", outcome="unavailable"}': growing(1),
            CALLS + '{namespace="n", job="o", outcome="ok"}': growing(9),
        },
        {
            CALLS + '{namespace="n", job="o", outcome="unavailable"}': growing(1),
            CALLS + '{namespace="n", job="o", outcome="ok"}': growing(99),
        },
    ),
    "CronwrightDatabaseShared": Case(
        {
            'cronwright_database_shared{namespace="n", pod="a"}': flat(1),
            'cronwright_database_shared{namespace="n", pod="b"}': flat(0),
        },
        {'cronwright_database_shared{namespace="n", pod="a"}': "1x3 0x60"},
    ),
    "CronwrightDatabasePoolFull": Case(
        {
            'cronwright_database_connections{namespace="n", job="api", state="lent"}': flat(19),
            'cronwright_database_connections_limit{namespace="n", job="api"}': flat(20),
        },
        {
            'cronwright_database_connections{namespace="n", job="api", state="idle"}': flat(20),
            'cronwright_database_connections{namespace="n", job="api", state="lent"}': flat(3),
            'cronwright_database_connections_limit{namespace="n", job="api"}': flat(20),
        },
    ),
    "CronwrightKubeRequestsFail": Case(
        {
            KUBE + '{namespace="n", job="o", verb="get", resource="jobs", code="0"}': growing(2),
            KUBE + '{namespace="n", job="o", verb="get", resource="jobs", code="200"}': growing(9),
        },
        {
            KUBE + '{namespace="n", job="o", verb="get", resource="jobs", code="404"}': growing(9),
            KUBE + '{namespace="n", job="o", verb="get", resource="jobs", code="200"}': growing(9),
        },
    ),
    "CronwrightApiErrors": Case(
        {
            REST + '{namespace="n", method="GET", route="/tasks", code="503"}': growing(1),
            REST + '{namespace="n", method="GET", route="/tasks", code="200"}': growing(9),
        },
        {
            REST + '{namespace="n", method="GET", route="/tasks", code="404"}': growing(9),
            REST + '{namespace="n", method="GET", route="/tasks", code="200"}': growing(9),
        },
    ),
    "CronwrightApiSlow": Case(
        histogram("cronwright_api_request_duration_seconds", True, ', route="/tasks"'),
        histogram("cronwright_api_request_duration_seconds", True, ', route="/readyz"')
        | histogram("cronwright_api_request_duration_seconds", False, ', route="/tasks"'),
    ),
}


@pytest.fixture(scope="module")
def promtool() -> str:
    try:
        return find()
    except NoPromtool as problem:
        pytest.skip(str(problem))


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def test_every_rule_has_a_case() -> None:
    names = [rule["alert"] for rule in rules()]
    assert sorted(names) == sorted(CASES)


def test_each_fires_when_it_shall_and_only_then(promtool: str, tmp_path: Path) -> None:
    tests = []
    for alert, case in CASES.items():
        for series, expected in ((case.fires, [{"labels": "{}", "value": 1}]), (case.quiet, [])):
            expr = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})'
            tests.append(
                {
                    "name": f"{alert} {'fires' if expected else 'is silent'}",
                    "interval": "1m",
                    "input_series": [{"series": name, "values": values} for name, values in series.items()],
                    "promql_expr_test": [{"expr": expr, "eval_time": f"{case.at}m", "exp_samples": expected}],
                }
            )
    file = tmp_path / "tests.json"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_texts_name_only_labels_that_the_alert_has(promtool: str) -> None:
    checked = subprocess.run([promtool, "check", "rules", RULES], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for rule in rules():
        assert rule["annotations"].keys() == {"summary", "description"}, rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        text = " ".join(rule["annotations"].values())
        kept = {name.strip() for names in re.findall(r"by \(([^)]*)\)", rule["expr"]) for name in names.split(",")}
        assert set(re.findall(r"\$labels\.(\w+)", text)) <= kept, rule["alert"]
