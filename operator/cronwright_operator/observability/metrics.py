"""All metrics of the operator in one registry, and what /metrics answers."""

from __future__ import annotations

from cronwright_core.metrics import DatabaseMetrics, KubeRequestMetrics, new_registry, render
from cronwright_operator.observability.events import EventMetrics
from cronwright_operator.observability.launching import LaunchMetrics
from cronwright_operator.observability.queues import QueueMetrics
from cronwright_operator.observability.recording import RecordingMetrics
from cronwright_operator.observability.state import Sources, StateCollector


class OperatorMetrics:
    """Made once a process, so that counters go on when the operator starts anew after a lost Lease."""

    def __init__(self) -> None:
        self.registry = new_registry()
        self.launch = LaunchMetrics(self.registry)
        self.recording = RecordingMetrics(self.registry)
        self.queues = QueueMetrics(self.registry)
        self.kube = KubeRequestMetrics(self.registry)
        self.database = DatabaseMetrics(self.registry)
        self.events = EventMetrics(self.registry)
        self._state: StateCollector | None = None

    def show(self, sources: Sources) -> None:
        """Shows the state of this operator from now on, instead of that of the one before."""
        if self._state is not None:
            self.registry.unregister(self._state)
        self._state = StateCollector(sources)
        self.registry.register(self._state)

    def render(self) -> bytes:
        """The text for Prometheus."""
        return render(self.registry)
