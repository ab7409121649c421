"""ETag and If-Match: a write that is meant for one version of a task or project meets that version or nothing."""

from __future__ import annotations

from typing import Any

import pytest

from cronwright_api.preconditions import Precondition, entity_tag, parse_if_match
from cronwright_core.domain.errors import InvalidInput
from support.api import World


def test_reading_and_writing_give_the_tag_of_the_version(world: World) -> None:
    path = f"/tasks/{world.make_task()['id']}"
    first = world.call("GET", path).headers["ETag"]
    assert first.startswith('"'), "strong"
    changed = world.call("PUT", path, json={"priority": 5})
    assert changed.headers["ETag"] != first
    assert world.call("GET", path).headers["ETag"] == changed.headers["ETag"]
    assert world.call("PUT", path, json={}).headers["ETag"] == changed.headers["ETag"]


@pytest.mark.parametrize(
    ("method", "suffix", "body"),
    [("PUT", "", {"priority": 6}), ("DELETE", "", None), ("POST", "/pause", None), ("POST", "/resume", None)],
)
def test_a_stale_tag_changes_nothing(world: World, method: str, suffix: str, body: Any) -> None:
    path = f"/tasks/{world.make_task(is_active=suffix != '/resume')['id']}"
    stale = world.call("GET", path).headers["ETag"]
    world.call("PUT", path, json={"priority": 5})
    before = world.call("GET", path).json()["data"]
    refused = world.call(method, path + suffix, json=body, headers={"If-Match": stale})
    assert (refused.status_code, refused.json()["code"], refused.json()["success"]) == (412, 412, False)
    assert world.call("GET", path).json()["data"] == before
    current = world.call("GET", path).headers["ETag"]
    assert world.call(method, path + suffix, json=body, headers={"If-Match": f'"x", {current}'}).status_code == 200


def test_projects_have_tags_too(world: World) -> None:
    path = f"/projects/{world.make_project()}"
    root: dict[str, Any] = {"user": "root", "admin": True}
    stale = world.call("GET", path, **root).headers["ETag"]
    assert world.call("PUT", path, json={"image": "alpine"}, headers={"If-Match": stale}, **root).status_code == 200
    for method in ("PUT", "DELETE"):
        refused = world.call(method, path, json={"image": "debian"}, headers={"If-Match": stale}, **root)
        assert refused.status_code == 412
    assert world.call("GET", path, **root).json()["data"]["image"] == "alpine"
    assert world.call("DELETE", path, headers={"If-Match": "*"}, **root).status_code == 200


@pytest.mark.parametrize("value", ["abc", '"abc', '"a" "b"', '"a",', "W/abc", "*, *", '"a b"', f'"{"a" * 4095}"'])
def test_a_header_that_is_no_list_of_tags_is_named(world: World, value: str) -> None:
    path = f"/tasks/{world.make_task()['id']}"
    response = world.call("PUT", path, json={}, headers={"If-Match": value})
    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == ["If-Match"]


def test_weak_tags_never_match() -> None:
    tag = entity_tag("uid", 3)
    found = parse_if_match([f"W/{tag}"])
    assert found is not None
    assert tag not in (found.tags or ())
    assert parse_if_match([]) is None
    assert parse_if_match([" * "]) == Precondition(None)
    assert parse_if_match(['"a"', f"{tag}"]) == Precondition(frozenset({'"a"', tag}))
    with pytest.raises(InvalidInput):
        parse_if_match([""])


def test_the_tag_is_of_the_object_not_of_its_name() -> None:
    assert len({entity_tag("a", 1), entity_tag("a", 2), entity_tag("b", 1)}) == 3
