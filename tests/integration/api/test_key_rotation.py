"""Rotation on a running process, as docs/operations.md describes it: HS256 secrets, and a provider's key set."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest

from support.api_process import ApiProcess, api_environment, api_process, make_token
from support.key_server import KeyServer, until
from support.tokens import key_set, pair


def mount(folder: Path, content: dict[str, str], version: str) -> None:
    """Writes a Secret into a folder as the kubelet does: a dated folder, and links that are swapped at once."""
    dated = folder / f"..{version}"
    dated.mkdir(parents=True)
    for name, text in content.items():
        (dated / name).write_text(text)
    (folder / "..data_tmp").symlink_to(dated.name)
    os.replace(folder / "..data_tmp", folder / "..data")
    for name in content:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    for link in folder.iterdir():
        if not link.name.startswith("..") and link.name not in content:
            link.unlink()


def test_old_tokens_live_until_the_old_key_is_taken_away(tmp_path: Path, database_url: str) -> None:
    keys = tmp_path / "mounted"
    old, new = "o" * 64, "n" * 64
    mount(keys, {"key-001": old}, "1")
    environment = api_environment(tmp_path, database_url, CRONWRIGHT_JWT_KEYS_DIR=str(keys))
    first = make_token(environment, "--user", "alice")
    with api_process(environment, tmp_path / "log") as api:
        assert api.status(first) == 200
        mount(keys, {"key-001": old, "key-002": new}, "2")
        second = make_token(environment, "--user", "alice")  # the newest name signs
        until(lambda: api.status(second) == 200)
        assert api.status(first) == 200, "the old token lives on"
        mount(keys, {"key-002": new}, "3")
        until(lambda: api.status(first) == 401)
        assert api.status(second) == 200
    assert old not in api.log
    assert new not in api.log
    assert first not in api.log
    read = [entry["kids"] for entry in api.entries if entry["message"] == "JWT keys read again"]
    assert read == [["key-001", "key-002"], ["key-002"]]


def test_a_key_set_in_a_mounted_file(tmp_path: Path, database_url: str) -> None:
    folder = tmp_path / "mounted"
    old, new = pair("RS256"), pair("ES256")
    mount(folder, {"jwks.json": key_set(old).decode()}, "1")
    environment = api_environment(
        tmp_path,
        database_url,
        CRONWRIGHT_JWT_KEYS_DIR="",
        CRONWRIGHT_JWT_JWKS_FILE=str(folder / "jwks.json"),
        CRONWRIGHT_JWT_AUDIENCE="cronwright",
    )
    meant = {"aud": "cronwright"}
    with api_process(environment, tmp_path / "log") as api:
        assert api.status(old.sign(meant)) == 200
        assert api.status(old.sign()) == 401, "signed for another service"
        mount(folder, {"jwks.json": key_set(new).decode()}, "2")
        until(lambda: api.status(new.sign(meant)) == 200)
        assert api.status(old.sign(meant)) == 401


def jwks_environment(tmp_path: Path, database_url: str, server: KeyServer) -> dict[str, str]:
    return api_environment(
        tmp_path,
        database_url,
        CRONWRIGHT_JWT_KEYS_DIR="",
        CRONWRIGHT_JWT_JWKS_URL=server.url,
        CRONWRIGHT_JWT_JWKS_ALLOW_HTTP="true",
    )


def is_ready(api: ApiProcess) -> bool:
    return api.request("GET", "/readyz").status_code == 200


def test_a_key_set_behind_an_address(tmp_path: Path, database_url: str) -> None:
    old, new = pair("ES256"), pair("RS256")
    server = KeyServer()
    server.status = 503
    with server.running(), api_process(jwks_environment(tmp_path, database_url, server), tmp_path / "log") as api:
        assert api.status(old.sign()) == 401
        ready = api.request("GET", "/readyz")
        assert (ready.status_code, ready.json()["jwt_keys"]) == (503, "there is no usable JWT key")
        server.body, server.status = key_set(old), 200
        # Whoever was in vain asks again after ever longer, up to half a minute where the process took long to start.
        until(lambda: is_ready(api), seconds=60)
        assert api.status(old.sign()) == 200
        # The provider rotates: no restart, no wait for the next refresh in five minutes.
        server.body = key_set(old, new)
        until(lambda: api.status(new.sign()) == 200, seconds=30)
        assert api.status(old.sign()) == 200
        server.status = 500
        asked = len(server.requests)
        for number in range(100):
            assert api.status(new.sign(kid=f"forged-{number}")) == 401
        assert len(server.requests) - asked <= 2
        assert api.status(old.sign()) == api.status(new.sign()) == 200, "the last good set stays"
    assert set(server.requests) == {"/keys"}


@pytest.mark.parametrize("trouble", ["drip", "large", "redirect"])
def test_an_address_that_misbehaves_keeps_nobody_waiting(tmp_path: Path, database_url: str, trouble: str) -> None:
    server = KeyServer()
    server.body = key_set(pair("ES256"))
    server.drip = trouble == "drip"
    if trouble == "large":
        server.body = b" " * 300_000 + server.body
    if trouble == "redirect":
        server.status = 302
    with server.running(), api_process(jwks_environment(tmp_path, database_url, server), tmp_path / "log") as api:
        until(lambda: bool(server.requests))
        token = pair("ES256").sign()
        try:
            answer = api.request("GET", "/healthz")
        except httpx.TimeoutException:
            pytest.fail("the event loop is blocked")
        assert answer.status_code == 200
        assert api.status(token) == 401
        words = {"drip": "no complete answer", "large": "more than", "redirect": "answered 302"}[trouble]
        until(lambda: words in api.log)
        assert not is_ready(api)
    assert set(server.requests) == {"/keys"}, "a redirect is not followed"
