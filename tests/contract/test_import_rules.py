"""The import rules are alive: a planted import of the wrong kind makes the check fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("core", "api", "operator")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("tree")
    for name in SOURCES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def check(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(tree / name) for name in SOURCES)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_tree_as_it_is_keeps_them(tree: Path) -> None:
    assert check(tree).returncode == 0


@pytest.mark.parametrize(
    ("file", "line", "rule"),
    [
        ("api/cronwright_api/app.py", "import cronwright_operator.settings", "API and operator never know each other"),
        ("core/cronwright_core/kube/codec.py", "import kopf", "kopf only in the operator"),
        ("core/cronwright_core/domain/gate.py", "import sqlalchemy", "The domain is pure"),
        (
            "core/cronwright_core/kube/client.py",
            "import prometheus_client",
            "Domain, kube and store know no prometheus_client",
        ),
        ("core/cronwright_core/plugin/rest.py", "import aiohttp", "The kubectl plugin needs the standard library"),
        ("api/cronwright_api/deps.py", "import sqlalchemy", "SQLAlchemy only in the store"),
        ("core/cronwright_core/store/tasks.py", "import cronwright_core.kube.client", "API and operator stand on"),
        (
            "operator/cronwright_operator/reconciling/reconcile.py",
            "import cronwright_core.store.tasks",
            "Decisions of the operator know neither",
        ),
    ],
)
def test_a_planted_import_is_found(tree: Path, file: str, line: str, rule: str) -> None:
    path = tree / file
    before = path.read_text()
    path.write_text(
        before.replace("from __future__ import annotations\n", f"from __future__ import annotations\n{line}\n")
    )
    try:
        done = check(tree)
    finally:
        path.write_text(before)
    assert done.returncode != 0
    broken = [text for text in done.stdout.splitlines() if text.endswith("BROKEN")]
    assert any(text.startswith(rule) for text in broken), done.stdout[-2000:]
