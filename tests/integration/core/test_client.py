"""The client over a real socket: connections, what is sent, and an address where nobody answers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from cronwright_core.kube.client import KubeClient
from cronwright_core.kube.errors import KubeUnreachable
from cronwright_core.kube.resources import JOBS


def configure(config: Path, monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "contexts: [{name: c, context: {cluster: c, user: u}}]\n"
        f"clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]\n"
        "users: [{name: u, user: {token: very-secret}}]\n"
    )
    monkeypatch.setenv("KUBECONFIG", str(config))


def test_an_address_where_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(tmp_path / "kubeconfig", monkeypatch, 9)

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


class Server:
    """Answers every request with `{}`, over plain HTTP; notes who came, what was asked, and the bodies."""

    def __init__(self) -> None:
        self.peers: set[object] = set()
        self.requests: list[str] = []
        self.bodies: list[bytes] = []

    @asynccontextmanager
    async def client(
        self, config: Path, monkeypatch: pytest.MonkeyPatch, *, gone: bool = False
    ) -> AsyncIterator[KubeClient]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        configure(config, monkeypatch, server.sockets[0].getsockname()[1])
        client = await KubeClient.connect(user_agent="cronwright-tests")
        if gone:
            server.close()
        try:
            yield client
        finally:
            await client.close()
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.peers.add(writer.get_extra_info("peername"))
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.requests.append(head.split(b" HTTP/", 1)[0].decode())
                length = re.search(rb"(?i)content-length: (\d+)", head)
                self.bodies.append(await reader.readexactly(int(length[1]) if length else 0))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
                await writer.drain()
        writer.close()


def test_so_many_connections_are_opened_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()

    async def scenario() -> int:
        async with server.client(tmp_path / "kubeconfig", monkeypatch) as client:
            await client.open_connections(12)
            opened = len(server.peers)
            await asyncio.gather(*(client.get(JOBS, "x", str(number)) for number in range(12)))
            return opened

    assert asyncio.run(scenario()) == 12
    assert len(server.peers) == 12


def test_connections_to_nobody_are_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with Server().client(tmp_path / "kubeconfig", monkeypatch, gone=True) as client:
            await client.open_connections(3)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("text", "sent"),
    [("Zürich 苏", '"Zürich 苏"'.encode()), ("half \ud800", b'"half \\ud800"')],
    ids=["UTF-8", "half of a character is escaped, as the API server takes it"],
)
def test_any_text_can_be_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, sent: bytes) -> None:
    server = Server()

    async def scenario() -> None:
        async with server.client(tmp_path / "kubeconfig", monkeypatch) as client:
            await client.create(JOBS, "x", {"metadata": {"annotations": {"a": text}}})

    asyncio.run(scenario())
    assert sent in server.bodies[0]


def test_no_write_asks_for_warnings_that_nobody_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API server's default looks each body through for unknown fields."""
    server = Server()

    async def scenario() -> None:
        async with server.client(tmp_path / "kubeconfig", monkeypatch) as client:
            await client.create(JOBS, "x", {})
            await client.patch(JOBS, "x", "y", {}, subresource="status")
            await client.replace(JOBS, "x", "y", {})
            await client.get(JOBS, "x", "y")

    asyncio.run(scenario())
    path = "/apis/batch/v1/namespaces/x/jobs"
    assert server.requests == [
        f"POST {path}?fieldValidation=Ignore",
        f"PATCH {path}/y/status?fieldValidation=Ignore",
        f"PUT {path}/y?fieldValidation=Ignore",
        f"GET {path}/y",
    ]
