"""Dashboard and alert rules use what operator and API really export, and reach the cluster as their readers expect."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from cronwright_api.metrics import ApiMetrics
from cronwright_core.domain.execution import ExecutionState, ExecutionStatus
from cronwright_core.metrics import render
from cronwright_operator.launching.ledger import Place
from cronwright_operator.observability.launching import Stage
from cronwright_operator.observability.metrics import OperatorMetrics
from cronwright_operator.observability.state import Sources
from support import chart
from support.builders import CREATED
from support.monitoring import DASHBOARD, RULES, Exported, panels, rules
from support.promtool import NoPromtool, find

MINUTES = 70


@pytest.fixture(scope="module")
def texts() -> tuple[str, str]:
    """One observation of everything; that the running Pods export the same is shown end to end."""
    operator, api = OperatorMetrics(), ApiMetrics()
    operator.show(
        Sources(
            leader=lambda: True,
            shares_database=lambda: False,
            tasks=list,
            next_due=lambda: CREATED,
            watch_ages=lambda: {"pods": 1},
            kopf_restarts=lambda: 0,
            queue_depths=lambda: {"reconcile": 0},
            open_executions=lambda: {place.value.lower(): 0 for place in Place},
            blocked_executions=lambda: {"GlobalLimit": 0},
        )
    )
    for stage in Stage:
        operator.launch.reached(stage, 1, "Cron")
    operator.recording.ended(ExecutionState(ExecutionStatus.SUCCESS, start_time=CREATED, end_time=CREATED), CREATED)
    operator.queues.worked("reconcile", 1, "bug")
    operator.events.count("created")
    operator.database.watch_pool(lambda: (0, 0, 1))
    operator.database.observe("read", "ok", 1)
    operator.database.observe("read", "unavailable", 1)
    operator.kube.observe("get", "jobs", 200, 1)
    operator.kube.observe("get", "jobs", 500, 1)
    api.request({"method": "GET"}, 200, 1)
    api.auth_failed("missing")
    return operator.render().decode(), render(api.registry).decode()


@pytest.fixture(scope="module")
def exported(texts: tuple[str, str]) -> Exported:
    return Exported.parse(texts)


def test_every_expression_uses_what_is_exported(exported: Exported) -> None:
    expressions = [*panels(), *((rule["alert"], rule["expr"]) for rule in rules())]
    assert len(expressions) > 50
    wrong = {f"{title}: {problem}" for title, expr in expressions for problem in exported.problems(expr)}
    assert wrong == set()


def test_the_check_itself_finds_what_is_wrong(exported: Exported) -> None:
    assert exported.problems("rate(cronwright_nonsense_total[5m])")
    assert exported.problems('cronwright_tasks{state="x"}')
    assert exported.problems("sum by (namespace, route) (cronwright_tasks)")
    assert not exported.problems('sum by (namespace, ready) (cronwright_tasks{ready="true", job!="x"})')


def test_everything_that_is_measured_is_shown_or_alerts(exported: Exported) -> None:
    used = " ".join([expr for _, expr in panels()] + [rule["expr"] for rule in rules()])
    families = {
        re.sub(r"_(bucket|count|sum)$", "", name) for name in exported.samples if name.startswith("cronwright_")
    }
    assert {name for name in families if name not in used} == set()


def test_every_panel_shows_something_of_what_is_exported(texts: tuple[str, str], tmp_path: Path) -> None:
    """Prometheus' own engine evaluates each expression over series of the names and labels that are exported."""
    try:
        promtool = find()
    except NoPromtool as problem:
        pytest.skip(str(problem))
    target = {"namespace": "n", "pod": "p", "job": "j", "instance": "i"}
    series = [
        {"series": f"{name}{{{labels}}}", "values": f"0+1x{MINUTES}"}
        for name, labels in {
            (sample.name, ", ".join(f"{k}={json.dumps(v)}" for k, v in {**sample.labels, **target}.items()))
            for text in texts
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
    ]
    questions = [
        {
            "expr": f"clamp_max(count({expr}), 1)",
            "eval_time": f"{MINUTES}m",
            "exp_samples": [{"labels": "{}", "value": 1}],
        }
        for _, expr in panels()
    ]
    test = {"interval": "1m", "input_series": series, "promql_expr_test": questions}
    file = tmp_path / "panels.json"
    file.write_text(json.dumps({"rule_files": [], "evaluation_interval": "1m", "tests": [test]}))
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_holds_together() -> None:
    board: dict[str, Any] = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, f"{panel['title']} lies on another"
        assert max(x for x, _ in cells) < 24
        taken |= cells
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel.get("targets", ()))
    known = {variable["name"] for variable in board["templating"]["list"]}
    text = DASHBOARD.read_text()
    assert set(re.findall(r"\$(\w+)", text)) - {"__rate_interval", "__all"} <= known


def test_nothing_is_made_unless_it_is_asked_for() -> None:
    rendered = chart.render()
    assert not rendered.of("PrometheusRule")
    assert not [item for item in rendered.of("ConfigMap") if "dashboard" in item["metadata"]["name"]]


def test_they_are_rendered_as_they_are() -> None:
    values = {"metrics.rules": {"enabled": True, "labels": {"release": "p"}}, "metrics.dashboard.enabled": True}
    rendered = chart.render(values)
    rule = rendered.one("PrometheusRule", "cronwright")
    assert (rule["apiVersion"], rule["metadata"]["labels"]["release"]) == ("monitoring.coreos.com/v1", "p")
    assert rule["spec"] == yaml.safe_load(RULES.read_text())
    board = rendered.one("ConfigMap", "cronwright-dashboard")
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(board["data"]["cronwright.json"]) == json.loads(DASHBOARD.read_text())
