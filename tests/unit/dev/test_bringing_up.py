"""The pure parts of `make up`: values for each kind of cluster, when an upgrade is due, what is written and kept."""

from __future__ import annotations

import base64
import json
import os
import stat
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "dev"))

from up import access, commands, demo, forwarding, readiness, release, target  # noqa: E402

IMAGES = {"app": "localhost/cronwright:abc", "postgres": "postgres:16", "demo": "python:3.11"}


@pytest.mark.parametrize(("kind", "service"), [("built", "NodePort"), ("kind", "NodePort"), ("given", "ClusterIP")])
def test_node_ports_only_where_they_answer_here(kind: str, service: str) -> None:
    values = release.build_values(target.Target("/kc", "ctx", kind), IMAGES)
    assert values["api"]["service"]["type"] == values["postgresql"]["service"]["type"] == service
    assert ("nodePort" in values["api"]["service"]) == (service == "NodePort")


@pytest.mark.parametrize(
    ("image", "repository", "tag"),
    [("localhost/cronwright:abc", "localhost/cronwright", "abc"), ("r.example:5000/cw:1", "r.example:5000/cw", "1")],
)
def test_an_image_is_split_at_its_tag(image: str, repository: str, tag: str) -> None:
    values = release.build_values(target.Target("/kc", "ctx", "built"), IMAGES | {"app": image})
    assert values["image"] == {"repository": repository, "tag": tag}


def test_namespaces_of_other_operators_are_left_alone() -> None:
    values = release.build_values(target.Target("/kc", "ctx", "built"), IMAGES)
    assert "cronwright-second" in values["settings"]["ignoreNamespaces"]
    assert values["operator"]["replicas"] == 2, "the tests end the active one, and somebody has to take over"


def test_the_fingerprint_follows_files_names_and_values(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "a.yaml").write_text("a")
    seen = [release.compute_fingerprint(tmp_path, {"x": 1})]
    assert release.compute_fingerprint(tmp_path, {"x": 1}) == seen[0]
    seen.append(release.compute_fingerprint(tmp_path, {"x": 2}))
    (tmp_path / "templates" / "a.yaml").write_text("b")
    seen.append(release.compute_fingerprint(tmp_path, {"x": 1}))
    (tmp_path / "templates" / "a.yaml").rename(tmp_path / "templates" / "b.yaml")
    seen.append(release.compute_fingerprint(tmp_path, {"x": 1}))
    assert len(set(seen)) == 4


def workload(**status: int) -> dict[str, Any]:
    return {"metadata": {"generation": 2}, "spec": {"replicas": 1}, "status": {"observedGeneration": 2, **status}}


@pytest.mark.parametrize(
    ("state", "ready"),
    [
        (None, False),
        (workload(), False),
        (workload(replicas=1, updatedReplicas=1, readyReplicas=1), True),
        (workload(replicas=1, updatedReplicas=1), False),
        (workload(replicas=2, updatedReplicas=1, readyReplicas=2), False),
        (workload(replicas=1, readyReplicas=1), False),
        (workload(replicas=1, updatedReplicas=1, readyReplicas=1) | {"metadata": {"generation": 3}}, False),
    ],
)
def test_ready_means_the_new_pods_are_and_the_old_ones_gone(state: dict[str, Any] | None, ready: bool) -> None:
    assert readiness._is_ready(state) is ready


def pod(ready: str, labels: dict[str, str] | None = None, **metadata: str) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": ready}]
    return {
        "metadata": {"labels": labels or {"component": "api", "hash": "1"}, **metadata},
        "status": {"conditions": conditions},
    }


@pytest.mark.parametrize(
    ("pods", "ready"),
    [
        ([], False),
        ([pod("True")], True),
        ([pod("False")], False),
        ([pod("True"), pod("False")], False),
        ([pod("True"), pod("False", deletionTimestamp="2026-01-01T00:00:00Z")], True),
        ([pod("True", {"component": "operator"})], False),
    ],
    ids=["none", "ready", "not ready", "one of two", "the other is going", "another's"],
)
def test_a_workload_is_ready_when_its_pods_say_so(pods: list[dict[str, Any]], ready: bool) -> None:
    deployment = {"spec": {"replicas": 1, "selector": {"matchLabels": {"component": "api"}}}}
    assert readiness._has_ready_pods(deployment, pods) is ready


def token(claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.c2ln"


@pytest.mark.parametrize(
    ("text", "lasts"),
    [
        (token({"exp": time.time() + 48 * 3600}), True),
        (token({"exp": time.time() + 3600}), False),
        (token({}), False),
        (token([]), False),
        ("", False),
        ("nonsense", False),
        ("a.b.c", False),
    ],
    ids=["two days", "an hour", "no end", "a list", "none", "nonsense", "three parts"],
)
def test_a_token_is_kept_while_it_lasts(text: str, lasts: bool) -> None:
    assert access._lasts(text) is lasts


def test_the_env_file_is_its_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "LOCAL", tmp_path)
    monkeypatch.setattr(access, "ENV_FILE", tmp_path / "env")
    pairs = {"CRONWRIGHT_URL": "http://127.0.0.1:1", "DATABASE_URL": "postgresql://u:p=w@h/d"}
    access.write_env(pairs)
    assert stat.S_IMODE(os.stat(tmp_path / "env").st_mode) == 0o600
    assert access.read_env() == pairs
    assert [path.name for path in tmp_path.iterdir()] == ["env"]


def test_what_was_chosen_is_remembered(tmp_path: Path) -> None:
    record = tmp_path / "cluster.json"
    assert target.remembered(record) is None
    record.write_text("{")
    assert target.remembered(record) is None
    record.write_text('{"kubeconfig": "/k", "context": "c", "kind": "built"}')
    assert target.remembered(record) == target.Target("/k", "c", "built")


def test_a_process_id_that_was_given_away_is_not_ours(tmp_path: Path) -> None:
    record = tmp_path / "f.json"
    mine = {"pid": os.getpid(), "started": forwarding._start_time(os.getpid()), "port": 1, "context": "c"}
    record.write_text(json.dumps(mine))
    assert forwarding._read(record) == mine
    record.write_text(json.dumps(mine | {"started": "1"}))
    assert forwarding._read(record) is None


def test_a_command_that_fails_shows_what_it_said() -> None:
    with pytest.raises(commands.ClusterError, match="code 3") as caught:
        commands.run([sys.executable, "-c", "import sys; print('the reason'); sys.exit(3)"], todo="do this")
    assert "the reason" in caught.value.message
    assert caught.value.advice == "do this"


def test_a_program_that_is_missing_is_named() -> None:
    with pytest.raises(commands.ClusterError, match="no-such-program is not there"):
        commands.run(["no-such-program"])


def test_pairs_skip_comments_and_keep_equal_signs() -> None:
    assert commands.read_pairs("# a=b\nA=1\n\nB = x=y \nnoise\n") == {"A": "1", "B": "x=y"}


def test_the_examples_hold_what_the_demo_looks_for() -> None:
    assert demo.EXAMPLE_IMAGE in demo.PROJECT_FILE.read_text()
    assert f"name: {demo.KUBECTL_TASK}\n" in demo.TASK_FILE.read_text()
