"""Public keys: which of a key set are used, and that a token cannot change what a key is good for."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from cronwright_api.jwks import MAX_KEYS, NotAJwks, parse_jwks
from cronwright_api.keys import VerifyingKey
from cronwright_api.tokens import ExpiredToken, InvalidToken, TokenVerifier, User, make_token
from support.tokens import SECRET, after, base64url, key_set, pair, raw, sign

RSA, EC, ED = pair("RS256"), pair("ES256"), pair("EdDSA")


class Fixed:
    """A source that never changes."""

    def __init__(self, keys: Sequence[VerifyingKey]) -> None:
        self._keys = keys

    def current(self) -> Sequence[VerifyingKey]:
        return self._keys

    async def learn(self) -> bool:
        return False


@pytest.fixture
def verifier() -> TokenVerifier:
    keys, problems = parse_jwks(key_set(RSA, EC, ED))
    assert problems == []
    return TokenVerifier((Fixed([VerifyingKey("k1", "HS256", SECRET.encode())]), Fixed(keys)))


@pytest.mark.parametrize("each", [RSA, EC, ED], ids=lambda each: each.algorithm)
def test_tokens_of_each_kind(verifier: TokenVerifier, each: Any) -> None:
    assert verifier.verify(each.sign({"roles": ["admin"]})) == User("alice", True)
    assert verifier.verify(each.sign(kid=...)) == User("alice"), "without a kid each key is tried"
    with pytest.raises(ExpiredToken):
        verifier.verify(each.sign({"exp": after(-60)}))
    for claims in ({"exp": ...}, {"iat": after(90)}, {"nbf": after(90)}):
        with pytest.raises(InvalidToken):
            verifier.verify(each.sign(claims))
    stranger = pair(each.algorithm, f"{each.kid} of a stranger")
    with pytest.raises(InvalidToken):
        verifier.verify(stranger.sign(kid=each.kid))


def public_texts() -> list[bytes]:
    """All ways in which a public key may be written down: each is a secret that an attacker knows."""
    texts = [key_set(RSA), json.dumps(RSA.jwk()).encode(), RSA.jwk()["n"].encode()]
    for each in (RSA, EC, ED):
        for encoding, form in (
            (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            (Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            (Encoding.OpenSSH, PublicFormat.OpenSSH),
        ):
            text = each.public.public_bytes(encoding, form)
            texts += [text, text.strip(), text + b"\n"]
    return texts


@pytest.mark.parametrize("text", public_texts(), ids=itertools.count())
@pytest.mark.parametrize("kid", [RSA.kid, EC.kid, ED.kid, "k1", None])
@pytest.mark.parametrize("digest", ["sha256", "sha512"])
def test_a_public_key_is_no_secret(verifier: TokenVerifier, text: bytes, kid: str | None, digest: str) -> None:
    """Signed by hand, as libraries refuse to do it."""
    header = {"alg": f"HS{digest[3:]}", "typ": "JWT"} | ({"kid": kid} if kid else {})
    payload = json.dumps({"sub": "root", "roles": ["admin"], "exp": after(60)})
    unsigned = raw(header, payload).rsplit(".", 1)[0]
    signature = hmac.new(text, unsigned.encode(), getattr(hashlib, digest)).digest()
    with pytest.raises(InvalidToken):
        verifier.verify(f"{unsigned}.{base64url(signature)}")


def test_that_forgery_would_work_if_the_text_were_the_secret() -> None:
    """The twin of the test above: its tokens are good ones, signed with the wrong thing."""
    text = RSA.jwk()["n"].encode()
    naive = TokenVerifier((Fixed([VerifyingKey(RSA.kid, "HS256", text)]),))
    unsigned = raw({"alg": "HS256", "kid": RSA.kid}, json.dumps({"sub": "root", "exp": after(60)})).rsplit(".", 1)[0]
    signature = hmac.new(text, unsigned.encode(), hashlib.sha256).digest()
    assert naive.verify(f"{unsigned}.{base64url(signature)}").name == "root"


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256", "none", "HS256", "ES256", "", None, 1, []])
def test_the_key_decides_the_algorithm(verifier: TokenVerifier, algorithm: Any) -> None:
    _, payload, signature = RSA.sign().split(".")
    header = base64url(json.dumps({"alg": algorithm, "kid": RSA.kid}).encode())
    with pytest.raises(InvalidToken):
        verifier.verify(f"{header}.{payload}.{signature}")


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_a_good_signature_by_another_algorithm_of_the_same_key(verifier: TokenVerifier, algorithm: str) -> None:
    with pytest.raises(InvalidToken):
        verifier.verify(sign({}, RSA.private, algorithm, {"kid": RSA.kid}))


def test_a_kid_that_two_sources_have(verifier: TokenVerifier) -> None:
    twin, _ = parse_jwks(json.dumps({"keys": [RSA.jwk(kid="k1")]}).encode())
    both = TokenVerifier((*verifier.sources, Fixed(twin)))
    assert both.verify(sign({}, SECRET, header={"kid": "k1"})).name == "alice"
    assert both.verify(RSA.sign(kid="k1")).name == "alice"


@pytest.mark.parametrize(
    ("jwk", "problem"),
    [
        ({"kty": "oct", "kid": "s", "k": base64.b64encode(b"hunter2" * 8).decode()}, "symmetric"),
        (RSA.private_jwk(), "private key"),
        (EC.private_jwk(), "private key"),
        (RSA.jwk(kid=None), "no kid"),
        (RSA.jwk(kid=7), "no kid"),
        (RSA.jwk(kty=None), "no kty"),
        (RSA.jwk(kty=["RSA"]), "no kty"),
        (RSA.jwk(alg="HS256"), "another alg"),
        (RSA.jwk(alg="RS512"), "another alg"),
        (RSA.jwk(alg="none"), "another alg"),
        (RSA.jwk(n="!"), "cannot be read"),
        (RSA.jwk(n=None), "cannot be read"),
        (RSA.jwk(e="AA"), "cannot be read"),
        (RSA.jwk(key_ops=["encrypt"]), "key_ops"),
        (RSA.jwk(key_ops="verify"), "key_ops"),
        (EC.jwk(crv="secp256k1"), "not supported"),
        (EC.jwk(crv="P-384"), "not supported"),
        (EC.jwk(x=EC.jwk()["y"]), "cannot be read"),
        (ED.jwk(crv="X25519"), "not supported"),
        (pair("RS256", "weak", bits=1024).jwk(), "at least 2048"),
        ("text", "no object"),
    ],
    ids=itertools.count(),
)
def test_keys_that_are_left_out_and_why(jwk: Any, problem: str) -> None:
    keys, problems = parse_jwks(json.dumps({"keys": [jwk, ED.jwk()]}).encode())
    assert [key.kid for key in keys] == [ED.kid], "the others of the set are used all the same"
    assert len(problems) == 1
    assert problem in problems[0]
    assert "hunter2" not in problems[0]


def test_keys_for_encryption_are_nobodys_mistake() -> None:
    keys, problems = parse_jwks(json.dumps({"keys": [RSA.jwk(use="enc", alg="RSA-OAEP"), ED.jwk(alg=None)]}).encode())
    assert ([key.kid for key in keys], problems) == ([ED.kid], [])


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{", b"[]", b"null", b"7", b'{"keys": {}}', b"\xff", b"[" * 100_000, b"<html>"),
        json.dumps({"keys": [{}] * (MAX_KEYS + 1)}).encode(),
    ],
)
def test_what_is_no_key_set(data: bytes) -> None:
    with pytest.raises(NotAJwks):
        parse_jwks(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
members = st.sampled_from(["kty", "kid", "use", "alg", "key_ops", "n", "e", "crv", "x", "y", "d", "k", "oth"])


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([RSA, EC, ED]), st.dictionaries(members, json_values, min_size=1, max_size=3))
def test_any_member_may_be_anything(each: Any, changes: dict[str, Any]) -> None:
    """Each key is used or named as a problem; nothing else comes out of it, and no other key suffers."""
    jwk = {**each.jwk(), **changes}
    keys, problems = parse_jwks(json.dumps({"keys": [jwk, RSA.jwk(kid="last")]}).encode())
    assert keys[-1].kid == "last"
    assert len(keys) - 1 + len(problems) == (1 if jwk["use"] == "sig" else 0)
    assert all(key.algorithm == {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}[jwk["kty"]] for key in keys[:-1])


def test_a_public_key_signs_nothing(verifier: TokenVerifier) -> None:
    for key in verifier.sources[1].current():
        with pytest.raises(ValueError, match="cannot sign"):
            make_token(key, User("alice"), now=datetime.now(UTC), ttl=timedelta(hours=1))
