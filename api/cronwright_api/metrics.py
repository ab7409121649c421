"""What the API tells Prometheus, and the port on which it does: one of its own, without a token, that no Service of the
API leads to.

The port is served from a thread, so that it answers while the event loop is busy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from cronwright_api.settings import BASE_PATH
from cronwright_core.metrics import DatabaseMetrics, KubeRequestMetrics, new_registry

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
UNMATCHED = "unmatched"


class ApiMetrics:
    """All metrics of one API process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = new_registry()
        self.kube = KubeRequestMetrics(self.registry)
        self.database = DatabaseMetrics(self.registry)
        self._requests = Histogram(
            "cronwright_api_request_duration_seconds",
            "Requests by method, route (its template) and status; of a live log the time until it began.",
            ("method", "route", "code"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._refused = Counter(
            "cronwright_api_auth_failures_total",
            "Requests without the right to be answered: missing, expired, invalid or unknown_key (401), forbidden"
            " (403).",
            ("reason",),
            registry=self.registry,
        )
        self._streams = Gauge(
            "cronwright_api_log_streams_open", "Live logs that are open at this moment.", registry=self.registry
        )

    def request(self, scope: Any, status: int, seconds: float) -> None:
        """One request was answered; `scope` is ASGI's, after routing. Status 0, where nobody waited for the answer, is
        told as 499."""
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._requests.labels(method, route_of(scope), str(status or 499)).observe(seconds)

    def auth_failed(self, reason: str) -> None:
        """A caller was turned away."""
        self._refused.labels(reason).inc()

    def watch_streams(self, count: Callable[[], int]) -> None:
        """Shows how many live logs are open."""
        self._streams.set_function(count)


def route_of(scope: Any) -> str:
    """The template of the request's route below the base path, such as `/tasks/{task_id}`: never the path itself, which
    holds ids."""
    template: str = getattr(scope.get("route"), "path", UNMATCHED)
    return template.removeprefix(BASE_PATH)


@contextmanager
def served(metrics: ApiMetrics, host: str, port: int) -> Iterator[int | None]:
    """Answers any GET on the port with the metrics while the block lasts; port 0: not at all.

    Raises:
        OSError: the port cannot be had.
    """
    if port == 0:
        yield None
        return
    server, thread = start_http_server(port, addr=host, registry=metrics.registry)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
