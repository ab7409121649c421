"""The customer's folder `operator/` must never hide the standard library's module of that name."""

from __future__ import annotations

import operator
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_operator_is_the_standard_librarys() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert operator.__file__ is not None
    assert not Path(operator.__file__).is_relative_to(ROOT / "operator")


def test_python_starts_with_the_repository_on_its_path() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import collections, operator; print(operator.itemgetter(0)('x'))"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "x", done.stderr


def test_no_test_folder_is_a_package() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []
