"""JSON Web Tokens: the ring of keys, making tokens and checking them. Knows nothing of HTTP.

The one idea: the key decides the algorithm, never the token. A `VerifyingKey` is of one algorithm; a token whose header
says another one is refused, so neither `none` nor a public key taken as an HMAC secret gets in.
"""

from __future__ import annotations

import logging
import threading
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jwt

MIN_SECRET_BYTES = 32
"""RFC 7518 3.2: an HS256 key has at least the 256 bits of its hash."""
LEEWAY_SECONDS = 30
ADMIN_ROLE = "admin"
USER_LENGTH = 253
"""The CRD's bound of `spec.owner`, into which `sub` goes."""
RELOAD_SECONDS = 1.0

logger = logging.getLogger(__name__)


class KeyRingError(Exception):
    """There are no usable keys; the text says what to do."""


class InvalidToken(Exception):
    """The token is not accepted; the text is for the log and names no secret."""


class ExpiredToken(InvalidToken):
    """The token was good once."""


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A key by which tokens are checked, and the only algorithm that it is good for."""

    kid: str
    algorithm: str
    material: bytes


@dataclass(frozen=True, slots=True)
class User:
    """Who a token speaks for."""

    name: str
    is_admin: bool = False

    @property
    def owner_filter(self) -> str | None:
        """What the store filters by: the user's own rows, or None (all) for an administrator."""
        return None if self.is_admin else self.name


