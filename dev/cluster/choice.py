"""Which cluster the development commands use: the one that is given, else kind where Docker is, else one built here.

Tests and benchmarks create and delete freely, so a given cluster is refused unless it is one of ours or is allowed by
name.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cluster import kind
from cluster.binaries import are_built, check_go, find_binaries
from cluster.errors import ClusterError
from cluster.settings import API_PORT, CLUSTER_NAME, Layout

KIND_NAME = kind.NAME
OWN_CONTEXTS = (CLUSTER_NAME, kind.CONTEXT)
ALLOW = "CRONWRIGHT_ALLOW_CONTEXT"


@dataclass(frozen=True)
class Choice:
    """`kubeconfig` is a path (for a KUBECONFIG of several files, the list of them). `built` need not be up yet."""

    kubeconfig: str
    context: str
    kind: Literal["built", "kind", "given"]


def choose(layout: Layout, environment: Mapping[str, str] = os.environ) -> Choice:
    """Chooses, and starts kind if that is the choice.

    Raises ClusterError when nothing usable is there, with what to do.
    """
    for variable in ("CRONWRIGHT_KUBECONFIG", "KUBECONFIG"):
        if environment.get(variable):
            return choose_given(layout, environment[variable], variable, environment)
    if kind.is_usable():
        return Choice(str(kind.ensure_cluster(layout)), kind.CONTEXT, "kind")
    if not are_built(layout):
        check_go(layout.source)
    return Choice(str(layout.kubeconfig), CLUSTER_NAME, "built")


def choose_given(layout: Layout, value: str, variable: str, environment: Mapping[str, str]) -> Choice:
    """Judges a kubeconfig that somebody gave. That of the built cluster is accepted even while that cluster is down."""
    paths = [Path(part).expanduser() for part in value.split(":") if part]
    if paths == [layout.kubeconfig]:
        return Choice(str(layout.kubeconfig), CLUSTER_NAME, "built")
    if not any(path.is_file() for path in paths):
        raise ClusterError(
            f"{variable} is {value}, and there is no such file",
            f"Correct it, or unset {variable} to use a local cluster.",
        )
    config = read_kubeconfig(layout, paths, environment)
    context = str(config.get("current-context") or "")
    refusal = judge_context(context, environment.get(ALLOW, ""), variable)
    if refusal is not None:
        raise refusal
    server = find_server(config, context)
    if server is None:
        raise ClusterError(
            f"the kubeconfig {value} has no cluster for its current context {context}", f"Correct {variable}."
        )
    if context == CLUSTER_NAME and server == f"https://127.0.0.1:{API_PORT}":
        return Choice(str(layout.kubeconfig), CLUSTER_NAME, "built")
    _require_answer(layout, value, context, server, environment)
    return Choice(":".join(map(str, paths)), context, "kind" if context == kind.CONTEXT else "given")


def judge_context(context: str, allowed: str, variable: str) -> ClusterError | None:
    """Why a cluster may not be used, or None if it may."""
    if context and (context in OWN_CONTEXTS or context == allowed):
        return None
    if not context:
        return ClusterError(f"the kubeconfig in {variable} has no current context", "kubectl config use-context <name>")
    return ClusterError(
        f"{variable} points at the context {context}, which was not made for development; "
        "objects would be created and deleted there",
        f"If that is what you want: {ALLOW}={context}. To use a local cluster instead: unset {variable}.",
    )


def find_server(config: Mapping[str, Any], context: str) -> str | None:
    """The API server's address of a context, or None if the kubeconfig does not say."""

    def named(kind_of: str, name: str) -> dict[str, Any]:
        return next((entry for entry in config.get(kind_of) or [] if entry.get("name") == name), {})

    cluster = named("contexts", context).get("context", {}).get("cluster", "")
    server = named("clusters", cluster).get("cluster", {}).get("server")
    return str(server) if server else None


def read_kubeconfig(layout: Layout, paths: list[Path], environment: Mapping[str, str]) -> dict[str, Any]:
    """The merged kubeconfig. YAML is kubectl's to read; a single file in JSON, as ours are, needs nobody."""
    if len(paths) == 1:
        try:
            data = json.loads(paths[0].read_text())
            if isinstance(data, dict):
                return data
        except ValueError:
            pass
        except OSError as error:
            raise ClusterError(f"{paths[0]} cannot be read: {error.strerror}") from error
    answer = _kubectl(layout, ":".join(map(str, paths)), environment, "config", "view", "-o", "json")
    if answer.returncode != 0:
        raise ClusterError(
            f"{':'.join(map(str, paths))} is not a kubeconfig: {answer.stderr.strip()}",
            "Correct it; with CRONWRIGHT_KUBECONFIG and KUBECONFIG unset, a local cluster is used.",
        )
    result: dict[str, Any] = json.loads(answer.stdout)
    return result


def _require_answer(layout: Layout, value: str, context: str, server: str, environment: Mapping[str, str]) -> None:
    answer = _kubectl(layout, value, environment, "get", "--raw", "/version", "--request-timeout=10s")
    if answer.returncode != 0:
        reason = (answer.stderr.strip().splitlines() or ["no answer"])[-1]
        raise ClusterError(
            f"the cluster of context {context} ({server}) cannot be used: {reason}",
            "Start it or correct the kubeconfig; with CRONWRIGHT_KUBECONFIG and KUBECONFIG unset, a local one is used.",
        )


def _kubectl(
    layout: Layout, kubeconfig: str, environment: Mapping[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    built = find_binaries(layout) / "kubectl"
    program = str(built) if built.exists() else shutil.which("kubectl", path=environment.get("PATH"))
    if program is None:
        raise ClusterError(
            "a given kubeconfig is read with kubectl, which is not on this machine",
            "Install kubectl, or unset CRONWRIGHT_KUBECONFIG and KUBECONFIG to use a local cluster.",
        )
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, env={**environment, "KUBECONFIG": kubeconfig}
    )
