"""Keys behind an address: kept when it is away, fetched anew for a new key, and not at the will of a forger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from cronwright_api.jwks_address import REFETCH_SECONDS, FetchFailed, JwksAddress, next_wait
from cronwright_api.tokens import InvalidToken, TokenVerifier
from support.tokens import key_set, pair, sign

OLD, NEW = pair("RS256"), pair("ES256")


class Provider:
    """What the address answers, and how often it was asked."""

    def __init__(self) -> None:
        self.answer: bytes | Exception = key_set(OLD)
        self.asked = 0
        self.now = 1000.0
        self.gate: asyncio.Event | None = None
        self.address = JwksAddress(self.fetch, monotonic=lambda: self.now)
        self.verifier = TokenVerifier((self.address,))

    async def fetch(self) -> bytes:
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def refused(self, token: str) -> None:
        with pytest.raises(InvalidToken):
            await self.verifier.authenticate(token)


def with_provider(test: Callable[[Provider], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        asyncio.run(test(Provider()))

    run.__name__ = test.__name__
    return run


@with_provider
async def test_a_new_key_is_learned_from_its_first_token(provider: Provider) -> None:
    assert (await provider.verifier.authenticate(OLD.sign())).name == "alice", "the first token need not wait for run()"
    provider.answer = key_set(OLD, NEW)
    provider.now += REFETCH_SECONDS
    assert (await provider.verifier.authenticate(NEW.sign())).name == "alice"
    assert (await provider.verifier.authenticate(OLD.sign())).name == "alice"
    assert provider.asked == 2
    provider.answer = key_set(NEW)
    await provider.address.refresh()
    provider.now += REFETCH_SECONDS
    await provider.refused(OLD.sign())


@with_provider
async def test_forged_kids_do_not_hammer_the_address(provider: Provider) -> None:
    await provider.address.refresh()
    for number in range(200):
        await provider.refused(NEW.sign(kid=f"forged-{number}"))
    assert provider.asked == 1
    provider.now += REFETCH_SECONDS
    await asyncio.gather(*(provider.refused(NEW.sign(kid=f"forged-{number}")) for number in range(200)))
    assert provider.asked == 2


@with_provider
async def test_neither_do_they_while_it_is_away(provider: Provider) -> None:
    provider.answer = FetchFailed("away")
    for _ in range(50):
        await provider.refused(NEW.sign())
    assert provider.asked == 1


@with_provider
async def test_only_tokens_that_a_public_key_could_have_signed_ask(provider: Provider) -> None:
    await provider.address.refresh()
    provider.now += REFETCH_SECONDS
    await provider.refused(sign({}, header={"kid": "other"}))
    await provider.refused("nonsense")
    await provider.refused(NEW.sign(kid=OLD.kid))
    await provider.refused(OLD.sign({"exp": 1}))
    assert provider.asked == 1


@with_provider
async def test_the_last_good_set_stays_while_the_address_is_away(provider: Provider) -> None:
    await provider.address.refresh()
    for answer in (FetchFailed("away"), RuntimeError("a bug"), b"<html>not now</html>", b""):
        provider.answer = answer
        assert await provider.address.refresh() is False
        assert (await provider.verifier.authenticate(OLD.sign())).name == "alice"
    provider.answer = b'{"keys": []}'
    assert await provider.address.refresh() is True
    assert not provider.verifier.has_keys, "an empty set is an answer: all keys were withdrawn"


@with_provider
async def test_those_that_ask_meanwhile_share_one_fetch_and_may_go_away(provider: Provider) -> None:
    provider.gate = asyncio.Event()
    waiting = [asyncio.create_task(provider.verifier.authenticate(OLD.sign())) for _ in range(10)]
    while not provider.asked:
        await asyncio.sleep(0)
    waiting[0].cancel()
    provider.gate.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert [getattr(user, "name", user) for user in results[1:]] == ["alice"] * 9
    assert provider.asked == 1


@with_provider
async def test_run_fetches_at_once_and_goes_on_after_failures(provider: Provider) -> None:
    provider.answer = RuntimeError("a bug")
    provider.address = JwksAddress(provider.fetch, refresh_seconds=0.001)
    runner = asyncio.create_task(provider.address.run())
    async with asyncio.timeout(5):
        while provider.asked < 3:
            await asyncio.sleep(0)
        provider.answer = key_set(OLD)
        while not provider.address.current():
            await asyncio.sleep(0)
    assert not runner.done()
    runner.cancel()


def test_waits() -> None:
    assert next_wait(0, 300) == 300
    assert [next_wait(failures, 300) for failures in (1, 2, 3, 4, 5, 6, 1000)] == [1, 2, 4, 8, 16, 30, 30]
    assert next_wait(9, 10) == 10, "never slower than when all is well"
