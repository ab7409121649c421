"""Key pairs, key sets and tokens for tests, good and forged."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

SECRET = "a secret of the tests, long enough for HS256"
_ALGORITHMS: dict[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}


@dataclass(frozen=True)
class Pair:
    """A private key, and its public part as a JWK."""

    kid: str
    algorithm: str
    private: Any

    @property
    def public(self) -> Any:
        """The public key."""
        return self.private.public_key()

    def jwk(self, **members: Any) -> dict[str, Any]:
        """The public part as it stands in a key set; a member of None is left out."""
        made = json.loads(_ALGORITHMS[self.algorithm].to_jwk(self.public))
        made |= {"kid": self.kid, "use": "sig", "alg": self.algorithm, **members}
        made.pop("key_ops", None) if "key_ops" not in members else None
        return {key: value for key, value in made.items() if value is not None}

    def private_jwk(self) -> dict[str, Any]:
        """The private key as a JWK, which must stand in no key set."""
        return {**json.loads(_ALGORITHMS[self.algorithm].to_jwk(self.private)), "kid": self.kid}

    def sign(self, claims: Mapping[str, Any] | None = None, **header: Any) -> str:
        """A token for alice, for a minute, unless the claims say otherwise; `...` leaves a claim out."""
        return sign(claims or {}, self.private, self.algorithm, {"kid": self.kid, **header})


@cache
def pair(algorithm: str, kid: str = "", *, bits: int = 2048) -> Pair:
    """A key pair; the same one for the same arguments, as RSA keys take a while to make."""
    made: Any
    if algorithm == "RS256":
        made = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    elif algorithm == "ES256":
        made = ec.generate_private_key(ec.SECP256R1())
    else:
        made = ed25519.Ed25519PrivateKey.generate()
    return Pair(kid or f"{algorithm}-1", algorithm, made)


def key_set(*pairs: Pair) -> bytes:
    """The document that an identity provider publishes."""
    return json.dumps({"keys": [each.jwk() for each in pairs]}).encode()


def sign(
    claims: Mapping[str, Any],
    secret: Any = SECRET,
    algorithm: str = "HS256",
    header: Mapping[str, Any] | None = None,
) -> str:
    """A token for alice, for a minute, unless the claims say otherwise; `...` leaves a claim or header out."""
    everything = {"sub": "alice", "exp": after(60), **claims}
    payload = {key: value for key, value in everything.items() if value is not ...}
    headers = {key: value for key, value in (header or {}).items() if value is not ...}
    return jwt.encode(payload, secret, algorithm=algorithm, headers=headers)


def after(seconds: int) -> int:
    """The time so many seconds from now, as tokens have it."""
    return int(datetime.now(UTC).timestamp()) + seconds


def raw(header: Mapping[str, Any], payload: str | bytes, signature: bytes = b"") -> str:
    """A token of any three parts."""
    text = payload.encode() if isinstance(payload, str) else payload
    return ".".join(base64url(part) for part in (json.dumps(header).encode(), text, signature))


def base64url(data: bytes) -> str:
    """Without padding, as tokens have it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
