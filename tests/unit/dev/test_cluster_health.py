"""Verdicts on a node and on DNS answers; the configuration that tests and product rely on; the cache key of the
binaries.
"""

from __future__ import annotations

import json
import shutil
import struct
import sys
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "dev"))

from cluster import binaries, containerd, controlplane, health, node, settings  # noqa: E402
from cluster.errors import ClusterError, last_lines  # noqa: E402
from cluster.settings import Layout  # noqa: E402

START = datetime(2026, 1, 1, 12, 0, 0, 500000, tzinfo=UTC)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = settings.find_layout({"CRONWRIGHT_STATE": str(tmp_path / "state"), "CRONWRIGHT_CACHE": str(tmp_path / "c")})
    found.config.mkdir(parents=True)
    return found


def make_node(
    ready: str = "True", reported: str = "2026-01-01T12:00:00Z", taints: tuple[str, ...] = ()
) -> dict[str, Any]:
    condition = {"type": "Ready", "status": ready, "lastHeartbeatTime": reported, "message": "no network yet"}
    return {"status": {"conditions": [condition]}, "spec": {"taints": [{"key": key} for key in taints]}}


def test_a_ready_node() -> None:
    assert health.judge_node(make_node(), START) is None
    assert health.judge_node(make_node(taints=("example.org/mine",)), START) is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "no report yet"),
        (make_node(ready="False"), "no network yet"),
        (make_node(reported="2026-01-01T11:59:59Z"), "before the start"),
        (make_node(taints=("node.kubernetes.io/not-ready",)), "takes no Pods"),
    ],
)
def test_a_node_that_is_not_ready_says_why(given: dict[str, Any], words: str) -> None:
    assert words in str(health.judge_node(given, START))


def make_pod(name: str, **state: object) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "status": {"containerStatuses": [{"containerID": f"containerd://{name}", "state": state}]},
    }


def test_a_pod_reported_as_running_is_believed_when_its_container_runs() -> None:
    pods = [
        make_pod("one", running={}),
        make_pod("two", running={}),
        make_pod("ended", terminated={}),
        {"metadata": {}, "status": {}},
    ]
    assert health.judge_pods(pods, {"one", "two"}) is None
    verdict = str(health.judge_pods(pods, {"one"}))
    assert "two" in verdict
    assert "one" not in verdict
    assert "ended" not in verdict


def test_an_old_report_counts_when_the_kubelet_was_not_started_now() -> None:
    assert health.judge_node(make_node(reported="2025-12-31T00:00:00Z"), None) is None


def build_answer(question: bytes, *addresses: str) -> bytes:
    records = b"".join(
        b"\xc0\x0c" + struct.pack(">2HIH", 1, 1, 5, 4) + bytes(map(int, address.split("."))) for address in addresses
    )
    return question[:2] + struct.pack(">5H", 0x8180, 1, len(addresses), 0, 0) + question[12:] + records


def test_addresses_of_a_dns_answer() -> None:
    question = health.build_query("kubernetes.default.svc.cluster.local", 4711)
    answer = build_answer(question, "10.96.0.1", "10.0.0.2")
    assert health.parse_addresses(answer, 4711) == ["10.96.0.1", "10.0.0.2"]
    assert health.parse_addresses(answer, 4712) == []
    assert health.parse_addresses(build_answer(question), 4711) == []


@pytest.mark.parametrize("length", range(60))
def test_a_cut_dns_answer_gives_nothing_and_breaks_nothing(length: int) -> None:
    question = health.build_query("kubernetes.default.svc.cluster.local", 1)
    assert health.parse_addresses(build_answer(question, "10.96.0.1")[:length], 1) == []


def test_split_log_streams_are_on_at_both_ends(layout: Layout) -> None:
    assert "--feature-gates=PodLogsQuerySplitStreams=true" in controlplane.build_api_server(layout, Path("/b")).command
    assert node.build_kubelet_config(layout)["featureGates"] == {"PodLogsQuerySplitStreams": True}
    assert "--authorization-mode=Node,RBAC" in controlplane.build_api_server(layout, Path("/b")).command


