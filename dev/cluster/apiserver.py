"""Requests to the cluster's API server with the admin's certificate: as much of a client as a start needs."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any

from cluster.errors import ClusterError
from cluster.settings import API_PORT, Layout

TIMEOUT_SECONDS = 10.0


class RequestFailed(ClusterError):
    """The API server refused a request or did not answer; `status` is 0 when there was no answer."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ApiServer:
    """One connection a request: a restarting server would break a kept one."""

    def __init__(self, layout: Layout) -> None:
        self._pki = layout.pki

    def get(self, path: str) -> dict[str, Any]:
        return self._call("GET", path)

    def is_ready(self) -> str | None:
        """None if /readyz says so, else why not."""
        try:
            self._call("GET", "/readyz")
        except RequestFailed as failure:
            return failure.message
        return None

    def delete(self, path: str) -> None:
        """Deletes an object; one that is gone already counts as deleted."""
        try:
            self._call("DELETE", path)
        except RequestFailed as failure:
            if failure.status != 404:
                raise

    def merge(self, path: str, patch: dict[str, Any]) -> dict[str, Any]:
        return self._call("PATCH", path, patch, "application/merge-patch+json")

    def apply(self, path: str, manifest: dict[str, Any]) -> dict[str, Any]:
        """Server-side apply: creates the object or brings it to what the manifest says."""
        query = "?fieldManager=cronwright-dev&force=true"
        return self._call(
            "PATCH", f"{path}/{manifest['metadata']['name']}{query}", manifest, "application/apply-patch+yaml"
        )

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None, kind: str = "") -> dict[str, Any]:
        try:
            context = ssl.create_default_context(cafile=str(self._pki / "ca.crt"))
            context.load_cert_chain(str(self._pki / "admin.crt"), str(self._pki / "admin.key"))
            connection = http.client.HTTPSConnection("127.0.0.1", API_PORT, timeout=TIMEOUT_SECONDS, context=context)
            try:
                headers = {"Content-Type": kind} if kind else {}
                connection.request(method, path, json.dumps(body) if body is not None else None, headers)
                answer = connection.getresponse()
                text = answer.read().decode(errors="replace")
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            raise RequestFailed(f"{method} {path}: {error}", 0) from error
        if answer.status >= 300:
            raise RequestFailed(f"{method} {path}: {answer.status} {text[:300].strip()}", answer.status)
        if not text.startswith("{"):
            return {}
        result: dict[str, Any] = json.loads(text)
        return result
