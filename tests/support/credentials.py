"""The credentials that kubectl would use, for tests that speak to the API server themselves."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from cronwright_core.kube.client import load_configuration


@dataclass(frozen=True)
class Credentials:
    """Where the API server is, how its certificate is checked, and who asks."""

    host: str
    context: ssl.SSLContext
    headers: dict[str, str]


async def load_credentials() -> Credentials:
    """Of the kubeconfig that KUBECONFIG names."""
    configuration = await load_configuration()
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    token = await configuration.get_api_key_with_prefix("BearerToken")
    return Credentials(configuration.host, context, {"Authorization": token} if token else {})
