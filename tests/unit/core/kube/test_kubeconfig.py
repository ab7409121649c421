"""A kubeconfig that is missing or wrong is named."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cronwright_core.kube.client import KubeClient, KubeConfigError


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
