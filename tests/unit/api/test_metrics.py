"""What the API tells Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from cronwright_api.metrics import ApiMetrics
from cronwright_api.settings import BASE_PATH
from cronwright_api.tokens import User, make_token
from support.api import World
from support.tokens import pair

Grown = Callable[[], dict[tuple[str, ...], float]]


@pytest.fixture
def grown(world: World) -> Grown:
    """What the counters of requests and refusals have gained since the test began."""
    metrics: ApiMetrics = world.client.app.state.metrics

    def counts() -> dict[tuple[str, ...], float]:
        names = ("cronwright_api_request_duration_seconds_count", "cronwright_api_auth_failures_total")
        return {
            tuple(sample.labels[name] for name in ("method", "route", "code", "reason") if name in sample.labels): (
                sample.value
            )
            for family in metrics.registry.collect()
            for sample in family.samples
            if sample.name in names
        }

    before = counts()
    return lambda: {key: value - before.get(key, 0) for key, value in counts().items() if value != before.get(key, 0)}


def test_a_request_is_counted_under_the_template_of_its_route(world: World, grown: Grown) -> None:
    task = world.make_task()["id"]
    for number in (task, task, 424242):
        world.call("GET", f"/tasks/{number}")
    world.call("PROPFIND", f"/tasks/{task}")
    world.call("GET", "//no/such/page/123")
    world.call("GET", "//healthz")
    found = grown()
    template = "/tasks/{task_id}"
    assert found["GET", template, "200"] == 2
    assert found["GET", template, "404"] == 1
    assert {key[2]: value for key, value in found.items() if key[0] == "other"} == {"405": 1}
    assert found["GET", "unmatched", "404"] == 1
    assert found["GET", "/healthz", "200"] == 1
    assert not any(character.isdigit() for _, route, *_ in found for character in route)


def test_who_is_turned_away_is_counted_by_the_reason(world: World, grown: Grown) -> None:
    path = BASE_PATH + "/tasks"
    (key,) = world.secrets.current()
    old = make_token(key, User("alice"), now=datetime.now(UTC) - timedelta(hours=2), ttl=timedelta(hours=1))
    world.client.request("GET", path)
    for token in (old, "no token", pair("ES256").sign()):
        world.client.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    world.call("POST", "/projects", json={"name": "p", "image": "i"})
    reasons = {key[0]: value for key, value in grown().items() if len(key) == 1}
    assert reasons == {"missing": 1, "expired": 1, "invalid": 1, "unknown_key": 1, "forbidden": 1}


def test_open_logs_are_shown_and_a_log_counts_until_it_began(world: World) -> None:
    metrics: ApiMetrics = world.client.app.state.metrics
    with world.live.opened("alice"), world.live.opened("bob"):
        assert metrics.registry.get_sample_value("cronwright_api_log_streams_open") == 2
    assert metrics.registry.get_sample_value("cronwright_api_log_streams_open") == 0
