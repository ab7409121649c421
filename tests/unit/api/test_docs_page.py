"""/docs: everything it loads comes from our own address, and its policy lets nothing else in."""

from __future__ import annotations

import re

import pytest

from support.api import World

LOADED = re.compile(r'(?:href|src)="([^"]+)"')


def test_the_page_loads_only_what_we_serve(world: World) -> None:
    page = world.client.request("GET", "/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    loaded = LOADED.findall(page.text)
    assert {"docs/swagger-ui-bundle.js", "docs/swagger-ui.css", "docs/start.js", "openapi.json"} <= set(loaded)
    for address in loaded:
        assert not re.match(r"[a-z]+:|/", address), "relative: from this host, below whatever prefix a proxy has"
        answer = world.client.request("GET", f"/{address}")
        assert answer.status_code == 200, address
        assert answer.content


def test_the_page_holds_no_script_of_its_own_and_the_policy_forbids_any(world: World) -> None:
    page = world.client.request("GET", "/docs")
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son[a-z]+=", page.text)
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert not any("http" in sources or "*" in sources for sources in policy.values())


def test_nothing_is_sent_to_a_validator_and_no_token_is_stored(world: World) -> None:
    start = world.client.request("GET", "/docs/start.js").text
    assert "validatorUrl: null" in start
    assert "persistAuthorization: false" in start
    assert not re.search(r"https?://", start)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("swagger-ui-bundle.js", "text/javascript"), ("swagger-ui.css", "text/css"), ("favicon-32x32.png", "image/png")],
)
def test_assets_have_their_type_and_may_be_kept(world: World, name: str, kind: str) -> None:
    answer = world.client.request("GET", f"/docs/{name}")
    assert answer.headers["content-type"].split(";")[0] == kind
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "max-age" in answer.headers["cache-control"]


@pytest.mark.parametrize("name", ["index.html", "__init__.py", "..%2Fapp.py", "%2e%2e", "swagger-ui.css/"])
def test_nothing_else_is_served(world: World, name: str) -> None:
    answer = world.client.request("GET", f"/docs/{name}")
    assert answer.status_code == 404
    assert answer.json()["code"] == 404


def test_answers_of_the_api_are_not_kept(world: World) -> None:
    assert world.call("GET", "/tasks").headers["cache-control"] == "no-store"
