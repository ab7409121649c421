"""What a token must be like, whatever kind of key signed it."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from cronwright_api.key_files import load_secrets
from cronwright_api.tokens import ExpiredToken, InvalidToken, TokenVerifier, User, claim_at, make_token
from support.tokens import SECRET, after, pair, raw
from support.tokens import sign as sign_with

OTHER = "another secret, of which nobody here has heard"


@pytest.fixture
def verifier(tmp_path: Path) -> TokenVerifier:
    (tmp_path / "k1").write_text(SECRET)
    return TokenVerifier((load_secrets(tmp_path),))


def sign(claims: dict[str, Any], *, secret: str = SECRET, algorithm: str = "HS256", kid: object = "k1") -> str:
    return sign_with(claims, secret, algorithm, {"kid": ... if kid is None else kid})


def ago(seconds: int) -> int:
    return after(-seconds)


def test_a_good_token_and_the_one_that_we_make_ourselves(verifier: TokenVerifier) -> None:
    assert verifier.verify(sign({})) == User("alice", False)
    (key,) = verifier.sources[0].current()
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
        {"iat": ago(-86_400)},
        {"nbf": ago(-86_400)},
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
        sign({}, secret=OTHER),
        sign({}, algorithm="HS512", secret=SECRET * 2),
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
            jwt.encode({"sub": "alice", "exp": ago(-60)}, SECRET * 2, algorithm="HS384", headers={"kid": "k1"})
        )


@pytest.mark.parametrize("exp", ["1e400", "9" * 400, '"soon"', "null", "[]", "NaN"])
def test_strange_expiries_are_refused_not_a_crash(verifier: TokenVerifier, exp: str) -> None:
    header = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"k1"}').rstrip(b"=")
    body = base64.urlsafe_b64encode(f'{{"sub":"alice","exp":{exp}}}'.encode()).rstrip(b"=")
    signature = jwt.get_algorithm_by_name("HS256").sign(header + b"." + body, SECRET.encode())
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
    strict = TokenVerifier(verifier.sources, audience="cronwright", issuer="sso")
    assert strict.verify(sign({"aud": ["cronwright", "x"], "iss": "sso"})).name == "alice"
    for claims in ({}, {"aud": "cronwright"}, {"iss": "sso"}, {"aud": "other", "iss": "sso"}):
        with pytest.raises(InvalidToken):
            strict.verify(sign(claims))
    assert verifier.verify(sign({"aud": "anything"})).name == "alice"


@pytest.mark.parametrize(
    ("claim", "claims", "is_admin"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["operations"]}}, True),
        ("realm_access.roles", {"realm_access.roles": ["operations"]}, True),
        ("https://sso.example.com/roles", {"https://sso.example.com/roles": ["operations"]}, True),
        ("realm_access.roles", {"realm_access": ["roles"], "roles": ["operations"]}, False),
        ("realm_access.roles", {"roles": ["admin"]}, False),
        ("roles", {"roles": ["admin"]}, False),
    ],
)
def test_roles_are_where_the_provider_puts_them(
    verifier: TokenVerifier, claim: str, claims: dict[str, Any], is_admin: bool
) -> None:
    ours = TokenVerifier(verifier.sources, roles_claim=claim, admin_role="operations")
    assert ours.verify(sign(claims)).is_admin is is_admin


def test_a_token_of_our_own_has_its_roles_there_too(verifier: TokenVerifier) -> None:
    (key,) = verifier.sources[0].current()
    names = {"roles_claim": "realm_access.roles", "admin_role": "operations"}
    made = make_token(key, User("root", True), now=datetime.now(UTC), ttl=timedelta(hours=1), **names)
    assert TokenVerifier(verifier.sources, **names).verify(made).is_admin
    assert not verifier.verify(made).is_admin


def test_claim_at_ends_where_the_path_does() -> None:
    assert claim_at({"a": {"b": {"c": 1}}}, "a.b.c") == 1
    assert claim_at({"a": {"b": 1}}, "a.b.c") is None
    assert claim_at({}, "a") is None


def test_times_may_be_ahead_by_the_leeway_only(verifier: TokenVerifier) -> None:
    for claim in ("iat", "nbf"):
        assert verifier.verify(sign({claim: after(20)})).name == "alice"
        with pytest.raises(InvalidToken):
            verifier.verify(sign({claim: after(60)}))


def test_a_signature_that_was_changed_or_cut_off(verifier: TokenVerifier) -> None:
    header, payload, signature = sign({}).split(".")
    other_payload = sign({"sub": "root", "roles": ["admin"]}).split(".")[1]
    for forged in (f"{header}.{other_payload}.{signature}", f"{header}.{payload}.", f"{header}.{payload}"):
        with pytest.raises(InvalidToken):
            verifier.verify(forged)


@pytest.mark.parametrize(
    "header",
    [{"jwk": pair("RS256").jwk()}, {"jku": "https://evil.example/keys"}, {"x5u": "x"}],
    ids=["jwk", "jku", "x5u"],
)
def test_a_token_cannot_bring_its_key_along(verifier: TokenVerifier, header: dict[str, Any]) -> None:
    for kid in ("k1", ...):
        with pytest.raises(InvalidToken):
            verifier.verify(pair("RS256").sign({"roles": ["admin"]}, **{"kid": kid, **header}))
