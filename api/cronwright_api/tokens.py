"""JSON Web Tokens: checking them, and making them. Knows nothing of HTTP.

The one idea: the key decides the algorithm, never the token. A `VerifyingKey` is of one algorithm; a token whose header
says another one is refused, so neither `none` nor a public key taken as an HMAC secret gets in.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import jwt

from cronwright_api.jwks import PUBLIC_ALGORITHMS
from cronwright_api.keys import HMAC, KeySource, VerifyingKey
from cronwright_api.token_cache import TokenCache

LEEWAY_SECONDS = 30
ADMIN_ROLE = "admin"
ROLES_CLAIM = "roles"
USER_LENGTH = 253
"""The CRD's bound of `spec.owner`, into which `sub` goes."""


class InvalidToken(Exception):
    """The token is not accepted; the text is for the log and names no secret."""


class MalformedToken(InvalidToken):
    """The text is no JWT at all."""


class ExpiredToken(InvalidToken):
    """The token was good once."""


class UnknownPublicKey(InvalidToken):
    """The token names a public key that is not known: a source of keys may have a newer set."""


@dataclass(frozen=True, slots=True)
class User:
    """Who a token speaks for."""

    name: str
    is_admin: bool = False
    expires: float | None = field(default=None, compare=False)
    """When the token ceases to be accepted, in seconds since 1970; None: not known."""

    @property
    def owner_filter(self) -> str | None:
        """What the store filters by: the user's own rows, or None (all) for an administrator."""
        return None if self.is_admin else self.name


@dataclass(frozen=True, slots=True)
class TokenVerifier:
    """Checks tokens against the keys of all sources."""

    sources: tuple[KeySource, ...]
    audience: str | None = None
    issuer: str | None = None
    roles_claim: str = ROLES_CLAIM
    """Where a token has its roles: a claim's name, or a path such as `realm_access.roles`."""
    admin_role: str = ADMIN_ROLE

    cache: TokenCache[User] = field(default_factory=TokenCache, compare=False, repr=False)

    @property
    def has_keys(self) -> bool:
        """Whether there is any key at the moment."""
        return any(source.current() for source in self.sources)

    async def authenticate(self, token: str) -> User:
        """As `verify`, but a key that is not known is looked for first, where that is possible.

        What was checked a moment ago, by the keys of now, is not checked again.

        Raises:
            ExpiredToken, InvalidToken
        """
        # Read before the token is checked: if they change meanwhile, the result is not kept.
        keys = tuple(source.current() for source in self.sources)
        user = self.cache.find(token, keys)
        if user is None:
            user = await self._verify_or_learn(token)
            self.cache.keep(token, keys, user)
        return user

    async def _verify_or_learn(self, token: str) -> User:
        try:
            return self.verify(token)
        except UnknownPublicKey:
            learned = [await source.learn() for source in self.sources]
            if not any(learned):
                raise
        return self.verify(token)

    def verify(self, token: str) -> User:
        """Returns the user of a good token.

        A token without `kid` is tried with each key. `exp` and `sub` are required; `iat` and `nbf` must not lie ahead.

        Raises:
            ExpiredToken, InvalidToken
        """
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise MalformedToken(f"not a token: {type(error).__name__}") from error
        kid = header.get("kid")
        candidates = [key for source in self.sources for key in source.current() if kid is None or key.kid == kid]
        if not candidates:
            unknown = UnknownPublicKey if header.get("alg") in PUBLIC_ALGORITHMS else InvalidToken
            raise unknown("the kid is not known" if self.has_keys else "there are no keys")
        for key in candidates:
            try:
                return self._to_user(self._claims(token, key))
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

    def _to_user(self, claims: Mapping[str, Any]) -> User:
        name = claims["sub"]
        problem = user_problem(name)
        if problem:
            raise InvalidToken(f"sub: {problem}")
        roles = claim_at(claims, self.roles_claim)
        # A list, or one role as a string: never a substring search, or "no-admin" would be an administrator.
        is_admin = self.admin_role in roles if isinstance(roles, list) else roles == self.admin_role
        try:
            expires = float(claims["exp"])
        except OverflowError as error:
            raise InvalidToken("exp: no time of this world") from error
        return User(name, is_admin, expires=expires + LEEWAY_SECONDS)


def make_token(
    key: VerifyingKey,
    user: User,
    *,
    now: datetime,
    ttl: timedelta,
    audience: str | None = None,
    issuer: str | None = None,
    roles_claim: str = ROLES_CLAIM,
    admin_role: str = ADMIN_ROLE,
) -> str:
    """Signs a token for `user`, good from `now` for `ttl`, by a key of HS256.

    Raises:
        ValueError: the user name could not be the owner of a task, or the key cannot sign.
    """
    problem = user_problem(user.name)
    if problem:
        raise ValueError(problem)
    if not isinstance(key.material, bytes):
        raise ValueError(f"{key.kid} is a public key of {key.algorithm}: it checks tokens and cannot sign them")
    claims: dict[str, Any] = {"sub": user.name, "iat": int(now.timestamp()), "exp": int((now + ttl).timestamp())}
    if user.is_admin:
        claims[roles_claim] = [admin_role]
    if audience is not None:
        claims["aud"] = audience
    if issuer is not None:
        claims["iss"] = issuer
    return jwt.encode(claims, key.material, algorithm=HMAC, headers={"kid": key.kid})


def user_problem(name: str) -> str | None:
    """What is wrong with a user's name (a token's `sub`), or None."""
    if not 1 <= len(name) <= USER_LENGTH:
        return f"a user name has 1 to {USER_LENGTH} characters"
    if any(unicodedata.category(character).startswith("C") for character in name) or name != name.strip():
        return "a user name holds no control characters and no white space at its ends"
    return None


def claim_at(claims: Mapping[str, Any], path: str) -> object:
    """The claim of that name, else the one that the path of names separated by dots leads to, else None.

    The whole name comes first: some providers name claims by addresses, which hold dots.
    """
    if path in claims:
        return claims[path]
    found: object = claims
    for name in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found
