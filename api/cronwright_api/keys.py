"""Keys by which tokens are checked. What is common to all places that keys come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

HMAC = "HS256"
"""The algorithm of secrets that signer and verifier share."""

PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey


class KeyRingError(Exception):
    """There are no usable keys; the text says what to do."""


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A key by which tokens are checked, and the only algorithm that it is good for.

    `material` is bytes for HS256 only. A public key is an object, so that it can never be taken as an HMAC secret.
    """

    kid: str
    algorithm: str
    material: bytes | PublicKey


class KeySource(Protocol):
    """Where keys come from."""

    def current(self) -> Sequence[VerifyingKey]:
        """The keys that are good now; never waits for a network."""

    async def learn(self) -> bool:
        """Looks for keys newer than those of `current()`, if it may; returns whether it looked with success."""
