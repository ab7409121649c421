"""Renders charts/cronwright with the real helm, and gives the result as plain objects.

A missing helm is an error that says how to get it, never a skip: a chart that was not rendered was not tested.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "cronwright"
# The oldest Kubernetes that the chart promises; a helm built from its module would assume 1.20 by itself.
KUBE_VERSION = "1.29.0"


@cache
def find_helm() -> str:
    """The helm to use: CRONWRIGHT_HELM, the newest in the development cache, or PATH.

    Raises RuntimeError saying how to get one.
    """
    given = os.environ.get("CRONWRIGHT_HELM")
    if given:
        if not os.access(given, os.X_OK):
            raise RuntimeError(f"CRONWRIGHT_HELM={given} is not a program")
        return given
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    cache_dir = Path(os.environ.get("CRONWRIGHT_CACHE") or Path(home) / "cronwright")
    # A folder named by 16 hex digits is complete; one that is still being compiled is named otherwise.
    complete = [path for path in cache_dir.glob("bin/*/helm") if re.fullmatch("[0-9a-f]{16}", path.parent.name)]
    built = sorted(complete, key=lambda path: path.stat().st_mtime)
    if built:
        return str(built[-1])
    on_path = shutil.which("helm")
    if on_path:
        return on_path
    raise RuntimeError(
        "no helm found: run `python3 dev/cluster build` (compiles it with the local cluster's binaries), "
        "put one on PATH, or name one in CRONWRIGHT_HELM"
    )


class RenderError(Exception):
    """Helm refused; the text is what it printed."""


@dataclass(frozen=True)
class Rendered:
    """The objects of one rendering."""

    objects: list[dict[str, Any]]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """All objects of a kind."""
        return [item for item in self.objects if item["kind"] == kind]

    def one(self, kind: str, name: str) -> dict[str, Any]:
        """The one object of this kind and name."""
        found = [item for item in self.of(kind) if item["metadata"]["name"] == name]
        assert len(found) == 1, (
            f"{len(found)} of {kind} {name}; there is {[i['metadata']['name'] for i in self.of(kind)]}"
        )
        return found[0]

    def pod_templates(self) -> dict[str, dict[str, Any]]:
        """The Pod templates by the name of what owns them; a Pod without an owner stands for itself."""
        workloads = [item for item in self.objects if item["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job")]
        templates = {item["metadata"]["name"]: item["spec"]["template"] for item in workloads}
        return templates | {item["metadata"]["name"]: item for item in self.of("Pod")}


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands twice, which the API server would refuse or silently drop."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise RenderError(f"keys that stand twice: {sorted(map(str, twice))} at {node.start_mark}")
        return super().construct_mapping(node, deep)


def load_all(text: str) -> list[dict[str, Any]]:
    """The documents of a YAML text; RenderError for a key that stands twice."""
    return [item for item in yaml.load_all(text, Loader=_StrictLoader) if item]


def helm(*arguments: str, env: Mapping[str, str] | None = None) -> str:
    """Run helm; return its standard output. Raises RenderError with what it printed."""
    done = subprocess.run(
        [find_helm(), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **(env or {})},
    )
    if done.returncode != 0:
        raise RenderError(done.stderr + done.stdout)
    return done.stdout


def render(
    values: Mapping[str, Any] | None = None,
    *,
    release: str = "cronwright",
    namespace: str = "cw",
    kube_version: str = KUBE_VERSION,
) -> Rendered:
    """Render the chart with these values."""
    text = helm(
        *("template", release, str(CHART), "-n", namespace, "--kube-version", kube_version),
        *_values_arguments(values),
        env={"KUBECONFIG": os.devnull},
    )
    return Rendered(load_all(text))


def render_against(
    server: str, values: Mapping[str, Any] | None = None, *, release: str = "cronwright", namespace: str = "cw"
) -> Rendered:
    """Render as an upgrade does: `lookup` asks the API server at this address."""
    text = helm(
        *("template", release, str(CHART), "-n", namespace, "--kube-version", KUBE_VERSION),
        *("--dry-run=server", "--kube-apiserver", server),
        *_values_arguments(values),
        env={"KUBECONFIG": os.devnull},
    )
    return Rendered(load_all(text))


def _values_arguments(values: Mapping[str, Any] | None) -> list[str]:
    return [
        argument for key, value in (values or {}).items() for argument in ("--set-json", f"{key}={json.dumps(value)}")
    ]


@contextmanager
def secrets_server(secrets: list[dict[str, Any]]) -> Iterator[str]:
    """A tiny API server that knows these Secrets and nothing else, all that `lookup` asks for. Yields its address."""
    documents: dict[str, Any] = {
        "/version": {"major": "1", "minor": "35", "gitVersion": "v1.35.4"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
        "/api/v1": {
            "kind": "APIResourceList",
            "groupVersion": "v1",
            "resources": [
                {"name": "secrets", "singularName": "secret", "namespaced": True, "kind": "Secret", "verbs": ["get"]}
            ],
        },
    }
    for secret in secrets:
        meta = secret["metadata"]
        documents[f"/api/v1/namespaces/{meta['namespace']}/secrets/{meta['name']}"] = secret

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = documents.get(self.path.split("?")[0])
            missing = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
            body = json.dumps(found or missing).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet: pytest's output is for the tests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
