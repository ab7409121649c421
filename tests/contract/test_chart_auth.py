"""Where the API gets the keys of tokens from."""

from __future__ import annotations

from typing import Any

import pytest

from cronwright_api.settings import ApiSettings
from support import chart


def api_pod(values: dict[str, Any]) -> tuple[chart.Rendered, dict[str, Any], dict[str, Any]]:
    """The rendering, the API's environment, and its Pod's volumes by the path where they are mounted."""
    rendered = chart.render(values)
    spec = rendered.pod_templates()["cronwright-api"]["spec"]
    (container,) = spec["containers"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    mounted = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
    assert {volume["name"] for volume in mounted.values()} == set(volumes)
    return rendered, {item["name"]: item.get("value") for item in container["env"]}, mounted


def test_secrets_alone_are_the_default() -> None:
    rendered, env, mounted = api_pod({})
    assert env["CRONWRIGHT_JWT_KEYS_DIR"] == "/etc/cronwright/jwt-keys"
    assert not {name for name in env if "JWKS" in name}
    assert mounted["/etc/cronwright/jwt-keys"]["secret"]["secretName"] == "cronwright-jwt-keys"
    assert rendered.one("Secret", "cronwright-jwt-keys")


def test_an_address_beside_the_secrets() -> None:
    _, env, mounted = api_pod({"auth.jwks.url": "https://sso.example.com/keys?a=b"})
    assert env["CRONWRIGHT_JWT_KEYS_DIR"] == "/etc/cronwright/jwt-keys"
    assert env["CRONWRIGHT_JWT_JWKS_URL"] == "https://sso.example.com/keys?a=b"
    assert (env["CRONWRIGHT_JWT_JWKS_ALLOW_HTTP"], env["CRONWRIGHT_JWT_JWKS_REFRESH_SECONDS"]) == ("false", "300")
    assert "/etc/cronwright/jwt-keys" in mounted


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("ConfigMap", {"configMap": {"name": "my-keys", "defaultMode": 0o444}}),
        ("Secret", {"secret": {"secretName": "my-keys", "defaultMode": 0o440}}),
    ],
)
def test_a_file_alone(kind: str, source: dict[str, Any]) -> None:
    file = {"kind": kind, "name": "my-keys", "key": "set.json"}
    rendered, env, mounted = api_pod({"auth.secretKeys": False, "auth.jwks.file": file})
    assert env["CRONWRIGHT_JWT_KEYS_DIR"] == ""
    assert env["CRONWRIGHT_JWT_JWKS_FILE"] == "/etc/cronwright/jwks/set.json"
    assert "CRONWRIGHT_JWT_JWKS_URL" not in env
    assert mounted["/etc/cronwright/jwks"] == {"name": "jwks", **source}
    assert "/etc/cronwright/jwt-keys" not in mounted
    assert "cronwright-jwt-keys" not in [secret["metadata"]["name"] for secret in rendered.of("Secret")]


def test_the_programs_settings_accept_what_the_chart_sets() -> None:
    _, env, _ = api_pod({"auth.jwks.url": "http://sso/keys", "auth.jwks.allowHttp": True, "auth.secretKeys": False})
    values = {name.removeprefix("CRONWRIGHT_").lower(): value for name, value in env.items() if "JWT" in name}
    settings = ApiSettings.model_validate({"DATABASE_URL": "postgresql://x", **values})
    assert (settings.jwt_keys_dir, settings.jwt_jwks_url) == (None, "http://sso/keys")
    assert settings.jwt_jwks_refresh_seconds == 300
