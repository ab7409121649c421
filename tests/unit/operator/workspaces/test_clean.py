"""Removing directories on a real file system: what goes, what stays, what it counts."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from cronwright_operator.workspaces.clean import Entry, Report, clean, parse_entry
from cronwright_operator.workspaces.command import run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "volume").mkdir()
    return tmp_path / "volume"


def filled(root: Path, name: str, *sizes: int) -> Path:
    folder = root / name
    (folder / "deep" / "er").mkdir(parents=True)
    for number, size in enumerate(sizes):
        (folder / "deep" / f"file-{number}").write_bytes(os.urandom(size))
    return folder


def allocated(folder: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in [folder, *folder.rglob("*")])


def cleaned(root: Path, *names: str) -> Report:
    return clean(str(root), [Entry(name, 1_700_000_000 + number) for number, name in enumerate(names)])


def test_removes_what_is_named_and_nothing_else(root) -> None:
    old, kept = filled(root, "job-1", 5000, 70_000), filled(root, "job-2", 5000)
    expected = allocated(old)
    report = cleaned(root, "job-1")
    assert not old.exists()
    assert len(list(kept.rglob("*"))) == 3
    assert (report.handled, report.removed, report.missing, report.failed) == (1, 1, 0, [])
    assert report.freed == expected > 70_000
    assert report.oldest == 1_700_000_000


def test_what_is_not_there_is_no_failure_and_not_counted(root) -> None:
    filled(root, "job-2", 10)
    report = cleaned(root, "job-1", "job-2")
    assert (report.handled, report.removed, report.missing, report.oldest) == (2, 1, 1, 1_700_000_001)


def test_links_are_removed_and_never_followed(root, tmp_path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("keep me")
    folder = filled(root, "job-1")
    (folder / "to-a-folder").symlink_to(outside)
    (folder / "to-a-file").symlink_to(outside / "precious")
    (folder / "deep" / "up").symlink_to("../../..")
    report = cleaned(root, "job-1")
    assert report.removed == 1
    assert not folder.exists()
    assert (outside / "precious").read_text() == "keep me"


def test_a_link_in_the_place_of_a_directory_is_left(root, tmp_path) -> None:
    outside = tmp_path / "outside"
    filled(outside, "inner", 10)
    (root / "job-1").symlink_to(outside)
    report = cleaned(root, "job-1")
    assert (report.removed, report.failed, report.freed) == (0, ["job-1"], 0)
    assert (outside / "inner" / "deep" / "file-0").exists()


def test_a_file_in_the_place_of_a_directory_is_left(root) -> None:
    (root / "job-1").write_text("x")
    report = cleaned(root, "job-1")
    assert report.failed == ["job-1"]
    assert "is no directory" in report.problems[0]


def test_a_file_with_another_name_elsewhere_frees_nothing(root) -> None:
    folder = filled(root, "job-1", 100_000)
    os.link(folder / "deep" / "file-0", root / "kept")
    report = cleaned(root, "job-1")
    assert report.removed == 1
    assert report.freed < 100_000
    assert (root / "kept").stat().st_size == 100_000


def test_directories_without_rights_for_their_owner(root) -> None:
    folder = filled(root, "job-1", 10)
    (folder / "deep").chmod(0)
    folder.chmod(0o500)
    assert cleaned(root, "job-1").removed == 1
    assert not folder.exists()


def test_stops_between_two_directories(root) -> None:
    for number in range(3):
        filled(root, f"job-{number}")
    answers = iter([False, False, True])
    entries = [Entry(f"job-{number}", 1) for number in range(3)]
    report = clean(str(root), entries, enough=lambda: next(answers))
    assert (report.handled, report.removed) == (2, 2)
    assert (root / "job-2").exists()


def test_a_tree_too_deep_is_a_failure_and_not_the_end(root) -> None:
    # Made and removed by descriptors, as no path is long enough.
    os.mkdir(root / "job-1")
    fd = os.open(root / "job-1", os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=fd)
        deeper = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    os.close(fd)
    filled(root, "job-2")
    report = cleaned(root, "job-1", "job-2")
    assert (report.handled, report.removed, report.failed) == (2, 1, ["job-1"])
    subprocess.run(["rm", "-rf", str(root)], check=True)


@pytest.mark.parametrize(
    "text",
    [
        *("", "job-1", "=5", "job-1=", "job-1=x", "job-1=-5", "../etc=5", "a/b=5", ".=5", "..=5", "-a=5", "A=5"),
        *("a.b=5", f"{'a' * 64}=5", "job\n=5", "job-1=1234567890123", "job-1=\N{ARABIC-INDIC DIGIT THREE}"),
    ],
)
def test_what_is_no_name_and_time_is_refused(text) -> None:
    with pytest.raises(ValueError, match="NAME=SECONDS"):
        parse_entry(text)


def test_a_report_fits_into_a_termination_message() -> None:
    names = [f"{'n' * 55}-{number:04d}" for number in range(1000)]
    report = Report(handled=1000, failed=names, problems=[f"{name}: {'p' * 200}" for name in names])
    assert len(report.to_json().encode()) <= 4096
    assert json.loads(report.to_json())["failed"] == 1000


def test_the_command_reports(root, tmp_path, capsys) -> None:
    filled(root, "job-1", 10)
    report = tmp_path / "report"
    assert run(["--root", str(root), "--report", str(report), "job-1=1700000000", "job-2=1700000001"]) == 0
    said = json.loads(report.read_text())
    assert (said["removed"], said["missing"], said["oldest"]) == (1, 1, 1700000000)
    assert json.loads(capsys.readouterr().out) == said


def test_the_command_touches_nothing_if_one_name_is_bad(root, capsys) -> None:
    filled(root, "job-1", 10)
    assert run(["--root", str(root), "job-1=1", "../x=1"]) == 2
    assert (root / "job-1").exists()
    assert "NAME=SECONDS" in capsys.readouterr().err


def test_the_command_says_that_there_is_no_volume(tmp_path, capsys) -> None:
    assert run(["--root", str(tmp_path / "none"), "job-1=1"]) == 1
    assert "No such file" in capsys.readouterr().err
