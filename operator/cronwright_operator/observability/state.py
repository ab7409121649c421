"""Gauges that are read from the living objects when Prometheus asks; nothing is kept up for them in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from cronwright_core.domain.task import ScheduledTask


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the figures come from; each is called in the event loop, at each scrape."""

    leader: Callable[[], bool]
    shares_database: Callable[[], bool]
    tasks: Callable[[], Iterable[ScheduledTask]]
    next_due: Callable[[], datetime | None]
    watch_ages: Callable[[], Mapping[str, float]]
    kopf_restarts: Callable[[], int]
    queue_depths: Callable[[], Mapping[str, int]]
    open_executions: Callable[[], Mapping[str, int]]
    blocked_executions: Callable[[], Mapping[str, int]]


class StateCollector(Collector):
    """The state of this operator. One that waits for the Lease has no tasks, no watches and no executions to show."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def describe(self) -> list[Metric]:
        """Nothing beforehand: what is collected depends on the moment."""
        return []

    def collect(self) -> Iterable[Metric]:
        """All figures now."""
        of = self._sources
        yield GaugeMetricFamily("cronwright_operator_leader", "Whether this operator holds the Lease.", of.leader())
        yield GaugeMetricFamily(
            "cronwright_database_shared",
            "Whether another installation works on this one's database, so that upkeep rests.",
            of.shares_database(),
        )
        yield _by("cronwright_tasks", "ScheduledTasks by the condition Ready.", "ready", _by_ready(of.tasks()))
        due = of.next_due()
        if due is not None:
            yield GaugeMetricFamily(
                "cronwright_next_due_timestamp_seconds",
                "When the next task is due, in seconds since 1970; a time that lies back was not served yet.",
                due.timestamp(),
            )
        yield _by(
            "cronwright_watch_age_seconds",
            "Since the watch of a kind of object has heard of the API server.",
            "kind",
            of.watch_ages(),
        )
        restarts = CounterMetricFamily("cronwright_kopf_restarts", "How often kopf ended and was started again.")
        restarts.add_metric((), of.kopf_restarts())
        yield restarts
        yield _by("cronwright_workqueue_depth", "Keys that wait or are worked on.", "queue", of.queue_depths())
        yield _by(
            "cronwright_executions_open",
            "Executions that wait for admission, that run, and that have ended and are not recorded yet.",
            "state",
            of.open_executions(),
        )
        yield _by(
            "cronwright_executions_blocked",
            "Executions that wait, by the limit that holds them.",
            "reason",
            of.blocked_executions(),
        )


def _by(name: str, documentation: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=(label,))
    for word, value in values.items():
        family.add_metric((word,), value)
    return family


def _by_ready(tasks: Iterable[ScheduledTask]) -> Mapping[str, int]:
    names = {True: "true", False: "false", None: "unknown"}
    counts = Counter(ready.status if (ready := task.status.ready) is not None else None for task in tasks)
    return {name: counts[state] for state, name in names.items()}
