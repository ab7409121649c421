"""What is kept of checked tokens, and what ends it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import jwt
import pytest

from cronwright_api.keys import VerifyingKey
from cronwright_api.token_cache import KEPT_SECONDS, MAX_TOKENS, TokenCache
from cronwright_api.tokens import ExpiredToken, InvalidToken, TokenVerifier, User, make_token

OLD, NEW = VerifyingKey("old", "HS256", b"o" * 32), VerifyingKey("new", "HS256", b"n" * 32)


@dataclass
class Source:
    """Keys that a test changes as a source does: by giving out another set."""

    keys: tuple[VerifyingKey, ...] = (OLD,)

    def current(self) -> tuple[VerifyingKey, ...]:
        return self.keys

    async def learn(self) -> bool:
        return False


@dataclass
class Clock:
    now: float = field(default_factory=time.time)

    def __call__(self) -> float:
        return self.now


@dataclass
class Bench:
    """A verifier whose signature checks are counted."""

    source: Source
    clock: Clock
    monotonic: Clock
    verifier: TokenVerifier
    checked: list[str]

    def ask(self, token: str) -> User:
        return asyncio.run(self.verifier.authenticate(token))


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    source, clock, monotonic, checked = Source(), Clock(), Clock(), list[str]()
    decode = jwt.decode
    monkeypatch.setattr(
        jwt, "decode", lambda token, *args, **kwargs: (checked.append(token), decode(token, *args, **kwargs))[1]
    )
    cache: TokenCache[User] = TokenCache(clock, monotonic)
    return Bench(source, clock, monotonic, TokenVerifier((source,), cache=cache), checked)


def token(key: VerifyingKey = OLD, user: str = "alice", *, seconds: int = 3600, admin: bool = False) -> str:
    return make_token(key, User(user, admin), now=datetime.now(UTC), ttl=timedelta(seconds=seconds))


def test_a_token_is_checked_once_in_some_seconds(bench: Bench) -> None:
    mine, roots = token(), token(user="root", admin=True)
    for _ in range(3):
        assert bench.ask(mine) == User("alice", False)
        assert bench.ask(roots) == User("root", True)
    assert bench.checked == [mine, roots]
    bench.monotonic.now += KEPT_SECONDS
    assert bench.ask(mine) == User("alice", False)
    assert bench.checked == [mine, roots, mine]


def test_a_key_that_is_taken_away_ends_its_tokens_at_once(bench: Bench) -> None:
    mine = token()
    bench.source.keys = (OLD, NEW)
    assert bench.ask(mine) == User("alice", False)
    bench.source.keys = (NEW,)
    with pytest.raises(InvalidToken):
        bench.ask(mine)
    assert bench.ask(token(NEW)) == User("alice", False)


def test_a_key_that_is_changed_under_its_name_too(bench: Bench) -> None:
    mine = token()
    assert bench.ask(mine) == User("alice", False)
    bench.source.keys = (VerifyingKey("old", "HS256", b"x" * 32),)
    with pytest.raises(InvalidToken):
        bench.ask(mine)


def test_keys_that_change_while_a_token_is_checked_leave_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = token()
    whole = TokenVerifier.verify

    def verify_and_rotate(self: TokenVerifier, text: str) -> User:
        user = whole(self, text)
        bench.source.keys = (NEW,)
        return user

    monkeypatch.setattr(TokenVerifier, "verify", verify_and_rotate)
    assert bench.ask(mine) == User("alice", False), "it was good when it was checked"
    monkeypatch.undo()
    with pytest.raises(InvalidToken):
        bench.ask(mine)


def test_an_expired_token_is_refused_although_it_was_kept(bench: Bench) -> None:
    mine = token(seconds=2)
    user = bench.ask(mine)
    assert user.expires is not None
    bench.clock.now = user.expires
    bench.ask(mine)  # by jwt's own clock it is still good: what counts is that it was asked
    assert bench.checked == [mine, mine]


def test_a_refusal_is_not_kept(bench: Bench) -> None:
    late = make_token(OLD, User("alice"), now=datetime.now(UTC) - timedelta(hours=2), ttl=timedelta(hours=1))
    for _ in range(2):
        with pytest.raises(ExpiredToken):
            bench.ask(late)
    assert bench.checked == [late, late]


def test_another_signature_is_another_token(bench: Bench) -> None:
    mine = token()
    bench.ask(mine)
    with pytest.raises(InvalidToken):
        bench.ask(mine[:-4] + ("AAAA" if not mine.endswith("AAAA") else "BBBB"))


def test_so_many_are_kept_and_no_more() -> None:
    cache: TokenCache[User] = TokenCache()
    keys = ((OLD,),)
    cache.find("", keys)
    user = User("alice", expires=time.time() + 60)
    for number in range(MAX_TOKENS + 1):
        cache.keep(f"token {number}", keys, user)
    assert cache.find("token 0", keys) is None
    assert cache.find("token 1", keys) is cache.find(f"token {MAX_TOKENS}", keys) is user
    cache.keep("\ud800", keys, user)
    assert cache.find("\ud800", keys) is user
