"""`cronwright api` refuses to start with words that help; `cronwright token` makes what the API accepts."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cronwright_api.command import parse_ttl, serve, token
from cronwright_api.key_files import load_secrets
from cronwright_api.tokens import TokenVerifier, User


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
    assert TokenVerifier((load_secrets(keys),)).verify(text) == User("alice", True)
    (keys / "key-001").unlink()
    assert TokenVerifier((load_secrets(keys),)).verify(text).name == "alice", "the last key by name signs"


def test_a_key_can_be_chosen(keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert token(["--user", "bob", "--kid", "key-001", "--keys-dir", str(keys), "--ttl", "30m"]) == 0
    text = capsys.readouterr().out.strip()
    (keys / "key-002").unlink()
    assert TokenVerifier((load_secrets(keys),)).verify(text) == User("bob", False)
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

    def test_no_keys_at_all(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setenv("CRONWRIGHT_JWT_KEYS_DIR", "")
        assert "CRONWRIGHT_JWT_JWKS_URL" in self.refused(capsys)

    @pytest.mark.parametrize(
        ("url", "word"),
        [
            ("http://sso.example.com/keys", "ALLOW_HTTP"),
            ("ftp://sso.example.com/keys", "https://"),
            ("file:///etc/passwd", "https://"),
            ("sso.example.com", "https://"),
            ("https://", "https://"),
            ("https://me:hunter2@sso.example.com/keys", "no password"),
        ],
    )
    def test_addresses_of_key_sets(
        self, url: str, word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("CRONWRIGHT_JWT_JWKS_URL", url)
        assert word in self.refused(capsys)

    def test_a_good_address_gets_further(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        """Up to the next thing that is missing; the address itself is asked when the server runs."""
        monkeypatch.setenv("CRONWRIGHT_JWT_KEYS_DIR", "")
        monkeypatch.setenv("CRONWRIGHT_JWT_JWKS_URL", "http://sso.example.com/keys")
        monkeypatch.setenv("CRONWRIGHT_JWT_JWKS_ALLOW_HTTP", "true")
        refused = self.refused(capsys)
        assert "KUBECONFIG" in refused
        assert "CRONWRIGHT_JWT_AUDIENCE is not set" in refused


@pytest.mark.parametrize("name", ["CRONWRIGHT_JWT_JWKS_URL", "CRONWRIGHT_JWT_JWKS_FILE"])
def test_no_token_can_be_made_with_public_keys_alone(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CRONWRIGHT_JWT_KEYS_DIR", "")
    monkeypatch.setenv(name, "https://sso.example.com/keys")
    assert token(["--user", "alice"]) == 1
    assert "identity provider" in capsys.readouterr().err
