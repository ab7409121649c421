"""The port at which Prometheus asks the API."""

from __future__ import annotations

import urllib.request
from contextlib import suppress

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cronwright_api.metrics import ApiMetrics, served
from support.ports import free_port


def test_the_port_answers_prometheus_and_is_closed_afterwards() -> None:
    metrics = ApiMetrics()
    metrics.kube.observe("create", "scheduledtasks", 201, 0.01)
    metrics.database.observe("read", "ok", 0.002)
    with served(metrics, "127.0.0.1", 0) as port:
        assert port is None
    with served(metrics, "127.0.0.1", free_port()) as port:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        with pytest.raises(OSError), served(metrics, "127.0.0.1", port or 0):
            pass
    names = {family.name for family in families}
    assert {"cronwright_kube_request_duration_seconds", "cronwright_database_call_duration_seconds"} <= names
    with pytest.raises(OSError), suppress(ConnectionResetError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5)
