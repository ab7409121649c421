"""The kubelet's statistics, read from a real one at its own address; and what it says to whom has no right."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from cronwright_core.kube.client import KubeClient
from cronwright_core.kube.errors import KubeCertificateError, KubeForbidden, KubeUnreachable
from cronwright_core.kube.kubelet import KubeletClient
from cronwright_core.kube.resources import NODES
from cronwright_operator.usage.samples import NodeFacts, to_node
from cronwright_operator.usage.summary import node_sample
from support.cluster import kubectl

Result = TypeVar("Result")


def run(
    work: Callable[[KubeletClient, NodeFacts], Awaitable[Result]],
    *,
    ca_file: str | None = None,
    insecure_tls: bool = False,
) -> Result:
    async def scenario() -> Result:
        client = await KubeClient.connect(user_agent="cronwright-tests")
        try:
            node = to_node((await client.list(NODES, None)).items[0])
        finally:
            await client.close()
        kubelets = await KubeletClient.connect(
            user_agent="cronwright-tests", ca_file=ca_file, insecure_tls=insecure_tls
        )
        try:
            async with asyncio.timeout(60):
                return await work(kubelets, node)
        finally:
            await kubelets.close()

    return asyncio.run(scenario())


def other_authority(folder: Path) -> str:
    """The authorities of the web, which signed no kubelet's certificate."""
    path = folder / "ca.crt"
    default = ssl.get_default_verify_paths().cafile
    assert default, "this machine has no bundle of certificate authorities"
    path.write_text(Path(default).read_text())
    return str(path)


def test_reads_what_a_node_uses() -> None:
    async def work(kubelets: KubeletClient, node: NodeFacts) -> None:
        assert node.host is not None
        sample = node_sample(await kubelets.summary(node.host, node.port, cpu_and_memory_only=False))
        assert sample is not None
        assert sample.cpus_used is not None
        assert 0 <= sample.cpus_used <= node.cpus * 1.1
        assert sample.memory_used is not None
        assert 0 < sample.memory_used < node.memory_bytes
        assert sample.disk_used
        assert sample.disk_available
        less = node_sample(await kubelets.summary(node.host, node.port, cpu_and_memory_only=True))
        assert less is not None
        assert less.cpus_used is not None
        assert less.disk_used is None

    run(work, insecure_tls=True)  # not every cluster signs its kubelets' certificates


def test_the_figures_of_a_node_agree_with_what_it_has() -> None:
    kubelet_says = kubectl("get", "nodes", "-o", "jsonpath={.items[0].status.capacity.cpu}")

    async def work(_: KubeletClient, node: NodeFacts) -> float:
        return node.cpus

    assert run(work) == float(kubelet_says)


def test_a_certificate_of_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    async def work(kubelets: KubeletClient, node: NodeFacts) -> None:
        assert node.host is not None
        with pytest.raises(KubeCertificateError, match="not trusted"):
            await kubelets.summary(node.host, node.port, cpu_and_memory_only=True)

    run(work, ca_file=other_authority(tmp_path))


def test_any_certificate_is_believed_if_one_says_so(tmp_path: Path) -> None:
    async def work(kubelets: KubeletClient, node: NodeFacts) -> None:
        assert node.host is not None
        assert await kubelets.summary(node.host, node.port, cpu_and_memory_only=True)

    run(work, ca_file=other_authority(tmp_path), insecure_tls=True)


def test_nobody_listens() -> None:
    async def work(kubelets: KubeletClient, node: NodeFacts) -> None:
        with pytest.raises(KubeUnreachable, match=r"the kubelet at 127\.0\.0\.1:9"):
            await kubelets.summary("127.0.0.1", 9, cpu_and_memory_only=True)

    run(work)


def test_without_the_right_the_answer_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token of an account without any right, against the real kubelet."""
    token = kubectl("create", "token", "default", "-n", "default").strip()
    server = kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")
    authority = kubectl(
        "config", "view", "--minify", "--raw", "-o", "jsonpath={.clusters[0].cluster.certificate-authority-data}"
    )

    async def nodes() -> NodeFacts:
        client = await KubeClient.connect(user_agent="cronwright-tests")
        try:
            return to_node((await client.list(NODES, None)).items[0])
        finally:
            await client.close()

    node = asyncio.run(nodes())
    config = tmp_path / "kubeconfig"
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"
        f"clusters: [{{name: c, cluster: {{server: '{server}', certificate-authority-data: {authority}}}}}]\n"
        f"users: [{{name: u, user: {{token: {token}}}}}]\n"
    )
    monkeypatch.setenv("KUBECONFIG", str(config))

    async def ask() -> str:
        kubelets = await KubeletClient.connect(user_agent="cronwright-tests", ca_file=None, insecure_tls=True)
        try:
            assert node.host is not None
            with pytest.raises(KubeForbidden) as error:
                await kubelets.summary(node.host, node.port, cpu_and_memory_only=True)
            return str(error.value)
        finally:
            await kubelets.close()

    said = asyncio.run(ask())
    assert "stats" in said
    assert token not in said
