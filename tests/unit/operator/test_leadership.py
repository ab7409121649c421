"""The Lease: one holder, and an old one that stops before a new one begins."""

from __future__ import annotations

import asyncio
import copy
from time import CLOCK_BOOTTIME
from typing import Any

import pytest

from cronwright_core.kube import sockets
from cronwright_core.kube.errors import KubeConflict, KubeError, KubeNotFound, KubeUnreachable
from cronwright_operator import leadership
from cronwright_operator.leadership import Leadership, LeadershipLost
from support.builders import CREATED


class Server:
    """One Lease with optimistic concurrency, as the API server keeps it."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.away = False

    def _store(self, body: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.lease = copy.deepcopy(body)
        self.lease["metadata"].setdefault("uid", f"uid-{self.version}")
        self.lease["metadata"]["resourceVersion"] = str(self.version)
        return copy.deepcopy(self.lease)

    def _reach(self) -> None:
        if self.away:
            raise KubeUnreachable("away")

    async def get(self, *_: Any) -> dict[str, Any]:
        self._reach()
        if self.lease is None:
            raise KubeNotFound(404, "NotFound", "no lease")
        return copy.deepcopy(self.lease)

    async def create(self, _: Any, __: Any, body: dict[str, Any]) -> dict[str, Any]:
        self._reach()
        return self._store(body)

    async def replace(self, _: Any, __: Any, ___: Any, body: dict[str, Any]) -> dict[str, Any]:
        self._reach()
        assert self.lease is not None
        if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise KubeConflict(409, "Conflict", "changed")
        return self._store(body)


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def read(self, clock: int) -> float:
        # While a machine sleeps only this one goes on.
        assert clock == CLOCK_BOOTTIME
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(leadership, "clock_gettime", time.read)
    return time


def candidate(server: Server, name: str) -> Leadership:
    return Leadership(server, namespace="ns", name="lease", identity=name, now=lambda: CREATED)


def attempt(leader: Leadership, time: Time) -> bool:
    return asyncio.run(leader._try(time()))


def test_one_of_two_wins(time: Time) -> None:
    server = Server()
    a, b = candidate(server, "a"), candidate(server, "b")
    assert (attempt(a, time), attempt(b, time)) == (True, False)
    assert (a.held, b.held) == (True, False)


def test_the_leases_uid_names_the_installation_whoever_holds_it(time: Time) -> None:
    server = Server()
    a, b = candidate(server, "a"), candidate(server, "b")
    assert (a.installation, attempt(a, time), a.installation) == (None, True, "uid-1")
    assert (attempt(b, time), b.installation) == (False, None)
    asyncio.run(a.release())
    assert (attempt(b, time), b.installation) == (True, "uid-1")


def test_a_lease_that_is_renewed_is_not_taken(time: Time) -> None:
    server = Server()
    a, b = candidate(server, "a"), candidate(server, "b")
    attempt(a, time)
    for _ in range(10):
        time.now += 2
        assert attempt(a, time)
        assert not attempt(b, time)


def test_the_holder_stops_writing_before_another_may_take_over(time: Time) -> None:
    server = Server()
    a, b = candidate(server, "a"), candidate(server, "b")
    attempt(a, time)
    assert not attempt(b, time)  # b has seen it now; a dies
    time.now += leadership.RENEW_DEADLINE_SECONDS
    assert not a.held
    with pytest.raises(LeadershipLost):
        a.check()
    assert not attempt(b, time), "not before the lease has run out"
    time.now += leadership.LEASE_SECONDS - leadership.RENEW_DEADLINE_SECONDS + 0.1
    assert attempt(b, time)
    assert server.lease is not None
    assert server.lease["spec"]["leaseTransitions"] == 1


def test_a_candidate_does_not_trust_other_clocks(time: Time) -> None:
    server = Server()
    attempt(candidate(server, "a"), time)
    # However old `renewTime` looks to it, a newcomer waits for a whole lease from its own first look.
    assert not attempt(candidate(server, "b"), time)


def test_an_api_server_that_is_away_is_an_error_and_the_lease_runs_down(time: Time) -> None:
    server = Server()
    a = candidate(server, "a")
    attempt(a, time)
    server.away = True
    with pytest.raises(KubeError):
        attempt(a, time)
    assert a.held, "a short trouble is survived"
    time.now += 5
    assert not a.held


def test_release_lets_a_successor_in_at_once(time: Time) -> None:
    server = Server()
    a, b = candidate(server, "a"), candidate(server, "b")
    attempt(a, time)
    asyncio.run(a.release())
    assert not a.held
    assert attempt(b, time)


def test_a_candidate_looks_again_just_when_the_lease_runs_out(time: Time) -> None:
    server = Server()
    b = candidate(server, "b")
    assert b._next_look() == leadership.RETRY_SECONDS, "nothing seen yet"
    attempt(candidate(server, "a"), time)
    attempt(b, time)
    waited = 0.0
    while True:
        pause = b._next_look()
        assert pause <= leadership.RETRY_SECONDS
        time.now += pause
        waited += pause
        if attempt(b, time):
            break
    assert leadership.LEASE_SECONDS < waited <= leadership.LEASE_SECONDS + 0.1


def test_what_is_under_way_is_given_up_before_another_may_take_over() -> None:
    assert leadership.RENEW_DEADLINE_SECONDS + sockets.UNSEEN_SECONDS < leadership.LEASE_SECONDS


def test_who_cannot_read_the_lease_is_no_successor(time: Time) -> None:
    server = Server()
    a, b = candidate(server, "a"), candidate(server, "b")
    assert not b.hears, "not yet"
    attempt(a, time)
    attempt(b, time)
    assert a.hears
    assert b.hears
    server.away = True
    for _ in range(3):
        time.now += 5
        with pytest.raises(KubeError):
            attempt(b, time)
    assert not b.hears
    server.away = False
    attempt(b, time)
    assert b.hears


def test_one_that_was_frozen_ends_also_if_the_lease_is_free_again(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    a, b = candidate(server, "a"), candidate(server, "b")
    attempt(a, time)
    attempt(b, time)
    time.now += leadership.LEASE_SECONDS + 1
    assert attempt(b, time)
    asyncio.run(b.release())

    slept: list[float] = []

    async def thaw(seconds: float) -> None:
        assert not slept, "it goes on"
        slept.append(seconds)
        time.now += 60

    monkeypatch.setattr(leadership.asyncio, "sleep", thaw)
    with pytest.raises(LeadershipLost):
        asyncio.run(a.keep())
    assert server.lease is not None
    assert server.lease["spec"]["holderIdentity"] == "", "it has decided on what was before, and takes nothing up"


def test_one_that_was_late_and_that_nobody_has_relieved_goes_on(time: Time) -> None:
    server = Server()
    a = candidate(server, "a")
    attempt(a, time)
    time.now += 60
    assert asyncio.run(a._try(time(), renew=True)), "all that it knows is as it was"
    assert a.held
