"""Which process is ours: pid, start time and boot; command lines, cgroups and mounts."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "dev"))

from cluster import processes, runtime  # noqa: E402
from cluster.processes import Component, Identity, PidFiles, Supervisor  # noqa: E402

SOCKET = Path("/var/lib/cronwright-dev/run/containerd.sock")


@pytest.mark.parametrize("name", ["sleep", "a b", "odd) S 1 (name"])
def test_start_time_whatever_the_command_is_called(name: str) -> None:
    fields = ["S", *map(str, range(4, 22)), "987654", "23"]
    stat = f"42 ({name}) {' '.join(fields)}"
    assert processes.parse_start_time(stat) == 987654
    assert not processes.is_zombie(stat)
    assert processes.is_zombie(stat.replace(") S 4", ") Z 4"))


def test_a_recycled_pid_is_another_process() -> None:
    here = processes.identify(os.getpid())
    assert here is not None
    assert processes.is_alive(here)
    assert not processes.is_alive(replace(here, start_time=here.start_time - 1))
    assert not processes.is_alive(replace(here, boot="another"))


def test_ending_leaves_a_recycled_pid_alone() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        real = processes.identify(process.pid)
        assert real is not None
        assert processes.end_processes([replace(real, start_time=1)], grace_seconds=0) == []
        assert process.poll() is None
        assert processes.end_processes([real], grace_seconds=5) == []
        assert process.wait(5) != 0


def test_a_process_that_ignores_the_request_is_killed() -> None:
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        identity = processes.identify(process.pid)
        assert identity is not None
        assert processes.end_processes([identity], grace_seconds=0.1) == []
        assert process.wait(5) == -9


def test_a_zombie_is_listed_and_not_alive() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        identity = processes.identify(process.pid)
        assert identity is not None
        assert processes.end_processes([identity], grace_seconds=5) == []
        assert processes.is_listed(identity)
        assert not processes.is_alive(identity)
        # Nobody reaps it here: waiting must end all the same.
        processes.await_reaping([identity], seconds=0.1)
        process.wait(5)
        assert not processes.is_listed(identity)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x"}', '{"pid": 1}'])
def test_a_broken_pid_file_is_no_process(tmp_path: Path, content: str) -> None:
    (tmp_path / "etcd.json").write_text(content)
    assert PidFiles(tmp_path).find_living("etcd") is None


def test_pid_files_come_back(tmp_path: Path) -> None:
    files = PidFiles(tmp_path / "pids")
    files.write("etcd", Identity(1, 2, "boot"), "print")
    assert files.read("etcd") == (Identity(1, 2, "boot"), "print")
    assert files.names() == ["etcd"]
    files.remove("etcd")
    assert files.names() == []


def test_a_component_is_restarted_for_other_settings_only(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("a")
    supervisor = Supervisor(tmp_path / "pids", tmp_path / "logs")
    component = Component("sleeper", ("sleep", "60"), inputs=(config,))
    supervisor.start(component)
    first = supervisor.pid_files.find_living("sleeper")
    try:
        assert first is not None
        assert supervisor.is_current(component)
        config.write_text("b")
        assert not supervisor.is_current(component)
        supervisor.start(component)
        second = supervisor.pid_files.find_living("sleeper")
        assert second is not None
        assert second != first
        assert not processes.is_alive(first)
    finally:
        assert supervisor.stop(["sleeper"], grace_seconds=5) == []
    assert not supervisor.is_running("sleeper")
    assert supervisor.pid_files.names() == []


def test_components_get_no_proxy() -> None:
    given = {"HTTPS_PROXY": "x", "http_proxy": "x", "NO_PROXY": "x", "PATH": "/bin"}
    assert processes.without_proxies(given) == {"PATH": "/bin"}


@pytest.mark.parametrize(
    ("command", "ours"),
    [
        (["/usr/bin/containerd-shim-runc-v2", "-namespace", "k8s.io", "-address", str(SOCKET)], True),
        (["/usr/bin/containerd-shim-runc-v2", "-address", "/run/containerd/containerd.sock"], False),
        (["/usr/bin/vim", "-address", str(SOCKET)], False),
        (["containerd-shim-runc-v2", "-id", str(SOCKET)], False),
        ([], False),
    ],
)
def test_only_shims_of_our_containerd(command: list[str], ours: bool) -> None:
    assert runtime.is_our_shim(command, SOCKET) is ours


@pytest.mark.parametrize(
    ("cgroup", "ours"),
    [
        ("9:memory:/kubepods/burstable/pod1/abc\n8:cpu:/kubepods/burstable/pod1/abc", True),
        ("0::/kubepods/besteffort/pod1/abc", True),
        ("0::/docker/0a1b/kubelet/kubepods/pod1", False),
        ("0::/user.slice", False),
        ("0::/kubepods-other/x", False),
    ],
)
def test_pods_of_this_machines_kubelet_only(cgroup: str, ours: bool) -> None:
    assert runtime.is_pod_cgroup(cgroup) is ours


def test_mounts_latest_first_and_only_ours() -> None:
    table = "\n".join(
        f"{number} 1 0:1 / {point} rw - tmpfs tmpfs rw"
        for number, point in enumerate(
            ["/", "/state/run", "/state/run/a", "/state/run/a\\040b/c", "/state/runner/x", "/state/volumes/1", "/proc"]
        )
    )
    assert runtime.parse_mounts(table, [Path("/state/run")]) == ["/state/run/a b/c", "/state/run/a", "/state/run"]
