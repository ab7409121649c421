"""Secrets that the chart makes are random, made once, and never touched again."""

from __future__ import annotations

import base64
from typing import Any

import pytest

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


def test_what_is_there_is_left_alone() -> None:
    """Keys that were added or taken away too: no upgrade, and above all no rollback, sets them back."""
    before = chart.render()
    with chart.secrets_server(before.of("Secret")) as server:
        after = chart.render_against(server)
    assert len(before.of("Secret")) == 2
    assert after.of("Secret") == []


def test_what_is_missing_is_made_by_an_upgrade_too() -> None:
    """The twin of the test above: without it that would pass too if lookup were never asked."""
    before = chart.render()
    with chart.secrets_server([before.one("Secret", "cronwright-postgresql")]) as server:
        (made,) = chart.render_against(server).of("Secret")
    assert made["metadata"]["name"] == "cronwright-jwt-keys"
    assert decoded(made) != decoded(before.one("Secret", "cronwright-jwt-keys"))


@pytest.mark.parametrize("name", ["cronwright-jwt-keys", "cronwright-postgresql"])
def test_they_are_hooks_which_belong_to_no_revision(name: str) -> None:
    annotations = chart.render().one("Secret", name)["metadata"]["annotations"]
    assert annotations["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert annotations["helm.sh/resource-policy"] == "keep"


def test_given_secrets_are_not_made_again() -> None:
    rendered = chart.render(
        {"auth.existingSecret": "my-keys", "postgresql.enabled": False, "database.existingSecret.name": "my-db"}
    )
    assert rendered.of("Secret") == []
