"""Keys in files, read again when they change, so that rotation needs no restart: HS256 secrets, and a JWKS.

A mounted Secret or ConfigMap is swapped whole by the kubelet, so a file is never seen half written there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jwt

from cronwright_api.jwks import NotAJwks, parse_jwks
from cronwright_api.keys import HMAC, KeyRingError, VerifyingKey

MIN_SECRET_BYTES = 32
"""RFC 7518 3.2: an HS256 key has at least the 256 bits of its hash."""
RELOAD_SECONDS = 1.0

_HS256 = jwt.get_algorithm_by_name(HMAC)
logger = logging.getLogger(__name__)
Reader = Callable[[Path], tuple[Sequence[VerifyingKey], Sequence[str]]]
"""From a place to its keys and what is wrong with others. Raises OSError, NotAJwks."""


class KeyFiles:
    """The keys of a folder or a file. Safe to use from several threads."""

    def __init__(self, place: Path, read: Reader) -> None:
        """Reads for the first time.

        Raises:
            OSError, NotAJwks
        """
        self._place = place
        self._read = read
        self._lock = threading.Lock()
        self._fingerprint = _fingerprint(place)
        self._checked = time.monotonic()
        self._keys, self.problems = read(place)

    def current(self) -> Sequence[VerifyingKey]:
        """The keys as the files have them now (looked at once a second at most)."""
        with self._lock:
            now = time.monotonic()
            if now - self._checked >= RELOAD_SECONDS:
                self._checked = now
                self._reload()
            return self._keys

    async def learn(self) -> bool:
        """False: `current()` is as new as the files are."""
        return False

    def _reload(self) -> None:
        try:
            fingerprint = _fingerprint(self._place)
            if fingerprint == self._fingerprint:
                return
            keys, problems = self._read(self._place)
        except (OSError, NotAJwks) as error:
            # The kubelet swaps the folder atomically, so this passes; a key taken away is gone at the next look.
            problem = error.strerror if isinstance(error, OSError) else str(error)
            logger.error("the JWT keys cannot be read", extra={"place": str(self._place), "error": problem})
            return
        for problem in problems:
            logger.error("a JWT key is not used", extra={"problem": problem})
        # Only what the files hold now: a removed key must stop working even if its successor is unusable.
        self._keys, self.problems, self._fingerprint = keys, problems, fingerprint
        logger.info("JWT keys read again", extra={"kids": sorted(key.kid for key in keys)})


def load_secrets(folder: Path) -> KeyFiles:
    """HS256 secrets: one file a key, its name is the kid.

    Raises:
        KeyRingError: the folder cannot be read, holds no key, or holds one that must not be used.
    """
    try:
        files = KeyFiles(folder, _read_secrets)
    except OSError as error:
        raise KeyRingError(
            f"the JWT keys folder {folder} cannot be read ({error.strerror}); set CRONWRIGHT_JWT_KEYS_DIR to a"
            f" folder with one file a key: its name is the kid, its content at least {MIN_SECRET_BYTES} bytes"
        ) from error
    if files.problems:
        raise KeyRingError("; ".join(files.problems))
    if not files.current():
        raise KeyRingError(
            f"the JWT keys folder {folder} holds no key; put a file into it whose name is the kid and whose content"
            f" is a secret of at least {MIN_SECRET_BYTES} bytes, such as the output of: openssl rand -hex 32"
        )
    return files


def load_jwks_file(path: Path) -> KeyFiles:
    """Public keys from a JSON Web Key Set. Keys that cannot be used are logged and left out.

    Raises:
        KeyRingError: the file cannot be read, is no JWKS, or has no key that can be used.
    """
    try:
        files = KeyFiles(path, lambda place: parse_jwks(place.read_bytes()))
    except (OSError, NotAJwks) as error:
        problem = error.strerror if isinstance(error, OSError) else str(error)
        raise KeyRingError(f"CRONWRIGHT_JWT_JWKS_FILE: {path} cannot be used ({problem})") from error
    if not files.current():
        reasons = "; ".join(files.problems) or "it is empty"
        raise KeyRingError(f"CRONWRIGHT_JWT_JWKS_FILE: {path} holds no key that tokens can be checked by ({reasons})")
    for problem in files.problems:
        logger.warning("a JWT key is not used", extra={"problem": problem})
    return files


def _key_files(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    # A mounted Secret holds `..data` and a dated folder besides the keys.
    return sorted(path for path in place.iterdir() if not path.name.startswith(".") and path.is_file())


def _fingerprint(place: Path) -> object:
    stats = [(path.name, path.stat()) for path in _key_files(place)]
    return [(name, stat.st_ino, stat.st_mtime_ns, stat.st_size) for name, stat in stats]


def _read_secrets(folder: Path) -> tuple[Sequence[VerifyingKey], Sequence[str]]:
    keys: list[VerifyingKey] = []
    problems: list[str] = []
    for path in _key_files(folder):
        # Editors and `echo` end a file with a line end that nobody means as part of the secret.
        secret = path.read_bytes().removesuffix(b"\n").removesuffix(b"\r")
        problem = _secret_problem(secret)
        if problem:
            problems.append(f"the JWT key {path.name} in {folder} {problem}")
        else:
            keys.append(VerifyingKey(path.name, HMAC, secret))
    return keys, problems


def _secret_problem(secret: bytes) -> str | None:
    if len(secret) < MIN_SECRET_BYTES:
        return f"has {len(secret)} bytes but needs at least {MIN_SECRET_BYTES}; make one with: openssl rand -hex 32"
    # A public key is known to everybody: as an HMAC secret it would let everybody sign.
    try:
        _HS256.prepare_key(secret)
    except jwt.InvalidKeyError:
        return (
            "is a public or private key, a JWK or a certificate; only HS256 secrets are read here"
            " (public keys: CRONWRIGHT_JWT_JWKS_FILE)"
        )
    return None
