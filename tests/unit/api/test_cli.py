"""The command `cronwright` itself."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from cronwright_core import cli


@pytest.fixture(autouse=True)
def commands(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(argv: Sequence[str]) -> int:
        return len(argv)

    entries = [SimpleNamespace(name=name, load=lambda: run) for name in ("migrate", "api")]
    monkeypatch.setattr(cli, "entry_points", lambda *, group: entries if group == "cronwright.commands" else [])


def test_a_command_gets_its_arguments_and_gives_the_exit_code() -> None:
    assert cli.main(["api", "--x", "--y"]) == 2
    assert cli.main(["migrate"]) == 0


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    assert text.index("api") < text.index("migrate")


def test_no_command_and_an_unknown_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "usage" in capsys.readouterr().err
    assert cli.main(["apii"]) == 2
    assert "unknown command 'apii'; the commands are: api, migrate" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("cronwright ")
