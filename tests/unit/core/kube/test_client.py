"""Credentials and addresses that are wrong: a clear error, and no secret in it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cronwright_core.kube.client import KubeClient, KubeConfigError
from cronwright_core.kube.errors import KubeUnreachable
from cronwright_core.kube.resources import JOBS


def test_an_address_where_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "kubeconfig"
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "contexts: [{name: c, context: {cluster: c, user: u}}]\n"
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}]\n"
        "users: [{name: u, user: {token: very-secret}}]\n"
    )
    monkeypatch.setenv("KUBECONFIG", str(config))

    seen: list[tuple[str, str, int]] = []

    async def scenario() -> str:
        client = await KubeClient.connect(
            user_agent="cronwright-tests", observe=lambda verb, resource, code, _: seen.append((verb, resource, code))
        )
        try:
            with pytest.raises(KubeUnreachable) as error:
                await client.get(JOBS, "x", "y")
            return str(error.value)
        finally:
            await client.close()

    said = asyncio.run(scenario())
    assert "/apis/batch/v1/namespaces/x/jobs/y" in said
    assert "very-secret" not in said
    assert seen == [("get", "jobs", 0)]


def test_a_kubeconfig_that_is_not_there_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nowhere"))
    with pytest.raises(KubeConfigError, match=r"nowhere is not there\. Set KUBECONFIG"):
        asyncio.run(KubeClient.connect(user_agent="cronwright-tests"))


@pytest.mark.parametrize("text", ["", "nonsense: [", "apiVersion: v1\nkind: Config\n"])
def test_a_wrong_kubeconfig_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    config = tmp_path / "kubeconfig"
    config.write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(config))
    with pytest.raises(KubeConfigError, match=str(config)):
        asyncio.run(KubeClient.connect(user_agent="cronwright-tests"))
