"""Which cluster is used, and which is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "dev"))

from cluster import binaries, choice, kind, settings  # noqa: E402
from cluster.choice import Choice, choose  # noqa: E402
from cluster.errors import ClusterError  # noqa: E402
from cluster.settings import Layout  # noqa: E402


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return settings.find_layout({"CRONWRIGHT_STATE": str(tmp_path / "state"), "CRONWRIGHT_CACHE": str(tmp_path / "c")})


@pytest.fixture(autouse=True)
def no_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "is_usable", lambda: False)


def write_kubeconfig(path: Path, context: str, server: str = "https://127.0.0.1:1") -> Path:
    content: dict[str, Any] = {
        "current-context": context,
        "contexts": [{"name": context, "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
    }
    path.write_text(json.dumps(content))
    return path


def test_built_when_nothing_else_is_there(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "check_go", lambda source: "/usr/bin/go")
    assert choose(layout, {}) == Choice(str(layout.kubeconfig), "cronwright-dev", "built")


def test_kind_where_docker_is(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "is_usable", lambda: True)
    monkeypatch.setattr(kind, "ensure_cluster", lambda layout: Path("/k"))
    assert choose(layout, {}) == Choice("/k", "kind-cronwright", "kind")


def test_no_docker_no_go_says_what_to_install(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "find_go", lambda: None)
    with pytest.raises(ClusterError) as caught:
        choose(layout, {})
    assert "no `go`" in caught.value.message
    assert "Install Go 1." in caught.value.advice
    assert "kind" in caught.value.advice
    assert "CRONWRIGHT_KUBECONFIG" in caught.value.advice


def test_binaries_in_the_cache_need_no_go(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "find_go", lambda: None)
    folder = binaries.find_binaries(layout)
    folder.mkdir(parents=True)
    for name in binaries.PACKAGES:
        (folder / name).touch()
    assert choose(layout, {}).kind == "built"


@pytest.mark.parametrize("variable", ["KUBECONFIG", "CRONWRIGHT_KUBECONFIG"])
def test_our_own_kubeconfig_is_the_built_cluster_even_while_it_is_down(layout: Layout, variable: str) -> None:
    assert not layout.kubeconfig.exists()
    assert choose(layout, {variable: str(layout.kubeconfig)}).kind == "built"


def test_a_copy_of_our_kubeconfig_is_the_built_cluster(layout: Layout, tmp_path: Path) -> None:
    server = f"https://127.0.0.1:{settings.API_PORT}"
    copy = write_kubeconfig(tmp_path / "copy", settings.CLUSTER_NAME, server)
    assert choose(layout, {"KUBECONFIG": str(copy)}).kind == "built"


@pytest.mark.parametrize("variable", ["KUBECONFIG", "CRONWRIGHT_KUBECONFIG"])
def test_a_foreign_context_is_refused_by_name(layout: Layout, tmp_path: Path, variable: str) -> None:
    path = write_kubeconfig(tmp_path / "config", "production")
    with pytest.raises(ClusterError) as caught:
        choose(layout, {variable: str(path)})
    assert "production" in caught.value.message
    assert "CRONWRIGHT_ALLOW_CONTEXT=production" in caught.value.advice


def test_allowing_another_context_does_not_help(layout: Layout, tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "config", "production")
    with pytest.raises(ClusterError, match="production"):
        choose(layout, {"KUBECONFIG": str(path), "CRONWRIGHT_ALLOW_CONTEXT": "staging"})


def test_an_allowed_cluster_that_answers_is_used(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        choice, "_require_answer", lambda layout, value, context, server, environment: asked.append(server)
    )
    path = write_kubeconfig(tmp_path / "config", "lab", "https://lab:6443")
    environment = {"KUBECONFIG": str(path), "CRONWRIGHT_ALLOW_CONTEXT": "lab"}
    assert choose(layout, environment) == Choice(str(path), "lab", "given")
    assert asked == ["https://lab:6443"]


def test_the_variable_of_our_own_wins(layout: Layout, tmp_path: Path) -> None:
    ours = write_kubeconfig(tmp_path / "a", "refused-a")
    other = write_kubeconfig(tmp_path / "b", "refused-b")
    with pytest.raises(ClusterError, match="refused-a"):
        choose(layout, {"CRONWRIGHT_KUBECONFIG": str(ours), "KUBECONFIG": str(other)})


def test_a_file_that_is_not_there(layout: Layout, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="no such file"):
        choose(layout, {"CRONWRIGHT_KUBECONFIG": str(tmp_path / "missing")})


def test_no_current_context(layout: Layout, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="no current context"):
        choose(layout, {"KUBECONFIG": str(write_kubeconfig(tmp_path / "config", ""))})


def test_a_context_without_a_cluster(layout: Layout, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(json.dumps({"current-context": settings.CLUSTER_NAME}))
    with pytest.raises(ClusterError, match="has no cluster"):
        choose(layout, {"KUBECONFIG": str(path)})


@pytest.mark.parametrize(
    ("text", "version"),
    [("kind v0.29.0 go1.24.2 linux/amd64", (0, 29)), ("kind version 0.9", (0, 0)), ("", (0, 0))],
)
def test_kind_version(text: str, version: tuple[int, int]) -> None:
    assert kind.parse_version(text) == version


def test_split_logs_only_where_kind_knows_them() -> None:
    assert "featureGates" not in kind.build_config((0, 25))
    assert kind.build_config((0, 26))["featureGates"] == {"PodLogsQuerySplitStreams": True}


def test_kind_ports_are_on_loopback() -> None:
    nodes = kind.build_config((0, 29))["nodes"]
    assert isinstance(nodes, list)
    mappings = nodes[0]["extraPortMappings"]
    assert {mapping["listenAddress"] for mapping in mappings} == {"127.0.0.1"}
    assert {mapping["hostPort"] for mapping in mappings} == {30080, 30432}
