"""A JSON Web Key Set (RFC 7517) to the keys that tokens may be checked by. Pure.

The algorithm follows from the key's type alone: RSA is RS256, EC P-256 is ES256, Ed25519 is EdDSA. A set is public, so
symmetric keys and private parts have no place in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from cronwright_api.keys import VerifyingKey

MAX_KEYS = 100
"""A token without `kid` is tried with each key, so there is a bound."""
MIN_RSA_BITS = 2048
"""RFC 7518 3.3."""
_ALGORITHMS = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}
PUBLIC_ALGORITHMS = frozenset(_ALGORITHMS.values())


class NotAJwks(Exception):
    """The text is no key set; it says why, and nothing of the content."""


def parse_jwks(data: bytes) -> tuple[Sequence[VerifyingKey], Sequence[str]]:
    """The usable keys, and what is wrong with each of the others. Keys for encryption are passed over silently.

    Raises:
        NotAJwks
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NotAJwks("it is no JSON") from error
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise NotAJwks('it is no JSON Web Key Set: {"keys": [...]}')
    if len(entries) > MAX_KEYS:
        raise NotAJwks(f"it has more than {MAX_KEYS} keys")
    keys: list[VerifyingKey] = []
    problems: list[str] = []
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            problems.append(f"key {number} of the JWKS is no object")
            continue
        if entry.get("use", "sig") != "sig":
            continue
        key = _parse_key(entry)
        if isinstance(key, VerifyingKey):
            keys.append(key)
        else:
            problems.append(f"key {number} of the JWKS {key}")
    return keys, problems


def _parse_key(entry: Mapping[str, Any]) -> VerifyingKey | str:
    """The key, or what is wrong with it. No text of the key itself: it may be a secret put there by mistake."""
    kid, kty, crv = entry.get("kid"), entry.get("kty"), entry.get("crv")
    if not isinstance(kid, str) or not kid:
        return "has no kid"
    if kty == "oct":
        return "is symmetric (oct): a secret must not stand in a public key set"
    if "d" in entry:
        return "is a private key: publish its public part only, and replace the key"
    if not isinstance(kty, str) or not isinstance(crv, str | None):
        return "has no kty"
    algorithm = _ALGORITHMS.get((kty, crv))
    if algorithm is None:
        return "is of a type that is not supported: RSA, EC with P-256, or OKP with Ed25519"
    if entry.get("alg", algorithm) != algorithm:
        return f"says another alg than {algorithm}, the only one for its type"
    operations = entry.get("key_ops")
    if operations is not None and not (isinstance(operations, list) and "verify" in operations):
        return "is not for verifying (key_ops)"
    try:
        material = jwt.PyJWK(dict(entry), algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, AttributeError) as error:
        return f"cannot be read ({type(error).__name__})"
    if not isinstance(material, RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey):
        return "is no public key"
    if isinstance(material, RSAPublicKey) and material.key_size < MIN_RSA_BITS:
        return f"has {material.key_size} bits but RSA needs at least {MIN_RSA_BITS}"
    return VerifyingKey(kid, algorithm, material)
