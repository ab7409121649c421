"""What API and operator measure alike, for Prometheus: requests to the API server, calls to the database, the process.

Names and units follow the Prometheus conventions: base units in the name (`_seconds`, `_bytes`), counters end in
`_total`. No label holds what users make - a task's name, an id, a namespace -: the number of series must not grow with
use.

kube and store know nothing of this: they call an observer, and these objects are such observers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from threading import Lock

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from cronwright_core import __version__
from cronwright_core.domain.timezones import tz_release

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
"""Of what `render` returns."""
OTHER = "Other"
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]{0,39}")
_REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_CALL_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Vocabulary:
    """Keeps a label to words such as reasons, and to few of them: whatever is no word, or one too many, is `Other`.

    Reasons are constants, of ours and of Kubernetes; this holds even if one day one of them is not. Thread-safe.
    """

    def __init__(self, limit: int = 50) -> None:
        self._limit = limit
        self._words: set[str] = set()
        self._lock = Lock()

    def __call__(self, word: str | None) -> str:
        """The word itself or `Other`; an empty text for None."""
        if word is None:
            return ""
        with self._lock:
            if word in self._words:
                return word
            if len(self._words) < self._limit and _WORD.fullmatch(word):
                self._words.add(word)
                return word
        return OTHER


class KubeRequestMetrics:
    """Requests to the API server; `observe` is a `kube.client.RequestObserver`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Histogram(
            "cronwright_kube_request_duration_seconds",
            "Requests to the API server until the head of the answer, by verb, resource and HTTP status"
            " (0: no answer).",
            ("verb", "resource", "code"),
            buckets=_REQUEST_BUCKETS,
            registry=registry,
        )

    def observe(self, verb: str, resource: str, code: int, seconds: float) -> None:
        """Takes one request."""
        self._requests.labels(verb, resource, str(code)).observe(seconds)


class DatabaseMetrics:
    """Calls to PostgreSQL; `observe` is a `store.session.CallObserver`, called from many threads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._pool: _Pool | None = None
        self._calls = Histogram(
            "cronwright_database_call_duration_seconds",
            "Transactions (`write`) and reads on PostgreSQL, the wait for a connection included; outcome is ok,"
            " unavailable (to be tried again) or error (a bug).",
            ("operation", "outcome"),
            buckets=_CALL_BUCKETS,
            registry=registry,
        )

    def observe(self, operation: str, outcome: str, seconds: float) -> None:
        """Takes one call."""
        self._calls.labels(operation, outcome).observe(seconds)

    def watch_pool(self, usage: Callable[[], tuple[int, int, int]]) -> None:
        """Shows a pool of connections, instead of one before: `usage` gives (lent, idle, how many there may be)."""
        if self._pool is not None:
            self._registry.unregister(self._pool)
        self._pool = _Pool(usage)
        self._registry.register(self._pool)


class _Pool(Collector):
    def __init__(self, usage: Callable[[], tuple[int, int, int]]) -> None:
        self._usage = usage

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> list[Metric]:
        lent, idle, limit = self._usage()
        connections = GaugeMetricFamily(
            "cronwright_database_connections", "Connections of the pool by state.", labels=("state",)
        )
        connections.add_metric(("lent",), lent)
        connections.add_metric(("idle",), idle)
        bound = GaugeMetricFamily("cronwright_database_connections_limit", "Connections that the pool may have.", limit)
        return [connections, bound]


def new_registry() -> CollectorRegistry:
    """A registry with the process's own figures and the release's; none is global, so that tests do not meet."""
    # A second series for each counter and histogram, with the time of its birth: nobody here reads it.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry(auto_describe=True)
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(_Build())
    return registry


class _Build(Collector):
    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> list[Metric]:
        info = GaugeMetricFamily(
            "cronwright_build_info", "Always 1; the release and its tz data.", labels=("version", "tz_release")
        )
        info.add_metric((__version__, tz_release()), 1)
        return [info]


def render(registry: CollectorRegistry) -> bytes:
    """What /metrics answers, in the text format 0.0.4."""
    return generate_latest(registry)
