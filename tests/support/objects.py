"""Reads of the API server over a kept connection: what `kubectl get` shows, at a tenth of its processor time.

Tests ask twice a second until something is so, ten of them at a time; a process for each question would take a core.
What tests do to the cluster they do by kubectl itself.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
from dataclasses import dataclass
from typing import Any

import httpx

from support.credentials import load_credentials

SECONDS = 30.0


class RequestFailed(AssertionError):
    """A request to the cluster failed; the text is what it said."""


@dataclass(frozen=True)
class Kind:
    """Where a kind's objects are, and what kubectl prints before their names."""

    group: str
    plural: str
    printed: str

    def path(self, namespace: str, name: str = "") -> str:
        return f"/{self.group}/namespaces/{namespace}/{self.plural}" + (f"/{name}" if name else "")


_KINDS = (
    Kind("api/v1", "pods", "pod"),
    Kind("api/v1", "resourcequotas", "resourcequota"),
    Kind("apis/batch/v1", "jobs", "job.batch"),
    Kind("apis/batch/v1", "cronjobs", "cronjob.batch"),
    Kind("apis/cronwright.dev/v1", "scheduledtasks", "scheduledtask.cronwright.dev"),
    Kind("apis/cronwright.dev/v1", "projects", "project.cronwright.dev"),
)


def find_kind(name: str) -> Kind:
    """The kind by a name that kubectl knows it by: `job`, `jobs`, `project.cronwright.dev`."""
    for kind in _KINDS:
        singular = kind.printed.split(".", 1)[0]
        group = kind.printed.removeprefix(singular)
        if name in {singular, kind.plural, singular + group, kind.plural + group}:
            return kind
    raise LookupError(f"{name} is not among the kinds that tests read")


def read(kind: Kind, namespace: str, name: str = "", selector: str = "") -> dict[str, Any]:
    """One object, or without a name the list.

    Raises:
        RequestFailed: it is not there; or the API server is away, or has just begun and forbids what it will allow.
    """
    path, query = kind.path(namespace, name), {"labelSelector": selector} if selector else {}
    try:
        answer = _client().get(path, params=query)
    except httpx.TransportError as error:
        raise RequestFailed(f"{path}: {type(error).__name__}: {error}") from None
    if answer.status_code != 200:
        raise RequestFailed(f"{path}: {answer.status_code} {answer.text[:300]}")
    found: dict[str, Any] = answer.json()
    return found


@functools.cache
def _client() -> httpx.Client:
    own = asyncio.run(load_credentials())
    transport = httpx.HTTPTransport(verify=own.context, retries=2)
    client = httpx.Client(base_url=own.host, headers=own.headers, transport=transport, timeout=SECONDS)
    atexit.register(client.close)
    return client
