"""The kubelets, asked at the nodes' own addresses: `stats/summary`, and log files (`kubelet_logs`).

Directly and not through the API server, since that needs `nodes/proxy`, which equals exec in every container of the
node; here `nodes/stats` is enough (k8s.io/kubernetes pkg/kubelet/server/auth.go). The credentials are those for the API
server: a kubelet asks it whether they are good.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncGenerator, Mapping
from typing import Protocol, Self

import aiohttp
from kubernetes.aio.client import Configuration

from cronwright_core.kube.client import load_configuration
from cronwright_core.kube.errors import KubeCertificateError, KubeUnreachable, error_for
from cronwright_core.kube.ports import Json

REQUEST_SECONDS = 5.0
"""A healthy kubelet answers from its cache, within milliseconds."""

READ_SECONDS = 30.0
"""So long a kubelet may be silent while it sends a log file."""


class NodeStatistics(Protocol):
    """Reads what a node and its Pods use."""

    async def summary(self, host: str, port: int, *, cpu_and_memory_only: bool) -> Json:
        """The kubelet's Summary (k8s.io/kubelet/pkg/apis/stats/v1alpha1). Raises KubeError."""


class KubeletClient:
    """The real `NodeStatistics`. Belongs to one event loop."""

    def __init__(self, configuration: Configuration, session: aiohttp.ClientSession) -> None:
        self._configuration = configuration
        self._session = session

    @classmethod
    async def connect(cls, *, user_agent: str, ca_file: str | None, insecure_tls: bool) -> Self:
        """Loads the credentials and opens a session.

        `ca_file` holds the authorities (PEM) that signed the kubelets' certificates; None takes those of the cluster.
        `insecure_tls` believes any certificate, so that whoever answers in a kubelet's place gets our token.

        Raises:
            KubeConfigError: no credentials are found.
            OSError: the file is missing or holds no certificate.
        """
        configuration = await load_configuration()
        context = ssl.create_default_context(cafile=ca_file or configuration.ssl_ca_cert)
        if configuration.cert_file:
            context.load_cert_chain(configuration.cert_file, configuration.key_file)
        if insecure_tls:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=32, ssl=context),
            headers={"User-Agent": user_agent, "Accept": "application/json"},
            timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS),
        )
        return cls(configuration, session)

    async def close(self) -> None:
        """Closes the connections."""
        await self._session.close()

    async def summary(self, host: str, port: int, *, cpu_and_memory_only: bool) -> Json:
        query = {"only_cpu_and_memory": "true"} if cpu_and_memory_only else {}
        text = b"".join([part async for part in self.get(host, port, "/stats/summary", query=query, total=True)])
        try:
            body = json.loads(text)
        except ValueError as error:
            raise KubeUnreachable(f"the kubelet at {host}:{port}: {type(error).__name__}") from error
        if not isinstance(body, dict):
            raise KubeUnreachable(f"the kubelet at {host}:{port} answered no summary")
        return body

    async def get(
        self,
        host: str,
        port: int,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        offset: int = 0,
        total: bool = False,
    ) -> AsyncGenerator[bytes, None]:
        """Yields what a kubelet answers, from byte `offset` on. `total`: all of it within REQUEST_SECONDS.

        Raises:
            KubeError: no answer, none that was whole, or a refusal.
        """
        address = f"[{host}]" if ":" in host else host
        headers = {"Accept-Encoding": "identity"}
        token = await self._configuration.get_api_key_with_prefix("BearerToken")
        if token:
            headers["Authorization"] = token
        if offset:
            headers["Range"] = f"bytes={offset}-"
        timeout = aiohttp.ClientTimeout(
            total=REQUEST_SECONDS if total else None, sock_connect=REQUEST_SECONDS, sock_read=READ_SECONDS
        )
        try:
            async with self._session.get(
                f"https://{address}:{port}{path}",
                params=query or None,
                headers=headers,
                allow_redirects=False,
                timeout=timeout,
            ) as response:
                if response.status != (206 if offset else 200):
                    # The text of a refusal names our account and the right that is missing.
                    said = (await response.content.read(512)).decode(errors="replace").strip()
                    status = response.status if response.status >= 400 else 502
                    raise error_for(status, {"kind": "Status", "reason": "Kubelet", "message": said})
                async for part in response.content.iter_chunked(256 * 1024):
                    yield part
        except aiohttp.ClientConnectorCertificateError as error:
            raise KubeCertificateError(
                f"the certificate of the kubelet at {address}:{port} is not trusted:"
                f" {str(error.certificate_error)[:200]}"
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise KubeUnreachable(
                f"the kubelet at {address}:{port}: {type(error).__name__}: {str(error)[:200]}"
            ) from error
