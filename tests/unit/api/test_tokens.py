"""Keys and tokens."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from cronwright_api import tokens
from cronwright_api.tokens import ExpiredToken, InvalidToken, KeyRing, KeyRingError, TokenVerifier, User, make_token

OLD, NEW = "old " * 10, "new " * 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "k1").write_text(OLD)
    return tmp_path


@pytest.fixture
def verifier(folder: Path, monkeypatch: pytest.MonkeyPatch) -> TokenVerifier:
    monkeypatch.setattr(tokens, "RELOAD_SECONDS", 0.0)
    return TokenVerifier(KeyRing.load(folder))


def sign(claims: Mapping[str, Any], *, secret: str = OLD, algorithm: str = "HS256", kid: object = "k1") -> str:
    defaults = {"sub": "alice", "exp": int(datetime.now(UTC).timestamp()) + 60}
    payload = {key: value for key, value in (defaults | dict(claims)).items() if value is not ...}
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(payload, secret, algorithm=algorithm, headers=headers)


def ago(seconds: int) -> int:
    return int(datetime.now(UTC).timestamp()) - seconds


def raw(header: Mapping[str, Any], payload: str) -> str:
    parts = [json.dumps(header).encode(), payload.encode()]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


def test_a_good_token_and_the_one_that_we_make_ourselves(verifier: TokenVerifier) -> None:
    assert verifier.verify(sign({})) == User("alice", False)
    key = verifier.ring.keys()["k1"]
    made = make_token(key, User("root", True), now=datetime.now(UTC), ttl=timedelta(hours=1))
    assert verifier.verify(made) == User("root", True)


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": ...},
        {"sub": ...},
        {"sub": ""},
        {"sub": " alice"},
        {"sub": "al\x00ice"},
        {"sub": "a" * 254},
        {"iat": ago(-120)},
        {"nbf": ago(-120)},
    ],
)
def test_claims_that_are_not_accepted(verifier: TokenVerifier, claims: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken):
        verifier.verify(sign(claims))


def test_expiry_has_a_leeway_of_30_seconds(verifier: TokenVerifier) -> None:
    assert verifier.verify(sign({"exp": ago(20)})).name == "alice"
    with pytest.raises(ExpiredToken):
        verifier.verify(sign({"exp": ago(40)}))


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b.c",
        raw({"alg": "none", "typ": "JWT"}, '{"sub":"alice","exp":9999999999}'),
        raw({"alg": "none", "kid": "k1"}, '{"sub":"alice","exp":9999999999}'),
        sign({}, secret=NEW),
        sign({}, algorithm="HS512", secret=OLD * 2),
        sign({}, kid="k2"),
        sign({}, kid="../k1"),
    ],
)
def test_forged_tokens(verifier: TokenVerifier, token: str) -> None:
    with pytest.raises(InvalidToken):
        verifier.verify(token)


def test_the_token_does_not_choose_the_algorithm(verifier: TokenVerifier) -> None:
    """Signed with the right secret, but by another algorithm of the same family."""
    with pytest.raises(InvalidToken):
        verifier.verify(
            jwt.encode({"sub": "alice", "exp": ago(-60)}, OLD * 2, algorithm="HS384", headers={"kid": "k1"})
        )


@pytest.mark.parametrize("exp", ["1e400", '"soon"', "null", "[]", "NaN"])
def test_strange_expiries_are_refused_not_a_crash(verifier: TokenVerifier, exp: str) -> None:
    header = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"k1"}').rstrip(b"=")
    body = base64.urlsafe_b64encode(f'{{"sub":"alice","exp":{exp}}}'.encode()).rstrip(b"=")
    signature = jwt.get_algorithm_by_name("HS256").sign(header + b"." + body, OLD.encode())
    token = b".".join([header, body, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()
    with pytest.raises(InvalidToken):
        verifier.verify(token)


@pytest.mark.parametrize(
    ("roles", "is_admin"),
    [
        (["admin"], True),
        (["user", "admin"], True),
        ("admin", True),
        (["administrator"], False),
        ("no-admin", False),
        ({"admin": 1}, False),
        (None, False),
    ],
)
def test_roles(verifier: TokenVerifier, roles: object, is_admin: bool) -> None:
    assert verifier.verify(sign({"roles": roles})).is_admin is is_admin


def test_audience_and_issuer_if_set(verifier: TokenVerifier) -> None:
    strict = TokenVerifier(verifier.ring, audience="cronwright", issuer="sso")
    assert strict.verify(sign({"aud": ["cronwright", "x"], "iss": "sso"})).name == "alice"
    for claims in ({}, {"aud": "cronwright"}, {"iss": "sso"}, {"aud": "other", "iss": "sso"}):
        with pytest.raises(InvalidToken):
            strict.verify(sign(claims))
    assert verifier.verify(sign({"aud": "anything"})).name == "alice"


def test_rotation_needs_no_restart(verifier: TokenVerifier, folder: Path) -> None:
    old, new = sign({}), sign({}, secret=NEW, kid="k2")
    with pytest.raises(InvalidToken):
        verifier.verify(new)
    (folder / "k2").write_text(NEW)
    assert verifier.verify(new).name == verifier.verify(old).name == "alice"
    assert verifier.verify(sign({}, secret=NEW, kid=None)).name == "alice"
    (folder / "k1").unlink()
    with pytest.raises(InvalidToken):
        verifier.verify(old)


def test_a_key_that_becomes_unusable_stops_working(verifier: TokenVerifier, folder: Path) -> None:
    (folder / "k1").write_text("short")
    assert verifier.ring.keys() == {}
    with pytest.raises(InvalidToken):
        verifier.verify(sign({}))


def test_a_mounted_secrets_own_entries_are_no_keys(folder: Path) -> None:
    (folder / "..2026_01_01").mkdir()
    (folder / "..data").symlink_to("..2026_01_01")
    (folder / ".hidden").write_text("x")
    assert set(KeyRing.load(folder).keys()) == {"k1"}


def test_a_final_line_end_is_no_part_of_the_secret(folder: Path) -> None:
    (folder / "k1").write_text(OLD + "\n")
    assert TokenVerifier(KeyRing.load(folder)).verify(sign({})).name == "alice"


@pytest.mark.parametrize(
    ("content", "word"),
    [("short", "at least 32"), ("-----BEGIN PUBLIC KEY-----\n" + "A" * 64, "PEM")],
)
def test_unusable_keys_keep_the_api_from_starting(folder: Path, content: str, word: str) -> None:
    (folder / "k0").write_text(content)
    with pytest.raises(KeyRingError, match=word):
        KeyRing.load(folder)


def test_no_key_and_no_folder_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(KeyRingError, match="openssl rand"):
        KeyRing.load(tmp_path)
    with pytest.raises(KeyRingError, match="CRONWRIGHT_JWT_KEYS_DIR"):
        KeyRing.load(tmp_path / "none")
