"""What the cluster changes on the machine and how it is put back: packet filter, kernel settings, volumes, files."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "dev"))

from cluster import files, iptables, kernel, network, packages, settings, storage  # noqa: E402

DUMP = """\
*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-MARK-MASQ - [0:0]
:CNI-0123 - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 10.88.0.5/32 -m comment --comment "name: \\"cronwright-dev\\"" -j CNI-0123
-A KUBE-SERVICES -d 10.96.0.1/32 -j KUBE-MARK-MASQ
-A DOCKER -i docker0 -j RETURN
COMMIT
*filter
:INPUT ACCEPT [0:0]
-A INPUT -p tcp -m comment --comment "-j KUBE like" -j ACCEPT
COMMIT
"""


def test_our_chains_are_found_and_others_left_out() -> None:
    found = iptables.find_our_lines(DUMP)
    assert list(found) == ["nat"]
    chains, rules = found["nat"]
    assert chains == ["KUBE-SERVICES", "KUBE-MARK-MASQ", "CNI-0123"]
    assert [rule.split(" -j ")[-1] for rule in rules] == ["KUBE-SERVICES", "CNI-0123"]


def test_removal_empties_all_chains_before_the_first_goes() -> None:
    lines = iptables.build_removal(iptables.find_our_lines(DUMP)).splitlines()
    assert lines[0] == "*nat"
    assert lines[-1] == "COMMIT"
    assert [line[:2] for line in lines[1:-1]] == ["-D"] * 2 + ["-F"] * 3 + ["-X"] * 3
    assert not any("DOCKER" in line for line in lines)


def test_nothing_of_ours_nothing_to_remove() -> None:
    assert iptables.build_removal(iptables.find_our_lines("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n")) == ""


def test_kernel_settings_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "sys"
    forward = root / "net/ipv4/ip_forward"
    forward.parent.mkdir(parents=True)
    forward.write_text("0\n")
    monkeypatch.setattr(kernel, "SYSCTLS", root)
    monkeypatch.setattr(kernel.read_settings, "__defaults__", (root,))
    monkeypatch.setattr(kernel.write_settings, "__defaults__", (root,))
    saved = tmp_path / "before.json"
    kernel.remember_settings(saved)
    kernel.write_settings({"net/ipv4/ip_forward": "1"})
    # A second start after an unclean end must not take the cluster's own value for the machine's.
    kernel.remember_settings(saved)
    assert kernel.restore_settings(saved) == []
    assert forward.read_text().strip() == "0"
    assert not saved.exists()


def test_settings_of_an_earlier_boot_are_not_restored(tmp_path: Path) -> None:
    saved = tmp_path / "before.json"
    saved.write_text(json.dumps({"boot": "earlier", "settings": {"no/such/setting": "1"}}))
    assert kernel.restore_settings(saved) == []
    assert not saved.exists()


def test_a_setting_that_this_kernel_lacks_is_named(tmp_path: Path) -> None:
    assert kernel.write_settings({"no/such": "1"}, tmp_path) == ["no/such"]


def volume(phase: str, claim: bool = True) -> dict[str, Any]:
    return {"spec": {"claimRef": {"name": "data"}} if claim else {}, "status": {"phase": phase}}


def test_only_volumes_without_their_claim_are_recycled() -> None:
    assert storage.is_released(volume("Released"))
    assert storage.is_released(volume("Failed"))
    assert not storage.is_released(volume("Bound"))
    assert not storage.is_released(volume("Available", claim=False))
    assert not storage.is_released({"spec": {}})


class RecordingServer:
    """The two calls that recycling makes, kept for the test to see."""

    def __init__(self, volumes: list[dict[str, Any]]) -> None:
        self.volumes = volumes
        self.patched: list[tuple[str, dict[str, Any]]] = []

    def get(self, path: str) -> dict[str, Any]:
        assert path == storage.VOLUMES_PATH
        return {"items": self.volumes}

    def merge(self, path: str, patch: dict[str, Any]) -> dict[str, Any]:
        self.patched.append((path, patch))
        return {}


def test_recycling_empties_and_frees_what_lost_its_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage.os, "chown", lambda *_: None)
    layout = settings.find_layout({"CRONWRIGHT_STATE": str(tmp_path), "HOME": str(tmp_path)})
    for folder in storage.volume_folders(layout).values():
        storage.make_folder(folder)
        (folder / "data").mkdir()
        (folder / "data" / "file").write_text("x")
    outside = tmp_path / "outside"
    outside.write_text("stays")
    (layout.volumes / "local-2" / "link").symlink_to(outside)

    def with_name(name: str, body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "metadata": {"name": name, "resourceVersion": "7"}}

    server = RecordingServer(
        [
            with_name("local-1", volume("Bound")),
            with_name("local-2", volume("Released")),
            with_name("of-somebody-else", volume("Released")),
        ]
    )
    assert storage.recycle_volumes(layout, server) == ["local-2"]  # type: ignore[arg-type]
    assert list((layout.volumes / "local-2").iterdir()) == []
    assert (layout.volumes / "local-1" / "data" / "file").exists()
    assert outside.read_text() == "stays"
    patch = {"metadata": {"resourceVersion": "7"}, "spec": {"claimRef": None}}
    assert server.patched == [(f"{storage.VOLUMES_PATH}/local-2", patch)]
    assert stat.S_IMODE((layout.volumes / "local-2").stat().st_mode) == 0o777


def test_a_file_is_written_only_when_it_differs(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret"
    assert files.write_if_changed(path, "a", mode=0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.stat()
    assert not files.write_if_changed(path, "a", mode=0o600)
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert files.write_if_changed(path, "b", mode=0o600)
    assert path.read_text() == "b"
    assert [entry.name for entry in path.parent.iterdir()] == ["secret"]


def test_leases_end_with_the_boot() -> None:
    layout = settings.find_layout({"CRONWRIGHT_STATE": "/state", "HOME": "/root"})
    plugins = network.build_cni_config(layout)["plugins"]
    assert isinstance(plugins, list)
    assert plugins[0]["ipam"]["dataDir"] == "/state/run/cni"
    assert plugins[0]["bridge"] == settings.BRIDGE


@pytest.mark.parametrize(
    ("environment", "cache"),
    [
        ({"HOME": "/home/a"}, "/home/a/.cache/cronwright"),
        ({"HOME": "/home/a", "XDG_CACHE_HOME": "/x"}, "/x/cronwright"),
        ({"HOME": "/home/a", "XDG_CACHE_HOME": "/x", "CRONWRIGHT_CACHE": "/c"}, "/c"),
    ],
)
def test_where_the_cache_is(environment: dict[str, str], cache: str) -> None:
    layout = settings.find_layout(environment)
    assert str(layout.cache) == cache
    assert str(layout.state) == "/var/lib/cronwright-dev"


def test_missing_packages_by_their_proof(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.touch()
    asked = {"a": str(there), "b": str(tmp_path / "not"), "c": "sh", "d": "no-such-program-anywhere"}
    assert packages.find_missing(asked) == ["b", "d"]


@pytest.mark.parametrize("path", ["", "/opt/own:/usr/bin"])
def test_programs_are_found_where_debian_puts_them(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("PATH", path)
    packages.search_system_folders()
    found = os.environ["PATH"].split(":")
    assert found[: len(path.split(":"))] == (path or "/usr/local/sbin").split(":"), "one's own come first"
    assert set(packages.SYSTEM_PATH.split(":")) <= set(found)
    assert len(found) == len(set(found))
