"""Requests to the API server as raw JSON over aiohttp; the `kubernetes` package brings the credentials.

Raw JSON and not the package's models: these drop fields that they do not know and cost ten times the time to decode
(docs/adr/0003). One `KubeClient` belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import perf_counter
from typing import Any, Self

import aiohttp
import orjson
from kubernetes.aio import config as kube_config
from kubernetes.aio.client import Configuration

from cronwright_core.kube.errors import KubeError, KubeUnreachable, error_for
from cronwright_core.kube.ports import Json, Listing, PatchKind, WatchEvent
from cronwright_core.kube.resources import PODS, Resource
from cronwright_core.kube.sockets import open_socket

REQUEST_SECONDS = 30.0
"""One request, connection included. Nothing that we send is slow on a healthy API server."""
WATCH_SECONDS = 300
"""A watch is renewed after this; the server would end it at 30 to 60 minutes anyway."""
WATCH_SILENCE_SECONDS = 90.0
"""Bookmarks come about once a minute; a watch that is silent for longer is dead and starts again."""
KEEP_SECONDS = 75.0
"""An idle connection is kept for so long. Many tasks are due once a minute: with aiohttp's 15 seconds each burst would
begin with a TLS handshake for each request at once. The API server closes an idle one after 90 (k8s.io/apiserver,
pkg/server/secure_serving.go, IdleTimeout)."""
_TLS_CLOSE_SECONDS = 0.25
_PAGE = 500
_LINE_LIMIT = 4 * 1024 * 1024
_METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
}
_UNWARNED = {"fieldValidation": "Ignore"}
"""The default, Warn, looks each body through for fields that the server does not know, only to tell us in a header that
nobody reads (Kubernetes docs, "API Concepts", field validation). Either way it takes and drops the same."""

RequestObserver = Callable[[str, str, int, float], None]
"""Called for each request with its verb as in RBAC, the resource (`pods/log`), the HTTP status (0: no answer) and the
seconds until the head of the answer was there."""


class KubeConfigError(KubeError):
    """There are no usable credentials: neither in a cluster nor by a kubeconfig."""


class KubeClient:
    """The real `ObjectClient`, `ListWatchClient` and `LogClient`."""

    def __init__(
        self,
        configuration: Configuration,
        session: aiohttp.ClientSession,
        observe: RequestObserver | None = None,
    ) -> None:
        self._configuration = configuration
        self._session = session
        self._observe = observe

    @classmethod
    async def connect(cls, *, user_agent: str, connections: int = 100, observe: RequestObserver | None = None) -> Self:
        """Loads credentials - of the Pod, or else of $KUBECONFIG or ~/.kube/config - and opens a session.

        Raises:
            KubeConfigError: no credentials are found, or they cannot be read.
        """
        configuration = await load_configuration()
        connector = aiohttp.TCPConnector(
            limit=connections,
            keepalive_timeout=KEEP_SECONDS,
            ssl=_ssl_context(configuration),
            socket_factory=open_socket,
        )
        session = aiohttp.ClientSession(
            connector=connector,
            headers={"User-Agent": user_agent, "Accept": "application/json"},
            read_bufsize=_LINE_LIMIT,
            auto_decompress=True,
        )
        return cls(configuration, session, observe)

    async def open_connections(self, count: int) -> None:
        """Sees that so many connections stand for the requests to come; trouble is left to them to meet."""

        async def ask() -> None:
            with suppress(KubeError, aiohttp.ClientError, TimeoutError):
                timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
                async with self._request("get", "version", "/version", timeout=timeout) as response:
                    await response.read()

        # All at once, so that none is served by the connection of another that is done with it.
        await asyncio.gather(*(ask() for _ in range(count)))

    async def close(self) -> None:
        """Closes the connections."""
        await self._session.close()
        if self._configuration.host.startswith("https"):
            # TLS transports close a little later (aiohttp docs, "Graceful Shutdown"); a loop that ends first leaks
            # sockets.
            await asyncio.sleep(_TLS_CLOSE_SECONDS)

    async def get(self, resource: Resource, namespace: str, name: str) -> Json:
        return await self._json("get", resource, resource.path(namespace, name))

    async def create(self, resource: Resource, namespace: str, body: Mapping[str, Any]) -> Json:
        return await self._json("create", resource, resource.path(namespace), query=_UNWARNED, body=body)

    async def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        subresource: str | None = None,
        kind: PatchKind = PatchKind.MERGE,
    ) -> Json:
        path = resource.path(namespace, name, subresource)
        return await self._json(
            "patch",
            resource,
            path,
            subresource=subresource,
            query=_UNWARNED,
            body=patch,
            content_type=kind.value,
        )

    async def replace(self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> Json:
        """Replaces an object that we own whole (the Lease); its resourceVersion makes it conditional."""
        return await self._json("update", resource, resource.path(namespace, name), query=_UNWARNED, body=body)

    async def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        grace_seconds: int | None = None,
    ) -> None:
        options: Json = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        if uid is not None or resource_version is not None:
            options["preconditions"] = {key: value for key, value in preconditions.items() if value is not None}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        await self._json("delete", resource, resource.path(namespace, name), body=options)

    async def list(
        self, resource: Resource, namespace: str | None, *, label_selector: str = "", field_selector: str = ""
    ) -> Listing:
        items: list[Json] = []
        query = {"limit": str(_PAGE)}
        if label_selector:
            query["labelSelector"] = label_selector
        if field_selector:
            query["fieldSelector"] = field_selector
        while True:
            page = await self._json("list", resource, resource.path(namespace), query=query)
            items += page.get("items") or []
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                return Listing(items, str(metadata.get("resourceVersion") or ""))
            query["continue"] = metadata["continue"]

    async def watch(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[Sequence[WatchEvent]]:
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        if label_selector:
            query["labelSelector"] = label_selector
        if field_selector:
            query["fieldSelector"] = field_selector
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_SECONDS, sock_read=WATCH_SILENCE_SECONDS)
        async with self._request(
            "watch", resource.plural, resource.path(namespace), query=query, timeout=timeout
        ) as response:
            try:
                rest = b""
                async for chunk in response.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    if lines:
                        yield [_to_event(line) for line in lines]
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                raise KubeUnreachable(f"the watch of {resource.plural} broke: {type(error).__name__}") from error

    async def read_log(
        self,
        namespace: str,
        pod: str,
        *,
        container: str,
        stream: str | None,
        since_time: str | None,
        limit_bytes: int | None,
    ) -> AsyncIterator[bytes]:
        query = {"container": container, "timestamps": "true"}
        if stream is not None:
            query["stream"] = stream
        if since_time is not None:
            query["sinceTime"] = since_time
        if limit_bytes is not None:
            query["limitBytes"] = str(limit_bytes)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_SECONDS, sock_read=REQUEST_SECONDS)
        path = PODS.path(namespace, pod, "log")
        async with self._request("get", "pods/log", path, query=query, timeout=timeout, accept="*/*") as response:
            try:
                async for chunk in response.content.iter_chunked(256 * 1024):
                    yield chunk
            except (aiohttp.ClientError, TimeoutError) as error:
                raise KubeUnreachable(f"reading the log of Pod {pod} broke: {type(error).__name__}") from error

    async def _json(
        self,
        verb: str,
        resource: Resource,
        path: str,
        *,
        subresource: str | None = None,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
    ) -> Json:
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        label = f"{resource.plural}/{subresource}" if subresource else resource.plural
        async with self._request(
            verb, label, path, query=query, body=body, content_type=content_type, timeout=timeout
        ) as response:
            try:
                result: Json = orjson.loads(await response.read())
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                raise KubeUnreachable(
                    f"{_METHODS[verb]} {path}: the answer broke off ({type(error).__name__})"
                ) from error
            return result

    @asynccontextmanager
    async def _request(
        self,
        verb: str,
        label: str,
        path: str,
        *,
        timeout: aiohttp.ClientTimeout,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Accept": accept}
        token = await self._configuration.get_api_key_with_prefix("BearerToken")
        if token:
            headers["Authorization"] = token
        elif self._configuration.username:
            headers["Authorization"] = self._configuration.get_basic_auth_token() or ""
        data = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = _encode(body)
        method, begun, status = _METHODS[verb], perf_counter(), 0
        try:
            response = await self._session.request(
                method, self._configuration.host + path, params=query, data=data, headers=headers, timeout=timeout
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # The text of the error may hold the address but never a header, so it is safe to show.
            raise KubeUnreachable(f"{method} {path}: {type(error).__name__}: {str(error)[:200]}") from error
        else:
            status = response.status
        finally:
            if self._observe is not None:
                self._observe(verb, label, status, perf_counter() - begun)
        async with response:
            if response.status >= 400:
                raise error_for(response.status, await _status_object(response))
            yield response


def _encode(body: object) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:
        # Half of a character, as in somebody's annotation `{"by": "\ud800"}`: the API server puts U+FFFD in its place.
        return json.dumps(body).encode()


def _to_event(line: bytes) -> WatchEvent:
    event = orjson.loads(line)
    if event["type"] == "ERROR":
        # Events that came with it are asked for again, as their reader has not got to their versions.
        status = event["object"]
        raise error_for(int(status.get("code") or 500), status)
    return WatchEvent(event["type"], event["object"])


async def _status_object(response: aiohttp.ClientResponse) -> Mapping[str, Any] | None:
    try:
        body = orjson.loads(await response.content.read(64 * 1024))
    except (aiohttp.ClientError, TimeoutError, ValueError, asyncio.IncompleteReadError):
        return None
    return body if isinstance(body, dict) else None


async def load_configuration() -> Configuration:
    """Finds credentials as kubectl does: of the Pod inside a cluster (unless KUBECONFIG is set), else the kubeconfig.

    Raises:
        KubeConfigError: with what was looked for and what to do.
    """
    configuration = Configuration()
    try:
        if "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ:
            kube_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            # Named, as the package reads KUBECONFIG only once, when it is imported.
            file = os.environ.get("KUBECONFIG") or None
            await kube_config.load_kube_config(file, client_configuration=configuration)  # type: ignore[no-untyped-call]
    except Exception as error:
        # The package raises ConfigException, OSError, yaml errors and KeyErrors alike for an unusable file.
        where = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
        reason = f"cannot be used ({type(error).__name__}: {str(error)[:200]})"
        if not _is_there(where):
            reason = "is not there"
        raise KubeConfigError(
            f"no usable Kubernetes credentials: not inside a Pod, and the kubeconfig {where} {reason}."
            " Set KUBECONFIG to a file that kubectl can use."
        ) from error
    return configuration


def _is_there(kubeconfig: str) -> bool:
    """Whether there is any file of that name, or of these names, as KUBECONFIG may hold several."""
    return any(Path(part).expanduser().is_file() for part in kubeconfig.split(os.pathsep) if part)


def _ssl_context(configuration: Configuration) -> ssl.SSLContext | bool:
    if not configuration.host.startswith("https"):
        return True
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
