"""The test runner itself: a run that shows nothing must fail, and every part brings what it needs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "dev"))

from cluster.errors import ClusterError  # noqa: E402
from testrun import parts, results  # noqa: E402
from testrun.background import Background  # noqa: E402


def report(tmp_path: Path, tests: int, skipped: int) -> Path:
    path = tmp_path / "report.xml"
    path.write_text(f'<testsuites><testsuite tests="{tests}" skipped="{skipped}"/></testsuites>')
    return path


def test_counts(tmp_path: Path) -> None:
    assert str(results.read_counts(report(tmp_path, 5, 0))) == "5 tests"
    assert str(results.read_counts(report(tmp_path, 5, 2))) == "3 tests, 2 skipped"


@pytest.mark.parametrize(("tests", "skipped"), [(0, 0), (4, 4)])
def test_a_run_without_a_test_fails(tmp_path: Path, tests: int, skipped: int) -> None:
    with pytest.raises(ClusterError, match="no test ran"):
        results.read_counts(report(tmp_path, tests, skipped))


def test_a_missing_report_fails(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="no report"):
        results.read_counts(tmp_path / "none.xml")


def test_nothing_run_is_not_passed() -> None:
    assert not results.Table().passed


def test_a_failed_part_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    table = results.Table()
    with table.timed("lint"):
        pass
    assert table.passed
    with pytest.raises(ClusterError), table.timed("unit"):
        raise ClusterError("no")
    table.show()
    assert not table.passed
    assert "FAILED in unit" in capsys.readouterr().out


def test_a_part_brings_what_it_needs_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [part.name for part in parts.needed(["e2e"])] == ["environment", "compile", "cluster", "e2e"]
    for must_build in (True, False):
        monkeypatch.setattr(parts.tools, "must_build", lambda must_build=must_build: must_build)
        order = [part.name for part in parts.needed([part.name for part in parts.ALL])]
        assert sorted(order) == sorted(part.name for part in parts.ALL)
        for part in parts.ALL:
            assert all(order.index(need) < order.index(part.name) for need in part.needs), part.name
    assert order.index("cluster") < order.index("integration"), "nothing to compile: what waits can begin early"


def begun(parts_in_order: Sequence[parts.Part], *done: str) -> list[str]:
    class Notes(Background):
        def __init__(self) -> None:
            super().__init__()
            self.begun: list[str] = []

        def begin(self, name: str, command: object, env: object = None) -> None:
            self.begun.append(name)

    notes = Notes()
    parts.begin_aside(parts_in_order, done, notes)
    return notes.begun


def test_what_waits_begins_when_its_needs_are_there_and_nobody_it_disturbs_runs() -> None:
    assert begun(parts.ALL, "environment") == []
    assert begun(parts.ALL, "environment", "cluster") == ["absence"]
    assert begun(parts.ALL, "environment", "cluster", "integration") == ["absence", "lifecycle"]
    order = [part.name for part in parts.ALL]
    for disturbed in ("e2e", "chaos"):
        assert order.index("absence") < order.index(disturbed), "it is waited for before they run"


def test_what_is_next_is_not_begun_beside() -> None:
    needed = ("compile", "environment", "cluster")
    assert begun(parts.needed(["absence"]), *needed) == [], "its output is seen while it runs"
    assert begun(parts.needed(["absence", "lifecycle"]), *needed) == ["lifecycle"]


def test_what_runs_beside_is_shown_with_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    background = Background()
    background.begin("unit-test-of-background", [sys.executable, "-c", "print('said'); raise SystemExit(3)"])
    assert background.finish("unit-test-of-background") == 3
    assert "said" in capsys.readouterr().out


def test_every_folder_of_tests_belongs_to_a_part() -> None:
    text = (ROOT / "dev" / "testrun" / "parts.py").read_text()
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.rglob("test_*.py"))}
    assert folders
    assert {folder for folder in folders if f'"tests/{folder}"' not in text} == set()