def test_the_controllers_rate_is_raised_only_on_request(layout: Layout) -> None:
    plain = controlplane.build_controller_manager(layout, Path("/b"), {}).command
    raised = controlplane.build_controller_manager(layout, Path("/b"), {"CRONWRIGHT_KCM_QPS": "300"}).command
    assert not any("qps" in argument for argument in plain)
    assert raised[-2:] == ("--kube-api-qps=300", "--kube-api-burst=600")


@pytest.mark.parametrize("rate", ["fast", "-1", "0", "1.5"])
def test_a_rate_that_is_none_is_refused(layout: Layout, rate: str) -> None:
    with pytest.raises(ClusterError, match="CRONWRIGHT_KCM_QPS"):
        controlplane.build_controller_manager(layout, Path("/b"), {"CRONWRIGHT_KCM_QPS": rate})


def test_node_ports_stay_on_this_machine(layout: Layout) -> None:
    assert node.build_proxy_config(layout)["nodePortAddresses"] == ["127.0.0.0/8", settings.POD_RANGE]


def test_everything_of_containerd_is_below_the_state_folder(layout: Layout) -> None:
    text = containerd.build_config(layout, "localhost/pause:1", "overlayfs")
    paths = [
        line.split('"')[-2] for line in text.splitlines() if "/" in line and "=" in line and "disabled" not in line
    ]
    outside = [path for path in paths if path.startswith("/") and not path.startswith(str(layout.state))]
    assert outside == ["/usr/lib/cni"]
    assert "restrict_oom_score_adj = true" in text


def test_the_pause_image_is_one_layer_with_the_program(tmp_path: Path) -> None:
    program = tmp_path / "pause"
    program.write_bytes(b"\x7fELF program")
    archive = tmp_path / "pause.tar"
    name = containerd.build_pause_name(program)
    containerd.write_single_binary_image(archive, program, name)
    with tarfile.open(archive) as tar:
        members = {member.name: tar.extractfile(member) for member in tar.getmembers()}
        manifest = json.load(members["manifest.json"])[0]  # type: ignore[arg-type]
        assert manifest["RepoTags"] == [name]
        assert json.load(members[manifest["Config"]])["config"]["Entrypoint"] == ["/pause"]  # type: ignore[arg-type]
        with tarfile.open(fileobj=members[manifest["Layers"][0]]) as layer:
            assert [(entry.name, entry.mode) for entry in layer.getmembers()] == [("pause", 0o755)]
    program.write_bytes(b"another")
    assert containerd.build_pause_name(program) != name


def test_each_source_of_the_binaries_changes_their_key(tmp_path: Path) -> None:
    source = tmp_path / "cluster"
    for name in binaries.SOURCES:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "dev" / "cluster" / name, source / name)
    keys = {binaries.compute_key(source)}
    assert keys == {binaries.compute_key(ROOT / "dev" / "cluster")}
    for name in binaries.SOURCES:
        with (source / name).open("a") as stream:
            stream.write("\n")
        keys.add(binaries.compute_key(source))
    assert len(keys) == len(binaries.SOURCES) + 1


def test_every_program_is_pinned_as_a_tool() -> None:
    go_mod = (ROOT / "dev" / "cluster" / "go.mod").read_text()
    assert binaries.required_go_version(go_mod) >= (1, 25)
    for package in binaries.PACKAGES.values():
        assert package.startswith("./") or f"\t{package}\n" in go_mod
    assert f"k8s.io/kubernetes {binaries.KUBERNETES_VERSION}" in go_mod


def test_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("\n".join(str(number) for number in range(100_000)))
    assert last_lines(log, 2) == ["99998", "99999"]
    assert last_lines(tmp_path / "missing") == []