class KeyRing:
    """The keys of a folder (a mounted Secret), read again when its files change, so that rotation needs no restart.

    Safe to use from several threads.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._fingerprint: object = None
        self._checked = 0.0
        self._keys: Mapping[str, VerifyingKey] = {}

    @classmethod
    def load(cls, folder: Path) -> KeyRing:
        """Reads all keys at start.

        Raises:
            KeyRingError: the folder cannot be read, holds no key, or holds one that is too short.
        """
        ring = cls(folder)
        try:
            ring._fingerprint = _fingerprint(folder)
            keys, problems = _read_keys(folder)
        except OSError as error:
            raise KeyRingError(
                f"the JWT keys folder {folder} cannot be read ({error.strerror}); set CRONWRIGHT_JWT_KEYS_DIR to a"
                f" folder with one file a key: its name is the kid, its content at least {MIN_SECRET_BYTES} bytes"
            ) from error
        if problems:
            raise KeyRingError("; ".join(problems))
        if not keys:
            raise KeyRingError(
                f"the JWT keys folder {folder} holds no key; put a file into it whose name is the kid and whose content"
                f" is a secret of at least {MIN_SECRET_BYTES} bytes, such as the output of: openssl rand -hex 32"
            )
        ring._keys = keys
        ring._checked = time.monotonic()
        return ring

    def keys(self) -> Mapping[str, VerifyingKey]:
        """The keys as the folder has them now (looked at once a second at most)."""
        with self._lock:
            now = time.monotonic()
            if now - self._checked >= RELOAD_SECONDS:
                self._checked = now
                self._reload()
            return self._keys

    def _reload(self) -> None:
        try:
            fingerprint = _fingerprint(self._folder)
            if fingerprint == self._fingerprint:
                return
            keys, problems = _read_keys(self._folder)
        except OSError as error:
            # The kubelet swaps the folder atomically, so this passes; a key taken away is gone at the next look.
            logger.error("the JWT keys cannot be read", extra={"folder": str(self._folder), "error": error.strerror})
            return
        for problem in problems:
            logger.error("a JWT key is not used", extra={"problem": problem})
        # Only what the folder holds now: a removed key must stop working even if its successor is unusable.
        self._keys, self._fingerprint = keys, fingerprint
        logger.info("JWT keys read again", extra={"kids": sorted(keys)})


@dataclass(frozen=True, slots=True)
class TokenVerifier:
    """Checks tokens against the ring."""

    ring: KeyRing
    audience: str | None = None
    issuer: str | None = None

    def verify(self, token: str) -> User:
        """Returns the user of a good token.

        A token without `kid` is tried with each key. `exp` and `sub` are required; `iat` and `nbf` must not lie ahead.

        Raises:
            ExpiredToken, InvalidToken
        """
        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise InvalidToken(f"not a token: {type(error).__name__}") from error
        keys = self.ring.keys()
        candidates = list(keys.values()) if kid is None else [keys[kid]] if isinstance(kid, str) and kid in keys else []
        if not candidates:
            raise InvalidToken("the kid is not known" if keys else "there are no keys")
        for key in candidates:
            try:
                return _to_user(self._claims(token, key))
            except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError):
                continue
        raise InvalidToken("the signature or its algorithm does not fit the key")

    def _claims(self, token: str, key: VerifyingKey) -> Mapping[str, Any]:
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key.material,
                algorithms=[key.algorithm],
                audience=self.audience,
                issuer=self.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "sub"], "verify_aud": self.audience is not None},
            )
        except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError):
            raise
        except jwt.ExpiredSignatureError as error:
            raise ExpiredToken("expired") from error
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise InvalidToken(f"{type(error).__name__}: {str(error)[:200]}") from error
        return claims


def make_token(
    key: VerifyingKey,
    user: User,
    *,
    now: datetime,
    ttl: timedelta,
    audience: str | None = None,
    issuer: str | None = None,
) -> str:
    """Signs a token for `user`, good from `now` for `ttl`.

    Raises:
        ValueError: the user name could not be the owner of a task.
    """
    problem = user_problem(user.name)
    if problem:
        raise ValueError(problem)
    claims: dict[str, Any] = {"sub": user.name, "iat": int(now.timestamp()), "exp": int((now + ttl).timestamp())}
    if user.is_admin:
        claims["roles"] = [ADMIN_ROLE]
    if audience is not None:
        claims["aud"] = audience
    if issuer is not None:
        claims["iss"] = issuer
    return jwt.encode(claims, key.material, algorithm=key.algorithm, headers={"kid": key.kid})


def user_problem(name: str) -> str | None:
    """What is wrong with a user's name (a token's `sub`), or None."""
    if not 1 <= len(name) <= USER_LENGTH:
        return f"a user name has 1 to {USER_LENGTH} characters"
    if any(unicodedata.category(character).startswith("C") for character in name) or name != name.strip():
        return "a user name holds no control characters and no white space at its ends"
    return None


def _to_user(claims: Mapping[str, Any]) -> User:
    name = claims["sub"]
    problem = user_problem(name)
    if problem:
        raise InvalidToken(f"sub: {problem}")
    roles = claims.get("roles")
    # A list, or one role as a string: never a substring search, or "no-admin" would be an administrator.
    is_admin = ADMIN_ROLE in roles if isinstance(roles, list) else roles == ADMIN_ROLE
    return User(name, is_admin)


def _key_files(folder: Path) -> list[Path]:
    # A mounted Secret holds `..data` and a dated folder besides the keys.
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file())


def _fingerprint(folder: Path) -> object:
    stats = [(path.name, path.stat()) for path in _key_files(folder)]
    return [(name, stat.st_ino, stat.st_mtime_ns, stat.st_size) for name, stat in stats]


def _read_keys(folder: Path) -> tuple[dict[str, VerifyingKey], list[str]]:
    keys: dict[str, VerifyingKey] = {}
    problems: list[str] = []
    for path in _key_files(folder):
        # Editors and `echo` end a file with a line end that nobody means as part of the secret.
        secret = path.read_bytes().removesuffix(b"\n").removesuffix(b"\r")
        if len(secret) < MIN_SECRET_BYTES:
            problems.append(
                f"the JWT key {path.name} in {folder} has {len(secret)} bytes but needs at least {MIN_SECRET_BYTES};"
                " make one with: openssl rand -hex 32"
            )
        elif secret.lstrip().startswith(b"-----BEGIN"):
            # A public key is known to everybody: as an HMAC secret it would let everybody sign.
            problems.append(f"the JWT key {path.name} in {folder} is a PEM file; only HS256 secrets are read here")
        else:
            keys[path.name] = VerifyingKey(path.name, "HS256", secret)
    return keys, problems
