"""REST says what is wrong, in the document's envelope."""

from __future__ import annotations

from typing import Any

import pytest

from support.cluster import Cluster, Rest, Space


@pytest.mark.parametrize("token", ["x", "nonsense", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."])
def test_malformed_token(cluster: Cluster, token: str) -> None:
    answer = Rest(cluster.url, token).call("GET", "/tasks")
    assert answer.status_code == 401
    body = answer.json()
    assert (body["success"], body["code"]) == (False, 401)
    assert "errors" in body
    assert body["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"project_id": 10**9}, "project_id"),
        ({"schedule_config": "0 25 * * *"}, "schedule_config"),
        ({"schedule_config": "0 0 30 2 *"}, "schedule_config"),
        ({"name": "ab"}, "name"),
        ({"timeout_seconds": "3600"}, "timeout_seconds"),
        ({"schedule_type": "DATE", "schedule_config": "2020-01-01T00:00:00Z"}, "schedule_config"),
    ],
)
def test_a_wrong_field_is_named(space: Space, alice: Rest, change: dict[str, Any], field: str) -> None:
    body = {
        "name": "a good name",
        "project_id": space.project_id(),
        "schedule_type": "CRON",
        "schedule_config": "0 0 * * *",
    }
    answer = alice.call("POST", "/tasks", json={**body, **change})
    assert answer.status_code == 400, answer.text
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert space.names("scheduledtasks") == [], "nothing was stored"


def test_a_project_without_an_image(admin: Rest, alice: Rest) -> None:
    answer = admin.call("POST", "/projects", json={"name": "no image"})
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["image"]
    assert alice.call("POST", "/projects", json={"name": "mine", "image": "x"}).status_code == 403
