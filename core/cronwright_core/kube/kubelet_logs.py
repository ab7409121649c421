"""The kubelets' log files under `/logs`, asked at the nodes' own addresses: they hold what was rotated away, too.

Needs the right `nodes/log` and no more (k8s.io/kubernetes pkg/kubelet/server/auth.go). A file is read from an offset
on, so that a poll costs what is new.
"""

from __future__ import annotations

import html
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol
from urllib.parse import unquote

from cronwright_core.kube.errors import KubeUnreachable
from cronwright_core.kube.kubelet import KubeletClient

_LINK = re.compile(r'<a href="([^"]+)"')
_LISTING_BYTES = 1024 * 1024


class NodeLogFiles(Protocol):
    """Reads the log files of containers on a node. Folders and files are named from /var/log/pods on."""

    async def log_names(self, host: str, folder: str) -> list[str]:
        """The names in a folder. Raises KubeError; KubeNotFound if it is not there (any more)."""

    def read_log_file(self, host: str, path: str, *, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """Yields a file's bytes from `offset` on, as it is when the first are asked for.

        Raises KubeError: KubeNotFound if it is not there, KubeRejected with status 416 if it ends before the offset.
        """


class KubeletLogs:
    """The real `NodeLogFiles`."""

    def __init__(self, client: KubeletClient, *, port: int = 10250) -> None:
        self._client = client
        self._port = port

    async def log_names(self, host: str, folder: str) -> list[str]:
        text = b""
        async for part in self._client.get(host, self._port, f"/logs/pods/{folder}/"):
            text += part
            if len(text) > _LISTING_BYTES:
                raise KubeUnreachable(f"the kubelet at {host} lists too much in {folder}")
        return [unquote(html.unescape(link)) for link in _LINK.findall(text.decode(errors="replace"))]

    async def read_log_file(self, host: str, path: str, *, offset: int = 0) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._client.get(host, self._port, f"/logs/pods/{path}", offset=offset)) as parts:
            async for part in parts:
                yield part
