"""The Lease that makes one operator active (coordination.k8s.io/v1, as client-go's leaderelection uses it).

A holder that cannot renew stops writing before its lease runs out, so a successor never meets it: the deadline to renew
(5 s) and the time that a write may be under way unseen (4 s, `kube.sockets`) together are shorter than the lease
(10 s). Other machines' clocks are not trusted: a candidate counts from the moment at which it saw the lease change, and
looks again just when it would run out, so that it takes over at most 12 s after the last sign of life.

A process that was stopped between the check and the write (SIGSTOP, a suspended machine) may still send that one write
when it goes on; one whose hypervisor has stopped its clocks, too, those of two seconds, until it asks for the lease. It
can do no harm: Jobs have names that follow from their time, and a status is written only onto the one that it was
decided on. All else that it knew is out of date, so it ends even if the lease is free again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from time import CLOCK_BOOTTIME, clock_gettime
from typing import Any

from cronwright_core.kube.errors import KubeAlreadyExists, KubeConflict, KubeError, KubeNotFound
from cronwright_core.kube.ports import Json
from cronwright_core.kube.resources import LEASES

logger = logging.getLogger(__name__)

LEASE_SECONDS = 10
RENEW_DEADLINE_SECONDS = 5.0
RETRY_SECONDS = 2.0
REQUEST_SECONDS = 3.0
HEARD_SECONDS = 15.0
_PAST_THE_END_SECONDS = 0.05


def seconds_since_boot() -> float:
    """Goes on while the machine is suspended, which CLOCK_MONOTONIC does not (clock_gettime(2)): by that clock a holder
    that has slept past its lease would go on writing until it asks for the lease again, two seconds later."""
    return clock_gettime(CLOCK_BOOTTIME)


class LeadershipLost(Exception):
    """The lease could not be renewed in time, or somebody else holds it; the process ends and starts anew."""


class Leadership:
    """Acquires and keeps the Lease; `check` guards each write."""

    def __init__(self, client: Any, *, namespace: str, name: str, identity: str, now: Callable[[], datetime]) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._now = now
        self._installation: str | None = None
        self._renewed_at: float | None = None
        self._heard_at: float | None = None
        self._seen: tuple[str, float, float] | None = None  # version, when it was first seen, seconds it is good for

    @property
    def held(self) -> bool:
        """Whether this process may write at this moment."""
        return self._renewed_at is not None and seconds_since_boot() - self._renewed_at < RENEW_DEADLINE_SECONDS

    @property
    def installation(self) -> str | None:
        """The uid of the Lease: it tells this installation from any other, of any cluster. None: never held."""
        return self._installation

    @property
    def hears(self) -> bool:
        """Whether the lease could be read lately: who cannot is no successor, whatever it waits for."""
        return self._heard_at is not None and seconds_since_boot() - self._heard_at < HEARD_SECONDS

    def check(self) -> None:
        """Raises LeadershipLost unless the lease is held; called before each write."""
        if not self.held:
            raise LeadershipLost("the lease was not renewed in time")

    async def acquire(self) -> None:
        """Returns once the lease is ours."""
        while True:
            try:
                if await self._try(seconds_since_boot()):
                    logger.info("this operator (%s) is active", self._identity)
                    return
            except KubeError as error:
                logger.warning("the lease cannot be read or written: %s", error)
            await asyncio.sleep(self._next_look())

    async def keep(self) -> None:
        """Renews until it fails.

        Raises:
            LeadershipLost: always, in the end.
        """
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            started = seconds_since_boot()
            try:
                if not await self._try(started, renew=True):
                    raise LeadershipLost("another operator holds the lease")
            except KubeError as error:
                logger.warning("the lease could not be renewed: %s", error)
            self.check()

    async def release(self) -> None:
        """Gives the lease back, so that a successor need not wait; best effort."""
        if not self.held:
            return
        self._renewed_at = None
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                lease = await self._client.get(LEASES, self._namespace, self._name)
                if lease["spec"].get("holderIdentity") == self._identity:
                    lease["spec"]["holderIdentity"] = ""
                    await self._client.replace(LEASES, self._namespace, self._name, lease)
        except (KubeError, TimeoutError) as error:
            logger.info("the lease could not be given back: %s", error)

    async def _try(self, started: float, *, renew: bool = False) -> bool:
        """One attempt to take or, with `renew`, only to renew. The time that counts is when it began, not when the
        answer came."""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                return await self._take_or_renew(started, renew)
        except TimeoutError as error:
            raise KubeError("no answer within 3 s") from error

    async def _take_or_renew(self, started: float, renew: bool) -> bool:
        try:
            lease = await self._client.get(LEASES, self._namespace, self._name)
        except KubeNotFound:
            self._heard_at = seconds_since_boot()
            if renew:
                return False
            body = {
                "apiVersion": LEASES.api_version,
                "kind": LEASES.kind,
                "metadata": {"name": self._name, "namespace": self._namespace},
                "spec": self._spec(None),
            }
            try:
                made = await self._client.create(LEASES, self._namespace, body)
            except (KubeAlreadyExists, KubeConflict):
                return False
            self._installation = made["metadata"].get("uid")
            self._renewed_at = started
            return True
        self._heard_at = seconds_since_boot()
        holder = lease["spec"].get("holderIdentity") or ""
        if renew and holder != self._identity:
            return False  # also if it is free: another may have held it meanwhile, and given it back
        if holder not in ("", self._identity) and not self._expired(lease):
            return False
        lease["spec"] = self._spec(lease["spec"])
        try:
            # The resourceVersion in the body makes it conditional: of two candidates one wins.
            await self._client.replace(LEASES, self._namespace, self._name, lease)
        except KubeConflict:
            return False
        self._installation = lease["metadata"].get("uid")
        self._renewed_at = started
        return True

    def _expired(self, lease: Json) -> bool:
        version = lease["metadata"]["resourceVersion"]
        if self._seen is None or self._seen[0] != version:
            seconds = float(lease["spec"].get("leaseDurationSeconds") or LEASE_SECONDS)
            self._seen = (version, seconds_since_boot(), seconds)
        return seconds_since_boot() - self._seen[1] > self._seen[2]

    def _next_look(self) -> float:
        """Seconds to the next attempt: sooner where the other's lease would run out before."""
        if self._seen is None:
            return RETRY_SECONDS
        left = self._seen[1] + self._seen[2] - seconds_since_boot()
        return min(RETRY_SECONDS, max(left, 0.0) + _PAST_THE_END_SECONDS)

    def _spec(self, old: Json | None) -> Json:
        stamp = self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        ours = old is not None and old.get("holderIdentity") == self._identity
        transitions = int((old or {}).get("leaseTransitions") or 0)
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": LEASE_SECONDS,
            "acquireTime": (old or {}).get("acquireTime") if ours else stamp,
            "renewTime": stamp,
            "leaseTransitions": transitions if ours or old is None else transitions + 1,
        }
