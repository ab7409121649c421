"""`cronwright api` refuses to start with words that help; `cronwright token` makes what the API accepts."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cronwright_api.command import parse_ttl, serve, token
from cronwright_api.tokens import KeyRing, TokenVerifier, User


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """`serve` takes over the root logger."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("uvicorn.access").disabled = False


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "key-001").write_text("1" * 64)
    (folder / "key-002").write_text("2" * 64)
    monkeypatch.setenv("CRONWRIGHT_JWT_KEYS_DIR", str(folder))
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:hunter2@127.0.0.1:1/none")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))
    monkeypatch.setenv("CRONWRIGHT_LOG_LEVEL", "INFO")
    return folder


def test_a_token_of_ours_is_accepted(keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert token(["--user", "alice", "--admin"]) == 0
    text = capsys.readouterr().out.strip()
    assert TokenVerifier(KeyRing.load(keys)).verify(text) == User("alice", True)
    (keys / "key-001").unlink()
    assert TokenVerifier(KeyRing.load(keys)).verify(text).name == "alice", "the last key by name signs"


def test_a_key_can_be_chosen(keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert token(["--user", "bob", "--kid", "key-001", "--keys-dir", str(keys), "--ttl", "30m"]) == 0
    text = capsys.readouterr().out.strip()
    (keys / "key-002").unlink()
    assert TokenVerifier(KeyRing.load(keys)).verify(text) == User("bob", False)
    assert token(["--user", "bob", "--kid", "key-009"]) == 1
    assert "key-001" in capsys.readouterr().err


def test_wrong_users_and_options(keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert token(["--user", ""]) == 1
    with pytest.raises(SystemExit) as wrong:
        token(["--user", "alice", "--ttl", "soon"])
    assert wrong.value.code == 2
    assert "24h" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "ttl"),
    [("90", timedelta(seconds=90)), ("30m", timedelta(minutes=30)), ("24h", timedelta(1)), ("7d", timedelta(7))],
)
def test_ttl(text: str, ttl: timedelta) -> None:
    assert parse_ttl(text) == ttl


@pytest.mark.usefixtures("keys")
class TestRefusals:
    def refused(self, capsys: pytest.CaptureFixture[str]) -> str:
        assert serve([]) == 1
        text = capsys.readouterr().err
        assert text.splitlines()[-1].startswith("cronwright api: ")
        assert "hunter2" not in text
        assert "Traceback" not in text
        return text

    def test_no_kubeconfig(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert "KUBECONFIG" in self.refused(capsys)

    def test_no_keys(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setenv("CRONWRIGHT_JWT_KEYS_DIR", str(tmp_path / "none"))
        assert "CRONWRIGHT_JWT_KEYS_DIR" in self.refused(capsys)

    def test_a_short_key(self, keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (keys / "key-003").write_text("short")
        assert "at least 32" in self.refused(capsys)

    def test_no_database_url(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.delenv("DATABASE_URL")
        assert "DATABASE_URL" in self.refused(capsys)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("DATABASE_URL", "mysql://root:hunter2@db/x"),
            ("CRONWRIGHT_PORT", "many"),
            ("CRONWRIGHT_DEFAULT_TIME_ZONE", "Mars/Base"),
            ("CRONWRIGHT_LOG_LEVEL", "LOUD"),
        ],
    )
    def test_wrong_settings(
        self, name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv(name, value)
        self.refused(capsys)
