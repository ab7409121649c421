"""The cluster's programs: built once per machine from the Go modules that go.mod and go.sum pin, kept in the cache
folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.console import step
from cluster.errors import ClusterError, last_lines
from cluster.settings import Layout

KUBERNETES_VERSION = "v1.35.4"

PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "helm": "helm.sh/helm/v3/cmd/helm",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-proxy": "k8s.io/kubernetes/cmd/kube-proxy",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "kubelet": "k8s.io/kubernetes/cmd/kubelet",
    "coredns": "./coredns",
    "pause": "./pause",
}

SOURCES = ("go.mod", "go.sum", "coredns/main.go", "pause/main.go")

# Without the version the cluster says it is v0.0.0 and clients stumble.
BUILD_FLAGS = (
    "-trimpath",
    "-buildvcs=false",
    "-mod=readonly",
    f"-ldflags=-s -w -X k8s.io/component-base/version.gitVersion={KUBERNETES_VERSION}",
)


def compute_key(source: Path) -> str:
    """A short hash of everything that decides what the binaries are: pinned modules, our own mains, the flags."""
    digest = hashlib.sha256("\0".join([*BUILD_FLAGS, *PACKAGES, os.uname().machine]).encode())
    for name in SOURCES:
        digest.update(b"\0" + (source / name).read_bytes())
    return digest.hexdigest()[:16]


def find_binaries(layout: Layout) -> Path:
    """The folder where the binaries of these sources are or will be."""
    return layout.cache / "bin" / compute_key(layout.source)


def are_built(layout: Layout) -> bool:
    """Whether all binaries are there. The folder appears only when complete, by a rename."""
    folder = find_binaries(layout)
    return all((folder / name).is_file() for name in PACKAGES)


def find_go() -> str | None:
    """The path of the `go` command, looked for on PATH and where its own installer puts it."""
    return shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")


def required_go_version(go_mod: str) -> tuple[int, int]:
    """The (major, minor) of go.mod's `go` line."""
    match = re.search(r"^go (\d+)\.(\d+)", go_mod, re.MULTILINE)
    if match is None:
        raise ClusterError("dev/cluster/go.mod has no `go` line")
    return int(match[1]), int(match[2])


def ensure_binaries(layout: Layout) -> Path:
    """Builds the binaries unless they are in the cache, and answers their folder.

    Two calls at once build once. Raises ClusterError if there is no fitting Go or the build fails.
    """
    folder = find_binaries(layout)
    if are_built(layout):
        return folder
    go = check_go(layout.source)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _exclusive(folder.parent / "lock"):
        if are_built(layout):
            return folder
        temporary = Path(tempfile.mkdtemp(prefix="building-", dir=folder.parent))
        try:
            packages = download_modules(go, layout.source)
            build(go, layout.source, temporary, packages)
            shutil.rmtree(folder, ignore_errors=True)
            temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder


def check_go(source: Path) -> str:
    """The `go` command, if it is there and new enough; otherwise a ClusterError that says what to install."""
    wanted = required_go_version((source / "go.mod").read_text())
    text = f"{wanted[0]}.{wanted[1]}"
    go = find_go()
    if go is None:
        raise ClusterError(
            "the cluster's programs are built from Go modules, and there is no `go` on this machine",
            f"Install Go {text} or newer (https://go.dev/dl/) and put it on PATH - or install Docker and kind - "
            "or point CRONWRIGHT_KUBECONFIG at a cluster of yours (with CRONWRIGHT_ALLOW_CONTEXT=<its context>).",
        )
    answer = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, env=_environment(), cwd="/")
    match = re.match(r"go(\d+)\.(\d+)", answer.stdout.strip())
    if match and (int(match[1]), int(match[2])) < wanted and "GOTOOLCHAIN" not in os.environ:
        raise ClusterError(
            f"{go} is {answer.stdout.strip()}, the cluster's programs need Go {text}",
            f"Install Go {text} or newer, or set GOTOOLCHAIN=auto so that Go fetches a newer one by itself.",
        )
    return go


def download_modules(go: str, source: Path) -> set[str]:
    """Fetches the modules that the build needs and answers the packages to be compiled."""
    command = [go, "list", "-deps", "-mod=readonly", "-f", "{{.ImportPath}}", *PACKAGES.values()]
    with step("Go modules") as current, tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command, cwd=source, env=_environment(), stdout=output, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        downloaded = 0
        messages: list[str] = []
        for line in process.stderr:
            if line.startswith("go: downloading"):
                downloaded += 1
                current.detail = f"{downloaded} modules fetched, now {line.split()[2]}"
            else:
                messages.append(line.rstrip())
        if process.wait() != 0:
            raise ClusterError(
                "the Go modules could not be loaded:\n    " + "\n    ".join(messages[-15:]),
                "Check the network, and GOPROXY if your machine reaches the module proxy by another name.",
            )
        output.seek(0)
        packages = set(output.read().split())
        current.detail = f"{downloaded} fetched, {len(packages)} packages"
    return packages


def build(go: str, source: Path, destination: Path, packages: set[str]) -> None:
    """Compiles all programs into `destination`; shows how many packages are done.

    Raises ClusterError with the compiler's words.
    """
    log = destination.parent / "build.log"
    command = [go, "build", "-v", *BUILD_FLAGS, "-o", f"{destination}/", *PACKAGES.values()]
    with step("Go build") as current, log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=source, env=_environment(), stdout=output, stderr=subprocess.PIPE, text=True
        )
        compiled = _Counter()
        current.detail = lambda: f"{compiled.value} packages compiled (at most {len(packages)}), {compiled.last}"
        assert process.stderr is not None
        try:
            for line in process.stderr:
                output.write(line)
                compiled.count(line.strip())
        except BaseException:
            # Interrupted: the compiler must not run on behind the prompt.
            process.terminate()
            raise
        if process.wait() != 0:
            output.flush()
            raise ClusterError(
                "`go build` failed:\n    " + "\n    ".join(last_lines(log)), f"The whole output is in {log}."
            )
        current.detail = f"{compiled.value} packages compiled"
    # Go names a binary after the last part of its path, which for etcd is `server`.
    (destination / "server").rename(destination / "etcd")


class _Counter:
    """How many packages `go build -v` has named, and the last of them."""

    def __init__(self) -> None:
        self.value = 0
        self.last = "cached packages are read, programs linked"

    def count(self, line: str) -> None:
        if line and " " not in line:
            self.value += 1
            self.last = line


def _environment() -> dict[str, str]:
    """The caller's environment; no C compiler is needed, and Go does not fetch another Go unasked."""
    return {"GOTOOLCHAIN": "local", **os.environ, "CGO_ENABLED": "0"}


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with step("another build is running"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield
