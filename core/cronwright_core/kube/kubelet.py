"""The kubelets' `stats/summary`, asked at the nodes' own addresses.

Directly and not through the API server, since that needs `nodes/proxy`, which equals exec in every container of the
node; here `nodes/stats` is enough (k8s.io/kubernetes pkg/kubelet/server/auth.go). The credentials are those for the API
server: a kubelet asks it whether they are good.
"""

from __future__ import annotations

import json
import ssl
from typing import Protocol, Self

import aiohttp
from kubernetes.aio.client import Configuration

from cronwright_core.kube.client import load_configuration
from cronwright_core.kube.errors import KubeCertificateError, KubeUnreachable, error_for
from cronwright_core.kube.ports import Json

REQUEST_SECONDS = 5.0
"""A healthy kubelet answers from its cache, within milliseconds."""


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
        address = f"[{host}]" if ":" in host else host
        headers = {}
        token = await self._configuration.get_api_key_with_prefix("BearerToken")
        if token:
            headers["Authorization"] = token
        query = {"only_cpu_and_memory": "true"} if cpu_and_memory_only else {}
        try:
            async with self._session.get(
                f"https://{address}:{port}/stats/summary", params=query, headers=headers, allow_redirects=False
            ) as response:
                if response.status != 200:
                    # The text of a refusal names our account and the right that is missing.
                    said = (await response.content.read(512)).decode(errors="replace").strip()
                    status = response.status if response.status >= 400 else 502
                    raise error_for(status, {"kind": "Status", "reason": "Kubelet", "message": said})
                body = json.loads(await response.read())
        except aiohttp.ClientConnectorCertificateError as error:
            raise KubeCertificateError(
                f"the certificate of the kubelet at {address}:{port} is not trusted:"
                f" {str(error.certificate_error)[:200]}"
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise KubeUnreachable(
                f"the kubelet at {address}:{port}: {type(error).__name__}: {str(error)[:200]}"
            ) from error
        if not isinstance(body, dict):
            raise KubeUnreachable(f"the kubelet at {address}:{port} answered no summary")
        return body
