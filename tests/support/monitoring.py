"""The chart's expressions for Prometheus, and what they use: names of metrics and of labels.

Not a parser of PromQL - promtool is, in the tests -, but enough for expressions in which every metric's name begins
with `cronwright_` or `process_`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import yaml
from prometheus_client.parser import text_string_to_metric_families

from support.chart import CHART

RULES = CHART / "files" / "monitoring" / "rules.yaml"
DASHBOARD = CHART / "files" / "monitoring" / "dashboard.json"
TARGET_LABELS = frozenset(("namespace", "pod", "job", "instance"))
"""What Prometheus adds to every series of what it scrapes."""
_METRIC = re.compile(r"\b((?:cronwright|process)_[a-z0-9_]+)(?:\{([^}]*)\})?")
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring) \(([^)]*)\)")


@dataclass
class Exported:
    """The names of samples that were scraped, and the values that each of their labels had."""

    samples: dict[str, dict[str, set[str]]] = field(default_factory=dict)

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Exported:
        """From what /metrics answered."""
        exported = cls()
        for text in texts:
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    labels = exported.samples.setdefault(sample.name, {})
                    for name, value in sample.labels.items():
                        labels.setdefault(name, set()).add(value)
        return exported

    def problems(self, expr: str) -> list[str]:
        """What an expression uses that is not exported: metrics, labels, grouping by labels that none of them has."""
        problems, labels = [], set(TARGET_LABELS)
        for name, matchers in _METRIC.findall(expr):
            if name not in self.samples:
                problems.append(f"no metric {name}")
                continue
            own = self.samples[name].keys()
            labels |= own
            used = re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', matchers)
            problems += [f"{name} has no label {label}" for label in used if label not in own | TARGET_LABELS]
        grouped = {label.strip() for found in _GROUPING.findall(expr) for label in found.split(",")}
        return problems + [f"nothing has the label {label}" for label in sorted(grouped - labels)]


def rules() -> list[Mapping[str, str]]:
    """The alert rules."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def panels() -> Iterator[tuple[str, str]]:
    """(title, expression) of each query of the dashboard, with Grafana's variables filled in."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            expr = target["expr"].replace("$__rate_interval", "5m").replace("$namespace", ".*")
            yield panel["title"], expr
