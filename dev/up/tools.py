"""helm and kubectl: the machine's own where it has them, else those that are compiled with the local cluster."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from cluster.binaries import are_built, ensure_binaries, find_binaries
from cluster.settings import find_layout
from up.commands import failure


def find(name: str) -> str | None:
    """The path of `helm` or `kubectl`: named by CRONWRIGHT_HELM or CRONWRIGHT_KUBECTL, compiled already, or on PATH."""
    given = os.environ.get(f"CRONWRIGHT_{name.upper()}")
    if given:
        if not os.access(given, os.X_OK):
            raise failure(f"CRONWRIGHT_{name.upper()}={given} is not a program", "Correct or unset it.")
        return given
    layout = find_layout()
    if are_built(layout):
        return str(find_binaries(layout) / name)
    return shutil.which(name)


def ensure(name: str) -> str:
    """Like `find`, but compiles it when there is none. Raises ClusterError saying what to install."""
    return find(name) or str(ensure_binaries(find_layout()) / name)


def must_build() -> bool:
    """Whether the local cluster's binaries have to be compiled here before anything can run."""
    if are_built(find_layout()):
        return False
    elsewhere = bool(_given_kubeconfig() or (shutil.which("kind") and shutil.which("docker")))
    return not (elsewhere and shutil.which("helm") and shutil.which("kubectl"))


def paths() -> dict[str, str]:
    """CRONWRIGHT_HELM and CRONWRIGHT_KUBECTL for programs that this one starts; without those that are not there."""
    found = {f"CRONWRIGHT_{name.upper()}": find(name) for name in ("helm", "kubectl")}
    return {key: path for key, path in found.items() if path}


def _given_kubeconfig() -> str | None:
    given = os.environ.get("CRONWRIGHT_KUBECONFIG") or os.environ.get("KUBECONFIG")
    return given if given and Path(given).exists() else None
