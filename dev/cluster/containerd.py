"""The container runtime: containerd with folders and a socket of its own, beside any other on the machine; and its
images.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from cluster.errors import ClusterError
from cluster.files import write_if_changed
from cluster.packages import SYSTEM_PATH
from cluster.processes import Component
from cluster.settings import Layout

CNI_PROGRAMS = "/usr/lib/cni"


def build_pause_name(pause: Path) -> str:
    """The sandbox image's name, tagged by its content: a rebuilt pause program is another image."""
    return f"localhost/cronwright-pause:{hashlib.sha256(pause.read_bytes()).hexdigest()[:12]}"


def write_config(layout: Layout, pause_image: str) -> Path:
    """Writes containerd's configuration and answers its path."""
    layout.config.mkdir(parents=True, exist_ok=True)
    layout.containerd_root.mkdir(parents=True, exist_ok=True)
    path = layout.config / "containerd.toml"
    write_if_changed(path, build_config(layout, pause_image, choose_snapshotter(layout)))
    return path


def build_config(layout: Layout, pause_image: str, snapshotter: str) -> str:
    """The configuration's text.

    Everything that containerd puts elsewhere by default is led under `run`, where `down` finds it.
    """
    return f"""version = 2
root = "{layout.containerd_root}"
state = "{layout.run}/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing"]

[grpc]
  address = "{layout.containerd_socket}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause_image}"
  # Machines without CAP_SYS_RESOURCE may not lower a process's OOM score below its parent's.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        Root = "{layout.run}/runc"
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_PROGRAMS}"
    conf_dir = "{layout.config}/cni"
"""


def choose_snapshotter(layout: Layout) -> str:
    """`overlayfs` where it can be mounted; `native` (whole copies) where the disk is itself an overlay, as in a CI
    container.
    """
    with tempfile.TemporaryDirectory(dir=layout.containerd_root) as folder:
        parts = {name: Path(folder) / name for name in ("lower", "upper", "work", "merged")}
        for part in parts.values():
            part.mkdir()
        options = f"lowerdir={parts['lower']},upperdir={parts['upper']},workdir={parts['work']}"
        mount = ["mount", "-t", "overlay", "overlay", "-o", options, str(parts["merged"])]
        if subprocess.run(mount, capture_output=True).returncode != 0:
            return "native"
        subprocess.run(["umount", str(parts["merged"])], capture_output=True, check=True)
    return "overlayfs"


def build_component(layout: Layout, config: Path) -> Component:
    """How containerd is started. Its shims find runc and the shim program by PATH."""
    program = shutil.which("containerd", path=SYSTEM_PATH) or "containerd"
    # Not the caller's PATH: it differs from shell to shell, and a changed environment means a restart of every Pod.
    return Component("containerd", (program, "--config", str(config)), {"PATH": SYSTEM_PATH}, inputs=(config,))


def is_answering(layout: Layout) -> bool:
    """Whether containerd answers and its store works: with a broken one it still tells its version."""
    return _ctr(layout, "images", "list", "-q").returncode == 0


def list_images(layout: Layout) -> list[str]:
    """The names of the node's images."""
    return _ctr(layout, "images", "list", "-q").stdout.split()


def import_archive(layout: Layout, archive: Path) -> list[str]:
    """Brings a docker-archive (or OCI archive) to the node; answers the images it holds.

    Raises ClusterError if it cannot be read.
    """
    if not archive.is_file():
        raise ClusterError(f"no such image archive: {archive}")
    if not is_answering(layout):
        raise ClusterError("the cluster's containerd does not answer", "Start the cluster: python3 dev/cluster up")
    snapshotter = (
        "native" if 'snapshotter = "native"' in (layout.config / "containerd.toml").read_text() else "overlayfs"
    )
    answer = _ctr(layout, "images", "import", "--snapshotter", snapshotter, str(archive), seconds=600)
    if answer.returncode != 0:
        raise ClusterError(f"{archive} could not be imported: {answer.stderr.strip()}", "Is it a docker-archive?")
    return [line.split()[1] for line in answer.stdout.splitlines() if line.startswith("unpacking ")]


def list_images_in_use(layout: Layout) -> set[str]:
    """The images of the containers that exist, ended ones included."""
    lines = _ctr(layout, "containers", "list").stdout.splitlines()[1:]
    return {words[1] for line in lines if len(words := line.split()) > 1}


def remove_images(layout: Layout, images: list[str]) -> None:
    """Takes images off the node."""
    if images:
        _ctr(layout, "images", "remove", *images, seconds=60)


def tag_image(layout: Layout, image: str, name: str) -> None:
    """Gives an image of the node a second name, taking that name from whichever image had it."""
    _ctr(layout, "images", "tag", "--force", image, name)


def import_pause(layout: Layout, pause: Path) -> None:
    """Makes an image of the pause binary and imports it, unless it is there."""
    name = build_pause_name(pause)
    if name in list_images(layout):
        return
    with tempfile.TemporaryDirectory(dir=layout.run) as folder:
        archive = Path(folder) / "pause.tar"
        write_single_binary_image(archive, pause, name)
        import_archive(layout, archive)


def write_single_binary_image(archive: Path, binary: Path, name: str) -> None:
    """Writes a docker-archive with one layer that holds one static program at `/<its name>`, which is also the
    entrypoint.
    """
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        entry = tarfile.TarInfo(binary.name)
        entry.size, entry.mode = binary.stat().st_size, 0o755
        with binary.open("rb") as content:
            tar.addfile(entry, content)
    layer_bytes = layer.getvalue()
    config = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine),
        "os": "linux",
        "config": {"Entrypoint": [f"/{binary.name}"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer_bytes).hexdigest()}"]},
    }
    config_bytes = json.dumps(config).encode()
    config_name = f"{hashlib.sha256(config_bytes).hexdigest()}.json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(archive, "w") as tar:
        for path, content_bytes in (
            (config_name, config_bytes),
            ("layer.tar", layer_bytes),
            ("manifest.json", manifest),
        ):
            member = tarfile.TarInfo(path)
            member.size = len(content_bytes)
            tar.addfile(member, io.BytesIO(content_bytes))


def list_running(layout: Layout) -> set[str]:
    """The ids of the containers whose process runs now, as the runtime itself knows it."""
    lines = _ctr(layout, "tasks", "list").stdout.splitlines()[1:]
    return {fields[0] for line in lines if (fields := line.split()) and fields[-1] == "RUNNING"}


def _ctr(layout: Layout, *arguments: str, seconds: float = 10.0) -> subprocess.CompletedProcess[str]:
    command = ["ctr", "--address", str(layout.containerd_socket), "--namespace", "k8s.io", *arguments]
    environment = {**os.environ, "PATH": SYSTEM_PATH}
    try:
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=seconds)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no answer from containerd within {seconds:.0f} s")
