"""HS256 secrets and key sets in files: what is refused, and rotation without a restart."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cronwright_api import key_files
from cronwright_api.key_files import load_jwks_file, load_secrets
from cronwright_api.keys import KeyRingError
from cronwright_api.tokens import InvalidToken, TokenVerifier
from support.tokens import key_set, pair, sign

OLD, NEW = "old " * 10, "new " * 10


@pytest.fixture(autouse=True)
def looked_at_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_files, "RELOAD_SECONDS", 0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "k1").write_text(OLD)
    return tmp_path


def public_text(encoding: Encoding, form: PublicFormat) -> str:
    text: bytes = pair("RS256").public.public_bytes(encoding, form)
    return text.decode()


def kids(source: key_files.KeyFiles) -> list[str]:
    return [key.kid for key in source.current()]


def test_rotation_needs_no_restart(folder: Path) -> None:
    verifier = TokenVerifier((load_secrets(folder),))
    old, new = sign({}, OLD, header={"kid": "k1"}), sign({}, NEW, header={"kid": "k2"})
    with pytest.raises(InvalidToken):
        verifier.verify(new)
    (folder / "k2").write_text(NEW)
    assert verifier.verify(new).name == verifier.verify(old).name == "alice"
    assert verifier.verify(sign({}, NEW)).name == "alice", "without a kid each key is tried"
    (folder / "k1").unlink()
    assert verifier.verify(new).name == "alice"
    with pytest.raises(InvalidToken):
        verifier.verify(old)


def test_a_key_that_becomes_unusable_stops_working(folder: Path) -> None:
    verifier = TokenVerifier((load_secrets(folder),))
    assert verifier.has_keys
    (folder / "k1").write_text("short")
    assert not verifier.has_keys
    with pytest.raises(InvalidToken):
        verifier.verify(sign({}, OLD, header={"kid": "k1"}))


def test_a_mounted_secrets_own_entries_are_no_keys(folder: Path) -> None:
    (folder / "..2026_01_01").mkdir()
    (folder / "..data").symlink_to("..2026_01_01")
    (folder / ".hidden").write_text("x")
    assert kids(load_secrets(folder)) == ["k1"]


def test_a_final_line_end_is_no_part_of_the_secret(folder: Path) -> None:
    (folder / "k1").write_text(OLD + "\n")
    assert TokenVerifier((load_secrets(folder),)).verify(sign({}, OLD)).name == "alice"


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("short", "at least 32"),
        ("\n-----BEGIN PUBLIC KEY-----\n" + "A" * 64 + "\n-----END PUBLIC KEY-----", "only HS256"),
        (public_text(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "public or private key"),
        (public_text(Encoding.OpenSSH, PublicFormat.OpenSSH), "public or private key"),
        (json.dumps(pair("ES256").jwk()), "a JWK"),
        (key_set(pair("ES256")).decode(), "JWKS_FILE"),
    ],
    ids=itertools.count(),
)
def test_unusable_secrets_keep_the_api_from_starting(folder: Path, content: str, word: str) -> None:
    (folder / "k0").write_text(content)
    with pytest.raises(KeyRingError, match=word) as refused:
        load_secrets(folder)
    assert content not in str(refused.value)


def test_no_key_and_no_folder_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(KeyRingError, match="openssl rand"):
        load_secrets(tmp_path)
    with pytest.raises(KeyRingError, match="CRONWRIGHT_JWT_KEYS_DIR"):
        load_secrets(tmp_path / "none")


def test_a_key_set_in_a_file_is_read_again(tmp_path: Path) -> None:
    old, new = pair("RS256"), pair("ES256")
    path = tmp_path / "jwks.json"
    path.write_bytes(key_set(old))
    verifier = TokenVerifier((load_jwks_file(path),))
    assert verifier.verify(old.sign()).name == "alice"
    path.write_bytes(key_set(old, new))
    assert verifier.verify(old.sign()).name == verifier.verify(new.sign()).name == "alice"
    path.write_bytes(key_set(new))
    with pytest.raises(InvalidToken):
        verifier.verify(old.sign())
    assert verifier.verify(new.sign()).name == "alice"


def test_a_file_that_is_no_key_set_any_more_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(key_set(pair("ES256")))
    source = load_jwks_file(path)
    path.write_text("{")
    assert kids(source) == ["ES256-1"]
    path.unlink()
    assert kids(source) == ["ES256-1"]
    path.write_bytes(key_set(pair("EdDSA")))
    assert kids(source) == ["EdDSA-1"]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (None, "No such file"),
        (b"{", "no JSON"),
        (b'{"keys": []}', "is empty"),
        (json.dumps({"keys": [pair("ES256").private_jwk()]}).encode(), "private key"),
    ],
    ids=itertools.count(),
)
def test_a_key_set_without_a_usable_key_keeps_the_api_from_starting(
    tmp_path: Path, content: bytes | None, word: str
) -> None:
    path = tmp_path / "jwks.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(KeyRingError, match=word):
        load_jwks_file(path)
