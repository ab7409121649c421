"""A Project made and removed by REST is the one in the cluster."""

from __future__ import annotations

import json
import uuid

import pytest

from support.cluster import KubectlFailed, Rest, kubectl


def test_a_project_of_rest_comes_and_goes(admin: Rest) -> None:
    name = f"short-lived {uuid.uuid4().hex[:8]}"
    made = admin.data("POST", "/projects", json={"name": name, "image": "busybox:1"})
    listed = json.loads(kubectl("get", "projects.cronwright.dev", "-A", "-o", "json"))["items"]
    (found,) = [item["metadata"] for item in listed if item["spec"].get("displayName") == name]
    admin.data("DELETE", f"/projects/{made['id']}")
    assert admin.call("GET", f"/projects/{made['id']}").status_code == 404
    with pytest.raises(KubectlFailed, match="not found"):
        kubectl("get", "-n", found["namespace"], f"project.cronwright.dev/{found['name']}")
