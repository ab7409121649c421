"""Secrets that the chart makes are random, made once, and kept by upgrades and reinstalls."""

from __future__ import annotations

import base64
from typing import Any

from support import chart


def decoded(secret: dict[str, Any]) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def test_each_installation_gets_secrets_of_its_own() -> None:
    first, second = chart.render(), chart.render()
    for name in ("cronwright-jwt-keys", "cronwright-postgresql"):
        assert decoded(first.one("Secret", name)) != decoded(second.one("Secret", name))


def test_the_key_is_long_enough_for_hs256() -> None:
    keys = decoded(chart.render().one("Secret", "cronwright-jwt-keys"))
    assert len(keys) == 1
    assert all(len(value) >= 32 for value in keys.values())


def test_the_database_address_holds_the_password() -> None:
    secret = decoded(chart.render(namespace="team").one("Secret", "cronwright-postgresql"))
    assert len(secret["password"]) >= 24
    assert secret["url"] == f"postgresql://cronwright:{secret['password']}@cronwright-postgresql.team:5432/cronwright"


def test_an_upgrade_keeps_password_and_keys() -> None:
    before = chart.render()
    with chart.secrets_server(before.of("Secret")) as server:
        after = chart.render_against(server)
    for name in ("cronwright-jwt-keys", "cronwright-postgresql"):
        assert after.one("Secret", name)["data"] == before.one("Secret", name)["data"]


def test_an_upgrade_keeps_keys_that_were_added_to_rotate() -> None:
    keys = chart.render().one("Secret", "cronwright-jwt-keys")
    keys["data"]["key-002"] = base64.b64encode(b"k" * 40).decode()
    with chart.secrets_server([keys]) as server:
        after = chart.render_against(server).one("Secret", "cronwright-jwt-keys")
    assert after["data"] == keys["data"]


def test_an_upgrade_from_an_empty_cluster_makes_new_ones() -> None:
    """The twin of the tests above: without it they would pass too if lookup's answer were never used."""
    before = chart.render()
    with chart.secrets_server([]) as server:
        after = chart.render_against(server)
    assert decoded(after.one("Secret", "cronwright-postgresql")) != decoded(
        before.one("Secret", "cronwright-postgresql")
    )


def test_given_secrets_are_not_made_again() -> None:
    rendered = chart.render(
        {"auth.existingSecret": "my-keys", "postgresql.enabled": False, "database.existingSecret.name": "my-db"}
    )
    assert rendered.of("Secret") == []
